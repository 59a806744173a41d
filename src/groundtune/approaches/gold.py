"""The passage that a training example's answer rests on: by the document and quote it names, or by its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from groundtune.approaches.common import extract_answer
from groundtune.approaches.retrieve import Retrieved, as_shown, knowledge_of, select
from groundtune.approaches.setting import Setting
from groundtune.errors import DataError
from groundtune.text.normalise import contains_answer
from groundtune.text.prompts import Shown, label
from groundtune.text.sentences import enclosing_sentence
from groundtune.tuning.data import check_evidence
from groundtune.types import Evidence, Example, Hit, Question


@dataclass(frozen=True)
class Gold:
    """The gold passage as a model sees it. ``proof`` is the quote or answer that makes a passage gold."""

    shown: Shown
    proof: str

    def in_(self, passage: Shown) -> bool:
        """True when ``passage`` would give the answer away as well, so that it is no distractor."""
        return passage.text.replace("**", "") == self.shown.text.replace("**", "") or _holds(passage.text, self.proof)


def find_gold(setting: Setting, example: Example, found: Retrieved, texts: Mapping[str, str]) -> Gold | None:
    """The gold passage among those retrieved, else cut from the document that the example names. None when the example
    names no evidence and its answer stands in no retrieved passage, or already in its input.
    """
    evidence = _evidence(example, texts)
    if evidence is not None:
        for passage in found.passages:
            if passage.hit.chunk.document_id == evidence.document and _holds(passage.text, evidence.quote):
                return Gold(as_shown(passage), evidence.quote)
        return _cut(setting, example, evidence, texts)
    answer = extract_answer(example.target, setting.config.format.answer_field).value
    if not answer or contains_answer(example.input, answer):
        return None
    for passage in found.passages:
        if contains_answer(passage.text, answer):
            return Gold(as_shown(passage), answer)
    return None


def _evidence(example: Example, texts: Mapping[str, str]) -> Evidence | None:
    document, quote = example.metadata.get("document"), example.metadata.get("quote")
    if not (isinstance(document, str) and isinstance(quote, str) and quote.strip()):
        return None
    try:
        (checked,) = check_evidence([Question(example.input, evidence=Evidence(document, quote))], texts)
    except DataError:  # the example is about a document that the project does not have (any more)
        return None
    return checked.evidence


def _cut(setting: Setting, example: Example, evidence: Evidence, texts: Mapping[str, str]) -> Gold:
    """Retrieval missed the evidence: take it from the chunk that holds it, chosen and cut as at inference."""
    hits = knowledge_of(setting).search(evidence.quote, k=setting.config.retrieval.k)
    holding = [
        hit for hit in hits if hit.chunk.document_id == evidence.document and _holds(hit.chunk.text, evidence.quote)
    ]
    for hit in holding:
        for passage in select(setting, example.input, [hit]).passages:
            if _holds(passage.text, evidence.quote):
                return Gold(as_shown(passage), evidence.quote)
    if holding:
        return Gold(_around(holding[0], evidence.quote), evidence.quote)
    return Gold(Shown(label(evidence.document), evidence.quote), evidence.quote)


def _around(hit: Hit, quote: str) -> Shown:
    chunk = hit.chunk
    start = chunk.text.find(quote)
    text = quote
    if start >= 0:
        span = enclosing_sentence(chunk.text, start, start + len(quote))
        text = chunk.text[span.start : span.end]
    return Shown(label(chunk.title or chunk.document_id, chunk.heading), text)


def _holds(text: str, proof: str) -> bool:
    """``proof`` in ``text``, or a sentence of a longer proof; white space and the reader's marks do not count."""
    packed, wanted = ("".join(part.replace("**", "").split()) for part in (text, proof))
    return wanted in packed or (len(packed) > 15 and packed in wanted)
