"""The judging model: both orders, agreement with people, labels to fill in, what it costs; it decides nothing."""

import json

import pytest
from measure_project import calls, changed, make_project, register

from groundtune import registry
from groundtune.errors import DataError, SpecError
from groundtune.measure.agreement import agreement, cohen_kappa, trusted
from groundtune.measure.court import Judging
from groundtune.measure.labels import SHEET, load_labels
from groundtune.measure.limits import Limits
from groundtune.measure.results import Agreement, Report
from groundtune.measure.run import compare
from groundtune.types import Generation, Usage

register()
SEEN = []


class JudgeModel:
    """``fair`` knows what is right, ``first`` prefers the first place, ``mute`` says nothing that can be read."""

    def __init__(self, name):
        self.name = f"bench:{name}"
        self._style = name

    def generate(self, messages, *, max_tokens=256, temperature=0.0, seed=0, schema=None):
        shown = json.loads(messages[-1].content)
        SEEN.append(shown)
        said = {"right": self._right(shown, shown["answer"])} if "answer" in shown else {"better": self._better(shown)}
        text = "I would rather not say." if self._style == "mute" else json.dumps(said)
        return Generation(text, Usage(100, 5), 0.01, self.name)

    def _right(self, shown, answer):
        return any(gold in answer for gold in shown["accepted"])

    def _better(self, shown):
        if self._style == "first":
            return "1"
        one, two = self._right(shown, shown["1"]), self._right(shown, shown["2"])
        return "same" if one == two else "1" if one else "2"


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setitem(registry._BUILT_IN["model"], "bench", "test_measure_judge:open_bench")
    SEEN.clear()
    return make_project(tmp_path)


def open_bench(name, **options):
    return JudgeModel(name)


def judged(config, style="fair", labels=None, **options):
    return compare(config, approaches=["prompt", "rag"], judge=Judging(f"bench:{style}", labels), **options)


def test_a_fair_judge_agrees_with_what_needs_no_judge(config):
    report = judged(config)
    for name in ("prompt", "rag"):
        row = report.approach(name)
        assert row.metrics["judged_right"].value == row.metrics["answer_in_output"].value
    (duel,) = report.judge.duels
    assert (duel.a, duel.b, duel.losses, duel.flips) == ("rag", "prompt", 0, 0) and duel.wins == 6
    assert duel.p_value < 0.05 and not report.judge.trusted and report.judge.agreement is None
    assert report.judge.calls == len(SEEN) and report.judge.input_tokens == 100 * len(SEEN)
    assert Report.from_json(report.to_json()) == report
    assert not any(c.metric == "judged_right" for c in report.contrasts)


def test_answers_are_judged_once(config):
    first = judged(config)
    count = len(SEEN)
    assert judged(config).judge == first.judge and len(SEEN) == count


def test_a_preference_for_the_first_place_counts_as_a_tie(config):
    (duel,) = judged(config, "first").judge.duels
    assert (duel.wins, duel.losses) == (0, 0) and duel.flips == duel.ties == 6 and duel.p_value == 1.0


def test_what_cannot_be_read_is_an_error_of_the_judge_and_no_score(config):
    report = judged(config, "mute")
    assert report.judge.errors == report.judge.calls > 0
    assert "judged_right" not in report.approach("rag").metrics and report.approach("rag").metrics["success"].n == 7
    assert report.judge.duels[0].wins == report.judge.duels[0].losses == 0


def test_what_it_costs_counts_towards_the_limit(config):
    report = judged(config, limits=Limits(price=lambda model, usage: 0.5 if model.startswith("bench") else 0.0))
    assert report.judge.dollars == 0.5 and report.settings["spent_dollars"] == 0.5 * len(SEEN)
    again = changed(config, "compare", max_questions=3)
    stopped = compare(again, approaches=["prompt"], judge=Judging("bench:fair"), refresh=True, limits=Limits(max_cost=1.0, price=lambda model, usage: 1.0))  # fmt: skip
    assert len(calls(config)) > 0 and stopped.settings["spent_dollars"] <= 2.0


def test_a_sheet_is_written_filled_in_and_compared(config, tmp_path):
    sheet = tmp_path / "labels.jsonl"
    assert judged(config, labels=sheet).judge.agreement is None
    lines = [json.loads(line) for line in sheet.read_text(encoding="utf-8").splitlines()]
    assert 0 < len(lines) <= SHEET and all(line["right"] is None for line in lines)
    assert load_labels(sheet).blank == len(lines)
    for line in lines:
        line["right"] = line["accepted"][0] in line["answer"]
    lines[0]["right"] = not lines[0]["right"]
    lines.append({"question": "q", "accepted": ["x"], "a": "x", "b": "y", "better": "a"})
    sheet.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    found = judged(config, labels=sheet).judge
    assert found.agreement.n == len(lines) and found.agreement.raw == pytest.approx(1 - 1 / len(lines))
    assert 0.5 < found.agreement.kappa < 1.0 and not found.trusted  # fewer than 50 labels


@pytest.mark.parametrize(
    "line", ["{", '{"question": "q"}', '{"question": "q", "answer": "a", "right": "yes"}', '{"question": "q", "a": "x", "b": "y", "better": "c"}', "[]"]
)  # fmt: skip
def test_a_label_that_cannot_be_read_names_its_line(config, tmp_path, line):
    sheet = tmp_path / "labels.jsonl"
    sheet.write_text(f'{{"question": "q", "answer": "a", "right": true}}\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError, match="2"):
        judged(config, labels=sheet)
    assert not SEEN and not calls(config)


def test_an_unknown_judge_stops_before_anything_is_asked(config):
    with pytest.raises(SpecError):
        compare(config, approaches=["prompt"], judge=Judging("nobody:x"))
    assert not calls(config)


def test_kappa_is_cohens():
    # Cohen's kappa of 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: p_o = 0.7, p_e = 0.5 (the usual textbook table)
    a = ["yes"] * 25 + ["no"] * 25
    b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(a, b) == pytest.approx(0.4)
    assert cohen_kappa(a, a) == 1.0 and cohen_kappa(a, ["no" if x == "yes" else "yes" for x in a]) == pytest.approx(-1)
    assert cohen_kappa(["yes"] * 5, ["yes"] * 5) == 0.0  # one category only shows nothing
    found = agreement(a, b)
    assert found.raw == 0.7 and found.raw_low < 0.7 < found.raw_high and found.kappa_low < 0.4 < found.kappa_high
    # standard error by Fleiss, Cohen & Everitt (1969) for this table: 0.127, so 0.4 ± 0.25
    assert (found.kappa_low, found.kappa_high) == (pytest.approx(0.15, abs=0.05), pytest.approx(0.65, abs=0.05))
    with pytest.raises(ValueError, match="same things"):
        agreement([], [])
    good = Agreement(60, 0.9, 0.8, 0.95, 0.7, 0.5, 0.8)
    assert trusted(good) and not trusted(None) and not trusted(Agreement(49, 0.9, 0.8, 0.95, 0.7, 0.5, 0.8))
    assert not trusted(Agreement(60, 0.9, 0.8, 0.95, 0.59, 0.5, 0.8))
