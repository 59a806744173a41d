"""``compare`` from end to end on a small project: report, cache, resume after kill -9, skips, bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from measure_project import SCHEMA, calls, changed, make_project, project_config, register

from groundtune.errors import ConfigError, DataError, ModelUnreachable
from groundtune.measure.answering import GIVE_UP_AFTER
from groundtune.measure.context_size import measure_context
from groundtune.measure.results import METRICS, Report
from groundtune.measure.run import compare, write_report_json
from groundtune.measure.updates import measure_freshness

register()


@pytest.fixture
def config(tmp_path):
    return make_project(tmp_path / "project")


def facts(report):
    """The report without what changes from run to run."""
    return replace(report, created="", approaches=tuple(replace(a, fit_seconds=0.0) for a in report.approaches))


def test_the_report_says_what_happened(config):
    report = compare(config)
    assert (report.questions, report.unanswerable, report.documents) == (7, 1, 4)
    assert report.examples_held_out + report.examples_trained == 18
    prompt, rag = report.approach("prompt"), report.approach("rag")
    assert rag.metrics["success"].value == 1.0
    assert prompt.metrics["success"].value == pytest.approx(1 / 7)  # it refuses what nobody can know
    assert rag.metrics["citation_recall"].value == rag.metrics["quote_verbatim"].value == 1.0
    assert rag.metrics["source_right"].value == 1.0
    assert prompt.metrics["format_valid"].value == 1.0
    assert rag.metrics["example_success"].value == 1.0
    assert set(rag.metrics) <= set(METRICS)
    assert rag.input_tokens > prompt.input_tokens
    assert 0 < rag.retrieved_tokens < rag.input_tokens
    assert prompt.retrieved_tokens == 0
    assert report.retrieval["evidence_recall@5"] == report.retrieval["evidence_shown[rag]"] == 1.0
    assert {item.label for item in rag.items} == {"ok"}
    assert prompt.labels["hallucination"] >= 6
    assert rag.items[0].group.endswith("leave.md")
    success = next(c for c in report.contrasts if (c.metric, c.a, c.b) == ("success", "prompt", "rag"))
    assert success.difference == pytest.approx(-6 / 7)
    assert success.n == 7
    assert report.settings["retrieval.context_sentences"] == 2


def test_the_report_survives_the_disk(config, tmp_path):
    report = compare(config, approaches=["prompt"])
    path = write_report_json(report, tmp_path / "runs" / "report.json")
    assert Report.read(path) == report
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]


def test_running_again_asks_nothing_and_says_the_same(config):
    first = compare(config)
    asked = len(calls(config))
    assert facts(compare(config)) == facts(first)
    assert len(calls(config)) == asked
    compare(config, approaches=["prompt"], refresh=True)
    assert len(calls(config)) == asked + len(first.approach("prompt").items)


@pytest.mark.parametrize(
    ("section", "values", "asked_again"),
    [
        ("retrieval", {"context_sentences": 1}, ("rag",)),
        ("format", {"instruction": "Only JSON."}, ("prompt", "few-shot", "rag")),
        ("compare", {"shots": 2}, ("few-shot",)),
        ("compare", {"max_answer_tokens": 40}, ("prompt", "few-shot", "rag")),
        ("tuning", {"epochs": 3}, ()),
    ],
)
def test_a_changed_setting_asks_again_exactly_what_it_affects(config, section, values, asked_again):
    first = compare(config)
    before = len(calls(config))
    compare(changed(config, section, **values))
    per_approach = len(first.approach("rag").items)
    assert len(calls(config)) - before == per_approach * len(asked_again)


def test_a_changed_document_asks_only_the_retrieving_approach_again(config):
    first = compare(config)
    before = len(calls(config))
    path = config.folder / "documents" / "canteen.md"
    path.write_text(path.read_text(encoding="utf-8") + "\nOpen all year.\n", encoding="utf-8")
    compare(config)
    assert len(calls(config)) - before == len(first.approach("rag").items)


def test_kill_minus_nine_loses_no_answer(config):
    """The run is killed in the middle; the second one asks only what is missing and reports the same."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom measure_project import project_config, register\n"
        "from groundtune.measure.run import compare\nregister(); compare(project_config(Path(sys.argv[2])))"
    )
    environment = {**os.environ, "HOUSE_SECONDS": "0.05"}
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(config.folder)]
    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 60
    while len(calls(config)) < 8 and time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = calls(config)
    report = compare(project_config(config.folder))
    total = sum(len(a.items) for a in report.approaches)
    assert 8 <= len(before) < total
    assert len(calls(config)) <= total + 1  # at most the answer that was being written is asked twice
    fresh = compare(project_config(config.folder), refresh=True)
    assert [a.metrics for a in fresh.approaches] == [a.metrics for a in report.approaches]
    assert report.approach("rag").latency_p50 > 0


def test_prose_around_the_json_is_a_format_failure(tmp_path):
    report = compare(make_project(tmp_path / "p", "prose"), approaches=["rag"])
    rag = report.approach("rag")
    assert rag.metrics["answer_em"].value == 1.0
    assert rag.metrics["format_valid"].value == rag.metrics["success"].value == 0.0
    assert rag.labels == {"format": len(rag.items)}


def test_without_questions_the_examples_decide(config):
    (config.folder / "questions.jsonl").unlink()
    report = compare(config, approaches=["prompt", "rag"])
    assert report.questions == 0
    rag = report.approach("rag").metrics
    assert rag["success"] == rag["example_success"]
    assert any("no questions" in note for note in report.notes)
    assert {c.metric for c in report.contrasts} >= {"success", "format_valid"}


def test_without_documents_retrieval_is_skipped_with_a_reason(config):
    bare = changed(config, "project", documents=())
    report = compare(bare)
    assert "no documents" in report.approach("rag").skipped.lower()
    assert report.approach("prompt").items
    assert report.documents == 0


def test_too_few_examples_skip_training(config):
    lines = (config.folder / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    (config.folder / "examples.jsonl").write_text("\n".join(lines[:6]), encoding="utf-8")
    report = compare(config, approaches=["prompt", "finetune", "rag+finetune"])
    assert "at least 10" in report.approach("finetune").skipped
    assert "at least 10" in report.approach("rag+finetune").skipped


def test_a_base_that_cannot_be_trained_is_skipped_with_a_reason(config):
    skipped = compare(config, approaches=["prompt", "finetune"]).approach("finetune")
    assert skipped.skipped and not skipped.items


def test_max_questions_takes_a_spread_and_says_so(config):
    report = compare(changed(config, "compare", max_questions=3), approaches=["prompt"])
    assert report.questions == 3
    assert any("3 of 7" in note for note in report.notes)


def test_training_examples_that_ask_a_question_are_left_out(config):
    row = {"messages": [{"role": "user", "content": "How much is annual leave for all staff?"},
                        {"role": "assistant", "content": '{"answer": "25 days", "source": "Leave policy"}'}],
           "metadata": {"document": "leave.md"}}  # fmt: skip
    with (config.folder / "examples.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    report = compare(changed(config, "compare", held_out=0.0), approaches=["prompt"])
    assert (report.examples_trained, report.examples_held_out) == (18, 0)
    assert any("left out of training" in note for note in report.notes)


def test_progress_reaches_the_end_of_every_stage(config):
    heard = []
    compare(config, approaches=["prompt", "rag"], progress=heard.append)
    assert heard[0].stage == "index"
    assert {(p.stage, p.approach) for p in heard} >= {
        ("fit", "rag"),
        ("answer", "prompt"),
        ("answer", "rag"),
        ("retrieval", ""),
    }
    last = [p for p in heard if p.stage == "answer"][-1]
    assert (last.done, last.seconds_left) == (last.total, 0.0)


def test_an_unreachable_model_stops_the_comparison_after_a_few_tries(config):
    with pytest.raises(ModelUnreachable):
        compare(project_config(config.folder, "gone"))
    assert len(calls(config)) == GIVE_UP_AFTER


def test_several_workers_report_the_same(config):
    one = compare(config)
    several = compare(config, refresh=True, workers=3)
    assert [a.metrics for a in several.approaches] == [a.metrics for a in one.approaches]
    assert [i.id for i in several.approach("rag").items] == [i.id for i in one.approach("rag").items]


@pytest.mark.tune
@pytest.mark.slow
def test_a_tuned_approach_is_trained_once_and_resumes(config, tmp_path):
    pytest.importorskip("peft")
    sys.path.insert(0, str(Path(__file__).parent.parent / "tuning"))
    from tiny_llama import make_base

    tuned = changed(config, "models", base=f"hf:{make_base(tmp_path / 'base')}")
    tuned = changed(changed(tuned, "tuning", epochs=1), "compare", max_questions=2, max_answer_tokens=8, held_out=0.0)
    first = compare(tuned, approaches=["prompt", "finetune"])
    finetune = first.approach("finetune")
    assert finetune.skipped == ""
    assert finetune.items and finetune.errors == 0
    assert finetune.fit_seconds > 0
    assert compare(tuned, approaches=["finetune"]).approach("finetune").items == finetune.items  # same seconds: cached
    assert len(list((config.state / "adapters").iterdir())) == 1


@pytest.mark.parametrize(
    ("break_it", "error", "words"),
    [
        (lambda f: [(f / n).unlink() for n in ("questions.jsonl", "examples.jsonl")], DataError, "nothing to measure"),
        (lambda f: (f / "questions.jsonl").write_text('{"question": "x"\n'), DataError, "line 1"),
        (lambda f: (f / "schema.json").write_text("{"), DataError, "schema.json"),
        (lambda f: (f / "documents" / "leave.md").unlink(), DataError, "leave.md"),
        (
            lambda f: (f / "schema.json").write_text(json.dumps({**SCHEMA, "properties": {"reply": {}}})),
            ConfigError,
            "answer",
        ),
    ],
)
def test_bad_input_is_a_sentence(config, break_it, error, words):
    break_it(config.folder)
    with pytest.raises(error) as caught:
        compare(config)
    assert words in caught.value.sentence("en")
    assert calls(config) == []
    for lang in ("zh-TW", "ja"):
        assert caught.value.sentence(lang)


def test_an_unknown_approach_is_a_sentence(config):
    with pytest.raises(ConfigError, match=r"ragg is not an approach.*rag"):
        compare(config, approaches=["ragg"])


def test_context_size_is_measured_without_a_model(config):
    sizes = measure_context(config, sizes=(1, 3, 0))
    assert [s.sentences for s in sizes] == [1, 3, 0]
    assert sizes[-1].evidence_shown.value == 1.0
    assert sizes[0].tokens < sizes[1].tokens < sizes[2].tokens
    assert sizes[0].evidence_shown.n == 6
    assert calls(config) == []


def test_freshness_before_and_after_an_update(config):
    change = measure_freshness(config, config.folder / "documents-2025")
    assert (change.before.stale, change.before.new, change.before.n) == (1.0, 0.0, 2)
    assert (change.after.stale, change.after.new, change.after.n) == (0.0, 1.0, 2)
    asked = len(calls(config))
    assert measure_freshness(config, config.folder / "documents-2025") == change
    assert len(calls(config)) == asked
    closed = measure_freshness(config, config.folder / "documents-2025", approach="prompt")
    assert closed.after.new == 0.0


def test_freshness_needs_an_older_edition_and_changed_facts(config):
    with pytest.raises(DataError, match="does not exist"):
        measure_freshness(config, config.folder / "nowhere")
    rows = [json.loads(line) for line in (config.folder / "questions.jsonl").read_text().splitlines()]
    (config.folder / "questions.jsonl").write_text("\n".join(json.dumps({**r, "metadata": {}}) for r in rows))
    with pytest.raises(DataError, match="old_answer"):
        measure_freshness(config, config.folder / "documents-2025")
