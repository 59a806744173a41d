"""Stopping when it is decided: who leads, who is out, what was saved, and what the report then says."""

import json
from collections import Counter

import pytest
from measure_project import calls, changed, document, make_project, register

from groundtune.measure.contrasts import anytime_contrasts
from groundtune.measure.items import Item
from groundtune.measure.limits import Limits
from groundtune.measure.race import FIRST, in_random_order, largest_cluster, stand
from groundtune.measure.results import ApproachResult, ItemResult, Report
from groundtune.measure.run import compare
from groundtune.types import Question

register()
COUNT = 90


@pytest.fixture
def config(tmp_path):
    """Ninety documents with one question each: only an approach that retrieves can know the answers."""
    made = make_project(tmp_path)
    rows = []
    for number in range(COUNT):
        topic, value = f"allowance {number}x", f"{number + 20} pounds"
        (tmp_path / "documents" / f"more{number}.md").write_text(document(f"more{number}", [(topic, value)]))
        quote = f"For all staff {topic} is {value}."
        row = {"question": f"How much is {topic} for all staff?", "answers": [value]}
        rows.append({**row, "evidence": {"document": f"more{number}.md", "quote": quote}})
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "examples.jsonl").unlink()
    return made


def test_it_stops_as_soon_as_the_leader_is_clear_and_says_what_was_saved(config):
    report = compare(config, approaches=["prompt", "rag"], until_decided=True)
    stop = report.stopping
    assert stop.decided and stop.leader == "rag" and stop.worse == ("prompt",) and stop.total == COUNT
    assert stop.asked == FIRST == len(report.approach("rag").items) and stop.looks == 1
    assert stop.saved == {"prompt": COUNT - FIRST, "rag": COUNT - FIRST} and len(calls(config)) == 2 * FIRST
    (contrast,) = [c for c in report.contrasts if c.metric == "success"]
    assert (contrast.a, contrast.b) == ("rag", "prompt") and contrast.low > 0 and contrast.p_adjusted < 0.05
    assert not any(a.missing for a in report.approaches)
    level = report.approach("rag").metrics["success"]
    assert level.n == FIRST and level.low < level.value
    assert Report.from_json(report.to_json()) == report
    whole = compare(config, approaches=["prompt", "rag"])  # goes on with the rest and forgets nothing
    assert len(calls(config)) == 2 * COUNT and whole.stopping is None
    assert whole.approach("rag").metrics["success"].low > level.low


def test_two_that_are_the_same_are_not_decided_by_chance(config):
    report = compare(changed(config, "compare", shots=0), approaches=["prompt", "few-shot"], until_decided=True)
    assert not report.stopping.worse and report.approach("few-shot").skipped  # there are no examples to show
    assert report.stopping.asked == COUNT and not report.stopping.decided  # alone: nothing to decide, all are asked


def test_equal_within_the_margin_is_a_decision_too(config):
    wide = changed(config, "requirements", minimum_gain=0.25)
    report = compare(wide, approaches=["rag", "rag+constrained"], until_decided=True)
    stop = report.stopping
    assert stop.decided and not stop.worse and len(stop.equal) == 1 and stop.asked < COUNT
    exact = compare(changed(config, "requirements", minimum_gain=0.0), approaches=["rag", "rag+constrained"], until_decided=True)  # fmt: skip
    assert not exact.stopping.decided and exact.stopping.asked == COUNT


def test_a_budget_ends_it_undecided_and_the_next_run_goes_on(config):
    limits = Limits(max_cost=10.0, price=lambda model, usage: 1.0)
    report = compare(config, approaches=["prompt", "rag"], until_decided=True, limits=limits)
    assert not report.stopping.decided and len(calls(config)) == 10
    assert compare(config, approaches=["prompt", "rag"], until_decided=True).stopping.decided
    assert len(calls(config)) == 2 * FIRST


def scores(values, groups=None):
    return {("question", str(i)): (v, groups[i] if groups else str(i)) for i, v in enumerate(values)}


def test_standing_names_the_worse_the_equal_and_the_open():
    base = [1.0, 1.0, 0.0, 1.0] * 30
    found = stand(
        {"best": scores(base), "same": scores(base), "bad": scores([0.0] * 120), "near": scores([1.0, 0.0, 0.0, 1.0] * 4)},
        ["best", "same", "bad", "near"],
        0.2,
        1,
    )  # fmt: skip
    assert (found.leader, found.worse, found.equal, found.open) == ("best", ("bad",), ("same",), ("near",))
    out = stand({"best": scores(base), "bad": scores([0.0] * 120)}, ["best"], 0.2, 1)
    assert (out.leader, out.worse, out.open) == ("best", (), ())
    assert stand({"a": {}, "b": {}}, ["a", "b"], 0.1, 1).open == ("a", "b")


def test_whole_documents_in_an_order_that_the_seed_decides():
    items = [Item(str(i), "question", f"d{i % 7}", Question(str(i))) for i in range(40)]
    order = in_random_order(items, 3)
    assert sorted(order, key=lambda i: int(i.id)) == items and order != items
    changes = sum(a.group != b.group for a, b in zip(order, order[1:], strict=False))
    assert changes == 6 and in_random_order(items, 3) == order != in_random_order(items, 4)
    assert largest_cluster(items) == max(Counter(i.group for i in items).values())


def test_every_pair_is_declared_when_anyone_may_lead():
    def result(name, values):
        items = [
            ItemResult(str(i), "question", f"d{i}", "?", "", "", scores={"success": v, "answer_f1": v})
            for i, v in enumerate(values)
        ]
        return ApproachResult(name, "m", items=tuple(items))

    found = anytime_contrasts([result("rag", [1.0] * 40), result("prompt", [0.0] * 40), result("few-shot", [0.0, 1.0] * 20)], 1)  # fmt: skip
    assert {(c.a, c.b) for c in found if c.metric == "success"} == {("prompt", "rag"), ("few-shot", "rag"), ("few-shot", "prompt")}  # fmt: skip
    assert all(c.p_adjusted >= c.p_value for c in found)
