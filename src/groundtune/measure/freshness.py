"""After a document changes: does an approach give the new value, the old one, or something else?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.measure.attribution import is_stale
from groundtune.measure.results import Freshness
from groundtune.measure.scorers import contains
from groundtune.types import Answer, Question

Outcome = Literal["new", "stale", "other"]


@dataclass(frozen=True)
class FreshnessChange:
    """The same changed questions before and after the knowledge base was updated."""

    before: Freshness
    after: Freshness


def old_answer(question: Question) -> str:
    """``metadata["old_answer"]``: what the earlier edition said; empty for a fact that did not change."""
    value = question.metadata.get("old_answer")
    return str(value) if value is not None and question.answerable else ""


def changed_questions(questions: Sequence[Question]) -> tuple[Question, ...]:
    """The questions whose answer another edition of the documents gives differently."""
    return tuple(question for question in questions if old_answer(question))


def outcome(question: Question, answer: Answer, text: str = "") -> Outcome:
    """``text`` is the answer in short form when it was taken out of the output."""
    given = text or answer.span or answer.text
    if answer.abstained:
        return "other"
    if is_stale(given, question.answers, old_answer(question)):
        return "stale"
    return "new" if any(contains(given, gold) for gold in question.answers) else "other"


def freshness(approach: str, outcomes: Sequence[Outcome]) -> Freshness:
    """Shares of the outcomes; all 0 for none."""
    n = len(outcomes)
    share = {name: outcomes.count(name) / n if n else 0.0 for name in ("new", "stale", "other")}
    return Freshness(approach, share["new"], share["stale"], share["other"], n)
