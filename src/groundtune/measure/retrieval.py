"""Did retrieval find the evidence? Ranks over the index and coverage of what a model was shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from groundtune.measure.citations import locate
from groundtune.measure.scorers import contains
from groundtune.types import Hit, Question, Span

DEPTH = 100  # how deep the index is searched to tell a ranking miss from a recall miss
_CUTS = (1, 3, 5, 10)

Search = Callable[[str, int], Sequence[Hit]]


@dataclass(frozen=True)
class EvidenceRank:
    """Rank (from 1) of the evidence in the deep list: ``document`` of its first chunk from the right document,
    ``quote`` of its first chunk that holds the quote (or the part of it that holds an answer). None: not in the list.
    """

    document: int | None = None
    quote: int | None = None


def covered(place: Span, document: str, text: str, hits: Sequence[Hit]) -> bool:
    """True when the hits from ``document`` together hold every character of ``place`` that is not white space."""
    spans = [(h.chunk.start, h.chunk.end) for h in hits if h.chunk.document_id == document]
    return all(
        text[position].isspace() or any(start <= position < end for start, end in spans)
        for position in range(place.start, place.end)
    )


def holds(hit: Hit, question: Question, place: Span) -> bool:
    """One hit holds the quote, or touches it and holds an accepted answer."""
    chunk = hit.chunk
    if question.evidence is None or chunk.document_id != question.evidence.document:
        return False
    if chunk.start <= place.start and place.end <= chunk.end:
        return True
    touches = chunk.start < place.end and place.start < chunk.end
    return touches and any(contains(chunk.text, answer) for answer in question.answers)


def evidence_place(question: Question, texts: Mapping[str, str]) -> Span | None:
    """Where the evidence quote stands in its document; None without evidence or when it is not there."""
    if question.evidence is None or question.evidence.document not in texts:
        return None
    return locate(texts[question.evidence.document], question.evidence.quote)


def evidence_shown(question: Question, texts: Mapping[str, str], hits: Sequence[Hit]) -> bool | None:
    """The shown passages hold the evidence; None when the question has none."""
    place = evidence_place(question, texts)
    if place is None or question.evidence is None:
        return None
    document = question.evidence.document
    return covered(place, document, texts[document], hits) or any(holds(hit, question, place) for hit in hits)


def evidence_rank(question: Question, texts: Mapping[str, str], search: Search) -> EvidenceRank:
    """Search the index 100 deep for one question."""
    place = evidence_place(question, texts)
    if place is None or question.evidence is None:
        return EvidenceRank()
    hits = search(question.text, DEPTH)
    document = question.evidence.document
    return EvidenceRank(
        next((n for n, hit in enumerate(hits, 1) if hit.chunk.document_id == document), None),
        next((n for n, hit in enumerate(hits, 1) if holds(hit, question, place)), None),
    )


def recall_table(ranks: Sequence[EvidenceRank], k: int) -> dict[str, float]:
    """``document_recall@n`` and ``evidence_recall@n`` for n in 1, 3, 5, 10 and ``k``, and the mean reciprocal rank of
    the evidence (0 for one that is not in the first 100). Empty without questions that have evidence.
    """
    if not ranks:
        return {}
    table: dict[str, float] = {"questions": float(len(ranks))}
    for n in sorted({*_CUTS, k}):
        table[f"document_recall@{n}"] = sum(r.document is not None and r.document <= n for r in ranks) / len(ranks)
        table[f"evidence_recall@{n}"] = sum(r.quote is not None and r.quote <= n for r in ranks) / len(ranks)
    table["evidence_mrr"] = sum(1.0 / r.quote for r in ranks if r.quote) / len(ranks)
    return table
