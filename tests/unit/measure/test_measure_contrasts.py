"""Which pairs are declared, in which direction, and that Holm runs over all of them."""

from itertools import combinations

import pytest

from groundtune.measure.contrasts import contrast_of, declared_contrasts
from groundtune.measure.results import ApproachResult, ItemResult
from groundtune.measure.stats import holm
from groundtune.measure.summary import metrics_of, shown_table, summarise
from groundtune.types import Answer, Chunk, Hit, Usage


def ran(name, successes, f1=None):
    items = tuple(
        ItemResult(
            str(i),
            "question",
            f"g{i}",
            "?",
            "",
            "",
            scores={"success": float(s), "answer_f1": f1, "format_valid": None},
        )
        for i, s in enumerate(successes)
    )
    return ApproachResult(name, "fake", metrics=metrics_of(items), items=items)


RESULTS = [
    ran("prompt", [0] * 40, 0.1),
    ran("rag", [1] * 20 + [0] * 20, 0.5),
    ran("finetune", [0] * 35 + [1] * 5, 0.2),
    ran("rag+finetune", [1] * 30 + [0] * 10, 0.9),
    ApproachResult("few-shot", "fake", skipped="no examples"),
]


def test_everything_is_compared_with_rag_and_with_the_best():
    contrasts = declared_contrasts(RESULTS)
    pairs = [(c.a, c.b) for c in contrasts if c.metric == "success"]
    assert pairs == [
        ("prompt", "rag"), ("finetune", "rag"), ("rag+finetune", "rag"), ("rag+finetune", "prompt"), ("rag+finetune", "finetune"),
    ]  # fmt: skip
    ran = [result for result in RESULTS if result.items]
    every = {frozenset((a.name, b.name)): contrast_of(a, b, "success").p_value for a, b in combinations(ran, 2)}
    adjusted = dict(zip(every, holm(list(every.values())), strict=True))  # any of them could have been the best
    for contrast in (c for c in contrasts if c.metric == "success"):
        assert contrast.p_adjusted == pytest.approx(adjusted[frozenset((contrast.a, contrast.b))])
    assert {c.metric for c in contrasts} == {"success", "answer_f1"}  # no item has a format


def test_difference_direction_and_detectable():
    contrast = contrast_of(RESULTS[3], RESULTS[1], "success")
    assert contrast.difference == pytest.approx(0.25)
    assert contrast.low > 0 and contrast.p_value == pytest.approx(2 / 2**10)
    assert 0.1 < contrast.detectable < 0.4
    assert contrast_of(RESULTS[1], RESULTS[3], "success").difference == pytest.approx(-0.25)
    assert contrast_of(RESULTS[4], RESULTS[1], "success") is None


def test_when_rag_is_best_it_is_compared_once():
    contrasts = declared_contrasts([ran("prompt", [0] * 9 + [1]), ran("rag", [1] * 10)])
    assert [(c.a, c.b, c.metric) for c in contrasts if c.metric == "success"] == [("prompt", "rag", "success")]


def test_one_approach_alone_has_no_contrast():
    assert declared_contrasts([RESULTS[1]]) == ()


def test_only_items_that_both_answered_are_paired():
    a, b = ran("a", [1, 1, 0, 1]), ran("b", [1, 0, 0, 1])
    failed = ItemResult("0", "question", "g0", "?", "", "", error="no", label="error")
    b = ApproachResult("b", "fake", items=(failed, *b.items[1:]))
    assert contrast_of(a, b, "success").n == 3


def test_summary_counts_errors_apart_and_keeps_time_and_tokens():
    chunk = Chunk("c", "d1", "v", "x" * 90, 0, 90, "d")
    answers = [
        Answer("a", usage=Usage(100, 10), seconds=1.0, context=(Hit(chunk, 1.0),)),
        Answer("b", usage=Usage(50, 20), seconds=3.0),
    ]
    items = [
        ItemResult("1", "question", "d1", "0123456789", "", "a", scores={"success": 1.0}, retrieved=("d1",),
                   evidence_shown=True, input_tokens=100, output_tokens=10, seconds=1.0, label="ok"),
        ItemResult("2", "question", "d2", "?", "", "", error="no", label="error"),
        ItemResult("3", "question", "d3", "?", "", "b", scores={"success": 0.0}, retrieved=("d1",), evidence_shown=False,
                   input_tokens=50, output_tokens=20, seconds=3.0, label="reading"),
    ]  # fmt: skip
    found = summarise("rag", "fake", items, answers, fit_seconds=2.0, seed=0)
    assert (found.errors, found.latency_p50, found.latency_p95) == (1, 2.0, pytest.approx(2.9))
    assert (found.input_tokens, found.output_tokens, found.retrieved_tokens) == (75.0, 15.0, 45.0)
    assert found.metrics["success"].n == 2 and found.metrics["success"].value == 0.5
    assert found.labels == {"ok": 1, "error": 1, "reading": 1}
    assert shown_table([found]) == {"document_shown[rag]": 0.5, "evidence_shown[rag]": 0.5}
