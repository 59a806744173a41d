from __future__ import annotations

from dataclasses import replace

import pytest
import report_sample as sample

from groundtune.measure.results import ApproachResult, ItemResult, Report
from groundtune.report.examples import MOST, choose, marked, outcome, render, succeeded
from groundtune.report.words import Words


def item(name: str, good: bool, *, answerable: bool = True, error: str = "", part: str = "question") -> ItemResult:
    score = {"success" if part == "question" else "example_success": float(good)}
    return ItemResult(name, part, "d", f"question {name}?", "42", "42", answerable, scores=score, error=error)  # type: ignore[arg-type]


def report_of(**rows: list[ItemResult]) -> Report:
    results = tuple(ApproachResult(name, "m", items=tuple(items)) for name, items in rows.items())
    return replace(sample.make_report("en", 12), approaches=results)


def test_disagreements_come_before_agreements() -> None:
    a = [item(str(i), i != 7) for i in range(30)]
    b = [item(str(i), True) for i in range(30)]
    chosen = choose(report_of(a=a, b=b))
    assert chosen[0].item.id == "7" and not chosen[0].agreed
    assert len(chosen) == 4 and all(side.agreed for side in chosen[1:])


def test_rare_patterns_are_not_crowded_out() -> None:
    a = [item(str(i), i % 2 == 0) for i in range(40)] + [item("x", False, answerable=False)]
    b = [item(str(i), i % 2 == 1) for i in range(40)] + [item("x", True, answerable=False)]
    chosen = choose(report_of(a=a, b=b))
    assert len(chosen) == MOST
    assert "x" in [side.item.id for side in chosen[:3]]
    assert {side.pattern for side in chosen} == {("ok", ""), ("", "ok")}


def test_no_question_is_shown_twice_and_the_choice_is_stable() -> None:
    report = sample.make_report("zh-TW", 120)
    chosen = choose(report)
    questions = [side.item.question for side in chosen]
    assert len(questions) == len(set(questions)) >= 6
    assert chosen == choose(report)
    assert any(not side.item.answerable for side in chosen)


def test_failed_and_skipped_ones_are_left_out() -> None:
    a = [item("1", True), item("2", True)]
    b = [item("1", False), item("2", False, error="down")]
    chosen = choose(report_of(a=a, b=b))
    assert [len(side.answers) for side in chosen] == [2, 1]
    assert choose(replace(report_of(a=a), approaches=(ApproachResult("a", "m", skipped="no"),))) == ()


def test_examples_count_by_their_own_score() -> None:
    assert succeeded(item("1", True, part="example")) and outcome(item("1", True, part="example")) == "ok"
    assert not succeeded(item("1", False, part="example"))


@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        ("It is 26 days.", "26 days", "It is <mark>26 days</mark>."),
        ("The Finance Director signs", "the finance director", "<mark>The Finance Director</mark> signs"),
        ("特別休假為14天。", "14天", "特別休假為<mark>14天</mark>。"),
        ("<b>26 days</b>", "26 days", "&lt;b&gt;<mark>26 days</mark>&lt;/b&gt;"),
        ("nothing", "26 days", "nothing"),
        ("a < b", "", "a &lt; b"),
        ("İ 26", "26", "İ 26"),  # folding changes its length, so places would be wrong
    ],
)
def test_the_expected_answer_is_marked(text: str, expected: str, shown: str) -> None:
    assert marked(text, expected) == shown


def test_a_long_output_is_cut_and_an_empty_one_said() -> None:
    a = [replace(item("1", True), output="x" * 5000), replace(item("2", False), output="  ")]
    b = [item("1", False), item("2", True)]
    html = render(choose(report_of(a=a, b=b)), Words.of("en"), "en")
    assert "x" * 600 + "…" in html and "x" * 601 not in html
    assert "(empty output)" in html
