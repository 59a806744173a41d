"""Counterfactual reruns: each failure counts for the lever that alone would have made it right."""

from dataclasses import replace
from io import StringIO

import pytest
from measure_project import CALLS, calls, changed, make_project, register
from rich.console import Console

from groundtune.measure.results import Report
from groundtune.measure.run import compare
from groundtune.report.terminal import print_comparison

register()


def shares(report, approach="rag"):
    return {c.lever: c.share for c in report.ceilings if c.approach == approach}


@pytest.fixture
def config(tmp_path):
    return changed(make_project(tmp_path / "project"), "compare", counterfactual=True, approaches=("prompt", "rag"))


def test_nothing_to_win_is_said_with_an_interval(config):
    report = compare(config)
    assert set(shares(report).values()) == {0.0} and {c.approach for c in report.ceilings} == {"rag"}
    assert all(c.low == 0.0 < c.high and c.n == 7 and c.success == 1.0 for c in report.ceilings)
    assert compare(changed(config, "compare", counterfactual=False)).ceilings == ()


def test_poor_retrieval_is_won_back_by_the_right_passage(config):
    """One retrieved chunk and a question that names other things more than its own."""
    path = config.folder / "questions.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("How much is annual leave for all staff?", "For all staff: the guest menu, the lunch break, the coffee price?"), encoding="utf-8")  # fmt: skip
    report = compare(changed(config, "retrieval", k=1, context_sentences=1))
    assert shares(report)["retrieval"] == pytest.approx(1 / 7)
    assert shares(report)["reading"] == shares(report)["format"] == 0.0
    before = len(calls(config))
    assert compare(changed(config, "retrieval", k=1, context_sentences=1)).ceilings == report.ceilings
    assert len(calls(config)) == before  # the reruns are on disk as well


def test_a_format_failure_is_the_formats(config):
    prose = replace(config, models=replace(config.models, base=f"house:prose@{config.folder / CALLS}"))
    report = compare(prose)
    found = shares(report)
    assert found["format"] == 1.0 and found["retrieval"] == found["reading"] == found["closed_book"] == 0.0


@pytest.mark.parametrize(("lang", "word"), [("en", "at most"), ("zh-TW", "最多"), ("ja", "最大")])
def test_the_table_is_printed_and_kept(config, lang, word):
    report = compare(config, approaches=["rag"])
    assert Report.from_json(report.to_json()).ceilings == report.ceilings
    out = StringIO()
    print_comparison(report, Console(file=out, width=140), lang)
    assert word in out.getvalue()
