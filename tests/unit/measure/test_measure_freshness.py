"""New, stale, other."""

import pytest

from groundtune.measure.freshness import changed_questions, freshness, outcome
from groundtune.types import Answer, Question

QUESTION = Question("How many days?", ("25 days", "25"), metadata={"old_answer": "22 days", "changed": True})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer("25 days"), "new"),
        (Answer("It was 22 days, now 25 days."), "new"),
        (Answer("22 days"), "stale"),
        (Answer("40 days"), "other"),
        (Answer("25 days", abstained=True), "other"),
        (Answer("{json}", span="22 days"), "stale"),
    ],
)
def test_outcome(answer, expected):
    assert outcome(QUESTION, answer) == expected


def test_shares():
    found = freshness("rag", ["new", "new", "stale", "other"])
    assert (found.new, found.stale, found.other, found.n) == (0.5, 0.25, 0.25, 4)
    assert freshness("rag", []).n == 0


def test_only_changed_answerable_questions_count():
    same = Question("Where?", ("here",))
    refused = Question("Who?", (), answerable=False, metadata={"old_answer": "Bob"})
    assert changed_questions([same, QUESTION, refused]) == (QUESTION,)
