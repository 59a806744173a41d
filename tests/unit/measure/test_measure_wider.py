"""Rows of several models and of the user's own code, limits, dry runs, and whose fault an error is."""

import sys
from io import StringIO

import pytest
from local_server import LocalServer, Reply
from measure_project import CALLS, calls, changed, make_project, register
from rich.console import Console

from groundtune.errors import ConfigError
from groundtune.measure.answering import GIVE_UP_AFTER
from groundtune.measure.forecast import forecast
from groundtune.measure.limits import Limits, Meter
from groundtune.measure.results import Report
from groundtune.measure.run import compare
from groundtune.report.terminal import print_comparison
from groundtune.types import Usage

register()
APP = """
asked = []
def good(question):
    return {"answer": '{"answer": "25 days", "source": "Leave policy"}', "usage": {"input_tokens": 3}}
def bad(question):
    asked.append(question)
    raise ValueError("their database is down")
def moody(question):
    asked.append(question)
    if len(asked) % 2:
        raise ValueError("sometimes")
    return "no idea"
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    made = make_project(tmp_path / "project")
    (made.folder / "wider_app.py").write_text(APP, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield made
    sys.modules.pop("wider_app", None)


def test_long_context_is_shown_the_evidence_and_says_when_it_does_not_fit(config):
    report = compare(config, approaches=["rag", "long-context"])
    long = report.approach("long-context")
    assert all(item.evidence_shown for item in long.items if item.answerable and item.part == "question")
    assert long.input_tokens > report.approach("rag").input_tokens and not any(item.retrieved for item in long.items)
    small = compare(changed(config, "compare", window=120), approaches=["rag", "long-context"])
    assert "120" in small.approach("long-context").skipped and small.approach("rag").items


def test_constrained_rows_stand_beside_the_plain_ones(config):
    report = compare(config, approaches=["rag", "rag+constrained"])
    assert [a.name for a in report.approaches] == ["rag", "rag+constrained"]
    assert len(calls(config)) == 2 * len(report.approach("rag").items)
    bare = compare(changed(config, "format", schema=""), approaches=["prompt", "prompt+constrained"])
    assert "schema" in bare.approach("prompt+constrained").skipped


def test_the_users_code_is_measured_beside_ours(config):
    report = compare(config, approaches=["rag", "python:wider_app:good"])
    theirs = report.approach("python:wider_app:good")
    assert theirs.metrics["success"].value == pytest.approx(1 / 7) and theirs.input_tokens == 3
    assert any(c.a == "python:wider_app:good" and c.b == "rag" for c in report.contrasts)
    assert Report.from_json(report.to_json()) == report


def test_code_that_always_raises_is_stopped_and_is_no_wrong_answer(config):
    report = compare(config, approaches=["prompt", "python:wider_app:bad"])
    theirs = report.approach("python:wider_app:bad")
    assert "ValueError: their database is down" in theirs.skipped and not theirs.metrics
    assert len(sys.modules["wider_app"].asked) == GIVE_UP_AFTER
    assert report.approach("prompt").items


def test_code_that_raises_now_and_then_is_counted_apart(config):
    report = compare(config, approaches=["python:wider_app:moody"])
    theirs = report.approach("python:wider_app:moody")
    failed = [item for item in theirs.items if item.error]
    assert theirs.errors == len(failed) > 0 and theirs.metrics["success"].n < 7
    assert all(item.label == "error" and not item.scores for item in failed)
    out = StringIO()
    print_comparison(report, Console(file=out, width=140), "en")
    assert "ValueError: sometimes" in out.getvalue()


def test_what_cannot_be_loaded_stops_before_anything_is_asked(config):
    with pytest.raises(ConfigError, match="wider_app"):
        compare(config, approaches=["prompt", "python:wider_app:gone"])
    assert calls(config) == []


def test_a_second_model_has_rows_of_its_own(config):
    prose = f"house:prose@{config.folder / CALLS}"
    report = compare(config, approaches=["prompt", "rag"], models=[config.models.base, prose])
    assert [a.name for a in report.approaches] == ["prompt", "rag", f"prompt @ {prose}", f"rag @ {prose}"]
    second = report.approach(f"rag @ {prose}")
    assert (second.metrics["format_valid"].value, report.approach("rag").metrics["format_valid"].value) == (0.0, 1.0)
    pairs = {(c.a, c.b) for c in report.contrasts if c.metric == "format_valid"}
    assert {(f"rag @ {prose}", "rag"), (f"prompt @ {prose}", f"rag @ {prose}")} <= pairs
    assert any(config.models.base in note for note in report.notes)


def test_a_second_model_that_is_not_there_stops_its_rows_only(config):
    gone = f"house:gone@{config.folder / CALLS}"
    report = compare(config, approaches=["prompt"], models=[config.models.base, gone])
    assert report.approach("prompt").items and report.approach(f"prompt @ {gone}").skipped


def test_a_failing_server_is_an_error_of_the_harness(config, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setattr("groundtune.models.http.FIRST_WAIT", 0.001)
    with LocalServer([Reply({"error": {"message": "overloaded"}}, status=500)]) as server:
        spec = f"openai:m@{server.url}/v1"
        report = compare(changed(config, "compare", max_questions=2), approaches=["prompt"], models=["house:json@" + str(config.folder / CALLS), spec])  # fmt: skip
        tries = len(server.seen)
    row = report.approach(f"prompt @ {spec}")
    assert row.metrics == {} and (row.skipped or row.errors == len(row.items))
    assert not any(item.scores for item in row.items) and tries > 2


def test_a_limit_of_cost_stops_and_the_next_run_goes_on(config):
    limits = Limits(max_cost=3.0, price=lambda model, usage: 1.0)
    first = compare(config, approaches=["prompt", "rag"], limits=limits)
    assert len(calls(config)) == 3 and first.settings["spent_dollars"] == 3.0
    prompt = first.approach("prompt")
    assert (len(prompt.items), prompt.missing) == (3, len(compare_items(config)) - 3)
    assert first.approach("rag").skipped and any("prompt" in note for note in first.notes)
    whole = compare(config, approaches=["prompt", "rag"])
    assert len(calls(config)) == sum(len(a.items) for a in whole.approaches)
    assert not any(a.missing for a in whole.approaches)


def compare_items(config):
    return range(sum(row.calls + row.kept for row in forecast(config, approaches=["prompt"])))


def test_time_runs_out_and_requests_are_spaced():
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    meter = Meter(Limits(max_minutes=0.05), 60.0, clock=lambda: now[0], sleep=sleep)
    for _ in range(3):
        meter.wait()
    assert slept == [1.0, 1.0] and not meter.exhausted
    meter.wait()
    assert meter.exhausted
    paid = Meter(Limits(max_cost=0.5, price=lambda model, usage: usage.input_tokens / 10))
    paid.add("m", Usage(4))
    assert not paid.exhausted
    paid.add("m", Usage(1))
    assert paid.exhausted and paid.dollars == 0.5


def test_a_dry_run_asks_nothing_and_counts_what_the_run_then_asks(config):
    names = ["prompt", "few-shot", "rag", "long-context", "python:wider_app:bad"]
    rows = {row.name: row for row in forecast(config, approaches=names)}
    assert calls(config) == [] and not (rows["python:wider_app:bad"].known)
    report = compare(config, approaches=names[:4])
    for name in names[:4]:
        assert rows[name].calls == len(report.approach(name).items)
    assert rows["prompt"].input_tokens < rows["rag"].input_tokens < rows["long-context"].input_tokens
    again = forecast(config, approaches=["prompt"])[0]
    assert (again.calls, again.kept) == (0, rows["prompt"].calls)
    assert forecast(config, approaches=["prompt"], refresh=True)[0].calls == rows["prompt"].calls
    assert "120" in forecast(changed(config, "compare", window=120), approaches=["long-context"])[0].skipped


def test_a_server_that_asks_to_slow_down_costs_no_answer(config, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.setattr("groundtune.models.http.FIRST_WAIT", 0.001)
    refused = set()

    def reply(seen):
        asked = seen.body["messages"][-1]["content"]
        if asked not in refused:  # every question is refused once
            refused.add(asked)
            return Reply({"error": {"message": "slow down"}}, status=429, headers={"retry-after-ms": "5"})
        message = {"role": "assistant", "content": '{"answer": "25 days", "source": "Leave policy"}'}
        usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
        return Reply({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
                      "choices": [{"index": 0, "finish_reason": "stop", "message": message}]})  # fmt: skip

    with LocalServer(reply) as server:
        report = compare(config, approaches=["prompt"], models=[f"openai:m@{server.url}/v1"], workers=8)
    row = report.approach("prompt")
    assert len(refused) == len(row.items) and row.errors == 0 and row.missing == 0
    assert row.metrics["success"].n == 7 and row.metrics["success"].value == pytest.approx(1 / 7)
