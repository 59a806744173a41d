"""Why an answer failed: a deterministic waterfall, the first label that fits wins.

After Barnett et al. (seven failure points, arXiv 2401.05856), Joren et al. (sufficient context, arXiv 2411.06037) and
RAGChecker's split of wrong claims by the passage that they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.measure.scorers import contains

LABELS = (
    "ok",
    "error",  # the harness or the model failed: not scored
    "unsupported_answer",  # answered although the documents do not say
    "format",  # right, but not in the house format
    "retrieval_recall",  # the evidence was not found at any depth that was looked at
    "retrieval_ranking",  # found, but below the k that are used
    "retrieval_packing",  # among the k, but cut from what the model was shown
    "over_refusal",  # refused although the evidence was there to answer
    "stale",  # the earlier edition's answer
    "distractor",  # a value from a passage that is not the evidence
    "hallucination",  # a value that stands in no passage shown
    "reading",  # the evidence was shown and read wrongly or in part
)
RETRIEVAL = ("retrieval_recall", "retrieval_ranking", "retrieval_packing")


@dataclass(frozen=True)
class Shown:
    """A passage that the model was shown; ``gold`` when it holds (part of) the evidence."""

    text: str
    gold: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known about one answer. ``content_right`` ignores the format; ``evidence_shown`` is None without gold
    evidence; ``evidence_rank`` counts from 1 in the deep retrieval list, None when it is not in it.
    """

    error: bool = False
    answerable: bool = True
    success: bool = False
    abstained: bool = False
    content_right: bool = False
    retrieves: bool = False
    evidence_shown: bool | None = None
    evidence_rank: int | None = None
    k: int = 0
    answer: str = ""
    golds: Sequence[str] = ()
    old_answer: str = ""
    shown: Sequence[Shown] = ()


def attribute(facts: Facts) -> str:
    """One of ``LABELS``."""
    if facts.error:
        return "error"
    if facts.success:
        return "ok"
    if not facts.answerable:
        return "format" if facts.abstained else "unsupported_answer"
    if facts.content_right:
        return "format"
    if facts.retrieves and facts.evidence_shown is False:
        return _retrieval(facts)
    if facts.abstained or not facts.answer.strip():
        return "over_refusal"
    if facts.old_answer and is_stale(facts.answer, facts.golds, facts.old_answer):
        return "stale"
    return _source(facts)


def is_stale(answer: str, golds: Sequence[str], old_answer: str) -> bool:
    """The answer gives the earlier edition's value and not the current one."""
    return contains(answer, old_answer) and not any(
        contains(answer, gold) and not contains(old_answer, gold) for gold in golds
    )


def _retrieval(facts: Facts) -> str:
    if facts.evidence_rank is None:
        return "retrieval_recall"
    return "retrieval_packing" if facts.evidence_rank <= facts.k else "retrieval_ranking"


def _source(facts: Facts) -> str:
    if any(contains(facts.answer, gold) for gold in facts.golds):
        return "reading"  # right in substance: too long, or another field is wrong
    holding = [shown for shown in facts.shown if contains(shown.text, facts.answer)]
    if holding:
        known = facts.evidence_shown is not None
        return "distractor" if known and not any(shown.gold for shown in holding) else "reading"
    partly = facts.evidence_shown and any(contains(gold, facts.answer) for gold in facts.golds)
    return "reading" if partly else "hallucination"
