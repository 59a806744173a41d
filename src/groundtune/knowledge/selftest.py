"""Which mix of words and vectors finds more in these documents: measured on the user's questions, or on held-out
sentences of the documents when there are none.

A held-out sentence asks for the passage that it was taken from (inverse cloze task: Lee, Chang and Toutanova, 2019,
"Latent Retrieval for Weakly Supervised Open Domain Question Answering"). The sentence itself is left out of what is
searched; it would otherwise be found by its words alone.
"""

from __future__ import annotations

import json
import math
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np

from groundtune.errors import DataError
from groundtune.knowledge.backing import Backing
from groundtune.knowledge.prepare import Preparer, Task, cut
from groundtune.knowledge.sight import Sight, look
from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import search_terms
from groundtune.types import Chunk, Document, Fusion, Hit, Question

META = "retrieval"
MIXES = (
    Fusion(1.0, 0.0), Fusion(1.0, 0.25), Fusion(1.0, 0.5), Fusion(1.0, 1.0), Fusion(0.5, 1.0), Fusion(0.0, 1.0),
)  # fmt: skip
K = 10
_LEAST, _MOST = 20, 200  # questions
_PASSAGES = 1_000
_TERMS = 4

Relevant = Callable[[Hit], bool]
OpenStore = Callable[[str], Backing]


@dataclass(frozen=True, slots=True)
class Measured:
    """One mix: share of questions with the passage among the first ten, and nDCG@10."""

    lexical: float
    dense: float
    recall: float
    ndcg: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The mix that is used from ``date`` on for the vectors of ``space``. ``source`` is ``asked`` (questions of the user)
    or ``made`` (held-out sentences). ``blind`` lists scripts that the embedder cannot tell apart.
    """

    date: str
    space: str
    source: str
    questions: int
    lexical: float
    dense: float
    measured: tuple[Measured, ...]
    blind: tuple[Sight, ...] = ()

    @property
    def fusion(self) -> Fusion:
        return Fusion(self.lexical, self.dense)

    @property
    def chosen(self) -> Measured:
        """What was measured with the chosen mix."""
        return next(m for m in self.measured if (m.lexical, m.dense) == (self.lexical, self.dense))


@dataclass(frozen=True, slots=True)
class _Asked:
    text: str
    relevant: Relevant


def stored_choice(store: Backing, space: str = "") -> Choice | None:
    """The last choice (for the vectors of ``space`` when that is given), None when there is none."""
    try:
        table = json.loads(store.get_meta(META, "null"))
        if not table or (space and table["space"] != space):
            return None
        measured = tuple(Measured(**row) for row in table.pop("measured"))
        return Choice(**{**table, "measured": measured, "blind": tuple(Sight(**row) for row in table["blind"])})
    except (ValueError, TypeError, KeyError):
        return None


def keep_choice(store: Backing, choice: Choice) -> None:
    """Use a choice from now on."""
    store.set_meta(META, json.dumps(asdict(choice), ensure_ascii=False))


def self_test(
    store: Backing, preparer: Preparer, open_store: OpenStore, questions: Sequence[Question] = (), *, space: str = ""
) -> Choice:
    """Measure every mix. Questions without evidence are left out; with fewer than 20 left, held-out sentences are asked.

    Without an embedder only the search by words is measured. Raises ``DataError`` when the documents give fewer than 20
    questions either.
    """
    space = space or preparer.space
    asked = [_Asked(q.text, _holds(q)) for q in questions if q.answerable and q.evidence is not None]
    random.Random(0).shuffle(asked)
    blind = look(preparer.embedder, (chunk.text for chunk in _sample(store))) if preparer.embedder else ()
    if len(asked) >= _LEAST:
        return _choice("asked", space, _measure(store, preparer, asked[:_MOST]), blind)
    with tempfile.TemporaryDirectory() as folder:
        made, passages = _held_out(store)
        if len(made) < _LEAST:
            raise DataError("knowledge.too_little_to_test", found=len(made), least=_LEAST)
        part = open_store(folder)
        try:
            part.apply(preparer.prepare_all(part, [Task(cut(d, preparer.chunk_characters)) for d in passages]))
            return _choice("made", space, _measure(part, preparer, made), blind)
        finally:
            part.close()


def _choice(source: str, space: str, gains: dict[Fusion, list[float]], blind: tuple[Sight, ...]) -> Choice:
    """The best mix; one with vectors must beat words alone by more than a standard error of the difference."""
    words = np.array(gains[MIXES[0]])
    best, best_gain = MIXES[0], 0.0
    for mix, values in gains.items():
        difference = np.array(values) - words
        error = float(difference.std(ddof=1)) / math.sqrt(len(words))
        if difference.mean() > max(error, best_gain):
            best, best_gain = mix, float(difference.mean())
    measured = tuple(
        Measured(mix.lexical, mix.dense, sum(v > 0 for v in values) / len(values), sum(values) / len(values))
        for mix, values in gains.items()
    )
    now = datetime.now(UTC).date().isoformat()
    return Choice(now, space, source, len(words), best.lexical, best.dense, measured, blind)


def _measure(store: Backing, preparer: Preparer, asked: Sequence[_Asked]) -> dict[Fusion, list[float]]:
    """Gain (1 / log2(1 + rank), 0 when not found) per question and mix."""
    embedder = preparer.embedder
    mixes = MIXES if embedder else MIXES[:1]
    vectors = embedder.embed([one.text for one in asked], kind="query") if embedder else [None] * len(asked)
    gains: dict[Fusion, list[float]] = {mix: [] for mix in mixes}
    for one, vector in zip(asked, vectors, strict=True):
        for mix in mixes:
            used = vector if mix.dense else None
            hits = store.search(one.text, used, K, space=preparer.space, fusion=mix)
            rank = next((place for place, hit in enumerate(hits, start=1) if one.relevant(hit)), 0)
            gains[mix].append(1 / math.log2(1 + rank) if rank else 0.0)
    return gains


def _holds(question: Question) -> Relevant:
    evidence = question.evidence
    assert evidence is not None
    quote = " ".join(evidence.quote.split())

    def relevant(hit: Hit) -> bool:
        held = " ".join(hit.chunk.text.split())
        return hit.chunk.document_id == evidence.document and (quote in held or held in quote)

    return relevant


def _sample(store: Backing) -> Iterator[Chunk]:
    """Chunks of randomly chosen documents, the same for the same documents."""
    ids = sorted(store.digests())
    random.Random(0).shuffle(ids)
    for document_id in ids:
        yield from store.chunks(document_id)


def _held_out(store: Backing) -> tuple[list[_Asked], list[Document]]:
    """Sentences to ask for, and the passages, those without the sentence that was taken from them."""
    asked: list[_Asked] = []
    passages: list[Document] = []
    for number, chunk in enumerate(_sample(store)):
        if number >= _PASSAGES:
            break
        text, sentence = chunk.text, None
        if len(asked) < _MOST:
            text, sentence = _without_one(chunk.text, random.Random(number))
        passages.append(Document(str(number), text, {"title": chunk.title}))
        if sentence is not None:
            asked.append(_Asked(sentence, _is(str(number))))
    return asked, passages


def _is(document_id: str) -> Relevant:
    return lambda hit: hit.chunk.document_id == document_id


def _without_one(text: str, chance: random.Random) -> tuple[str, str | None]:
    """The text without one telling sentence, and that sentence; at least two sentences must be left."""
    spans = [span for span in sentence_spans(text) if not text[span.start : span.end].startswith(("#", "|", "```"))]
    telling = [s for s in spans if len(set(search_terms(text[s.start : s.end]))) >= _TERMS]
    if len(spans) < 3 or not telling:
        return text, None
    span = chance.choice(telling)
    return text[: span.start] + text[span.end :], text[span.start : span.end]
