"""The waterfall: each label by the facts that lead to it, and the order of the steps."""

import pytest

from groundtune.measure.attribution import LABELS, Facts, Shown, attribute, is_stale

GOLD = Shown("Staff get 25 days.", gold=True)
OTHER = Shown("Interns get 12 days.")
READS = {"retrieves": True, "evidence_shown": True, "evidence_rank": 1, "k": 5, "golds": ("25 days",)}
CASES = [
    ("error", Facts(error=True, success=True)),
    ("ok", Facts(success=True)),
    ("ok", Facts(answerable=False, success=True, abstained=True)),
    ("unsupported_answer", Facts(answerable=False, answer="12 days")),
    ("format", Facts(answerable=False, abstained=True)),
    ("format", Facts(content_right=True, answer="25 days", **READS)),
    ("format", Facts(content_right=True, answer="25 days", **READS | {"evidence_shown": False})),
    ("retrieval_recall", Facts(answer="12", **READS | {"evidence_shown": False, "evidence_rank": None})),
    ("retrieval_ranking", Facts(answer="12", **READS | {"evidence_shown": False, "evidence_rank": 6})),
    ("retrieval_packing", Facts(abstained=True, **READS | {"evidence_shown": False, "evidence_rank": 5})),
    ("over_refusal", Facts(abstained=True, answer="I cannot say", **READS)),
    ("over_refusal", Facts(answer=" ", **READS)),
    ("stale", Facts(answer="22 days", old_answer="22 days", shown=(GOLD, OTHER), **READS)),
    ("distractor", Facts(answer="12 days", shown=(GOLD, OTHER), **READS)),
    ("hallucination", Facts(answer="40 days", shown=(GOLD, OTHER), **READS)),
    ("reading", Facts(answer="Staff", shown=(GOLD, OTHER), **READS)),
    ("reading", Facts(answer="25", shown=(GOLD, OTHER), **READS)),
    ("hallucination", Facts(answer="40 days", golds=("25 days",))),
    ("over_refusal", Facts(abstained=True, golds=("25 days",))),
    ("stale", Facts(answer="It is 22 days", old_answer="22 days", golds=("25 days",))),
]


@pytest.mark.parametrize(("label", "facts"), CASES)
def test_first_label_that_fits(label, facts):
    assert attribute(facts) == label


def test_every_label_is_reachable():
    assert {label for label, _ in CASES} == set(LABELS)


@pytest.mark.parametrize(
    ("answer", "golds", "old", "stale"),
    [
        ("5 days", ("8 days",), "5 days", True),
        ("8 days", ("8 days",), "5 days", False),
        ("from 5 days to 8 days", ("8 days",), "5 days", False),
        ("五日", ("8日",), "5日", True),
        ("15 days", ("15 days",), "5 days", False),
        ("9 days", ("8 days",), "5 days", False),
        ("3 working days", ("3",), "3 working days", True),  # the new form stands inside the old one
    ],
)
def test_stale_is_the_old_value_without_the_new_one(answer, golds, old, stale):
    assert is_stale(answer, golds, old) is stale
