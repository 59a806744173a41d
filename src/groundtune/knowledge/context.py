"""The few best sentences of the hits, with exact offsets: a small model reads best when its context is small."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundtune.knowledge.reading import read_hits
from groundtune.ports import Reader
from groundtune.text.prompts import label
from groundtune.text.scripts import CJK
from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import search_terms
from groundtune.types import Hit, Reading, Span

_CJK = re.compile(f"[{CJK}]")
_NO_CONTENT = re.compile(r"^\s*(?:#{1,6}\s.*|\|?[\s:|\-]+\|?|```.*|~~~.*)$")


@dataclass(frozen=True, slots=True)
class Passage:
    """Text that is shown to a model: ``[start, end)`` of the hit's document version. ``label``: title and heading.
    ``mark`` is the span inside ``text`` that the reader takes for the answer.
    """

    hit: Hit
    start: int
    end: int
    text: str
    label: str
    mark: Span | None = None

    @property
    def marked(self) -> str:
        """The text as it is shown: the reader's span between ``**``, so that a writer knows where to look."""
        if self.mark is None:
            return self.text
        start, end = self.mark.start, self.mark.end
        return f"{self.text[:start]}**{self.text[start:end]}**{self.text[end:]}"


@dataclass(frozen=True, slots=True)
class _Sentence:
    """Sentence ``place`` of hit ``rank``, offsets inside the chunk."""

    rank: int
    place: int
    start: int
    end: int
    score: float


def estimate_tokens(text: str) -> int:
    """Tokens, roughly: one per CJK character, one per four other characters."""
    wide = len(_CJK.findall(text))
    return wide + math.ceil((len(text) - wide) / 4)


def select_passages(
    question: str,
    hits: Sequence[Hit],
    *,
    reader: Reader | None = None,
    sentences: int = 3,
    tokens: int = 1500,
) -> tuple[Passage, ...]:
    """The ``sentences`` best sentences over all hits, neighbours merged, best first; 0: whole chunks by rank.

    Both stop at about ``tokens`` tokens, but the first passage is always kept whole.
    """
    readings = read_hits(question, hits, reader) if reader is not None else []
    if sentences <= 0:
        passages = [_passage(hit, 0, len(hit.chunk.text)) for hit in hits]
    else:
        chosen = sorted(_scored(question, hits, readings), key=lambda s: (-s.score, s.rank, s.place))[:sentences]
        passages = [_passage(hits[rank], span.start, span.end) for rank, span in _merged(chosen)]
    if reader is not None and readings and readings[0].probability >= reader.threshold:
        passages = [_with_mark(passage, hits[readings[0].index], readings[0]) for passage in passages]
    return _within(passages, tokens)


def _with_mark(passage: Passage, hit: Hit, reading: Reading) -> Passage:
    start, end = hit.chunk.start + reading.start - passage.start, hit.chunk.start + reading.end - passage.start
    if passage.hit.chunk.id != hit.chunk.id or start < 0 or end > len(passage.text):
        return passage
    return replace(passage, mark=Span(start, end))


def _within(passages: Sequence[Passage], tokens: int) -> tuple[Passage, ...]:
    kept: list[Passage] = []
    used = 0
    for passage in passages:
        used += estimate_tokens(passage.text)
        if kept and used > tokens:
            break
        kept.append(passage)
    return tuple(kept)


def _passage(hit: Hit, start: int, end: int) -> Passage:
    chunk = hit.chunk
    name = label(chunk.title or chunk.document_id, chunk.heading)
    return Passage(hit, chunk.start + start, chunk.start + end, chunk.text[start:end], name)


def _scored(question: str, hits: Sequence[Hit], readings: Sequence[Reading]) -> list[_Sentence]:
    spans = [[s for s in sentence_spans(h.chunk.text) if _tells(h.chunk.text[s.start : s.end])] for h in hits]
    lexical = _lexical(question, hits, spans)
    found: dict[tuple[int, int], float] = {}
    for order, reading in enumerate(readings):
        for place, span in enumerate(spans[reading.index]):
            if span.start < reading.end and span.end > reading.start:
                bonus = reading.probability + 0.5 / (1 + order)
                found[reading.index, place] = max(bonus, found.get((reading.index, place), 0.0))
    return [
        _Sentence(rank, place, span.start, span.end, lexical[rank][place] + found.get((rank, place), 0.0))
        for rank, group in enumerate(spans)
        for place, span in enumerate(group)
    ]


def _tells(sentence: str) -> bool:
    """False for headings, table rules and code fences: they say nothing by themselves."""
    return not _NO_CONTENT.match(sentence)


def _lexical(question: str, hits: Sequence[Hit], spans: Sequence[Sequence[Span]]) -> list[list[float]]:
    """In [0, 1] per sentence: rare question terms in it (0.5), in it or its neighbours and label (0.25), rank (0.25)."""
    wanted = dict.fromkeys(search_terms(question))
    terms = [[set(search_terms(h.chunk.text[s.start : s.end])) for s in g] for h, g in zip(hits, spans, strict=True)]
    counts = Counter(term for group in terms for sentence in group for term in sentence & wanted.keys())
    total = sum(len(group) for group in terms)
    worth = {term: math.log(1 + (total - counts[term] + 0.5) / (counts[term] + 0.5)) for term in wanted if counts[term]}
    whole = sum(worth.values()) or 1.0
    scores: list[list[float]] = []
    for rank, (hit, group) in enumerate(zip(hits, terms, strict=True)):
        named = set(search_terms(f"{hit.chunk.title} {hit.chunk.heading}"))
        row: list[float] = []
        for place, sentence in enumerate(group):
            near = named.union(*group[max(0, place - 1) : place + 2])
            own = sum(value for term, value in worth.items() if term in sentence) / whole
            around = sum(value for term, value in worth.items() if term in near) / whole
            row.append(0.5 * own + 0.25 * around + 0.25 / (1 + 0.5 * rank))
        scores.append(row)
    return scores


def _merged(chosen: Sequence[_Sentence]) -> list[tuple[int, Span]]:
    """Neighbouring sentences of one chunk become one span; spans keep the order of their best sentence."""
    left = {(s.rank, s.place): s for s in chosen}
    merged: list[tuple[int, Span]] = []
    for sentence in chosen:
        if (sentence.rank, sentence.place) not in left:
            continue
        first = last = sentence.place
        while (sentence.rank, first - 1) in left:
            first -= 1
        while (sentence.rank, last + 1) in left:
            last += 1
        run = [left.pop((sentence.rank, place)) for place in range(first, last + 1)]
        merged.append((sentence.rank, Span(run[0].start, run[-1].end)))
    return merged
