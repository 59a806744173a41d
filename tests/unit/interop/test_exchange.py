"""Formats of other evaluation tools: there and back, files as other people write them, and what their own code says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import DataError
from groundtune.interop.exchange import FORMATS, Answered, as_row, export
from groundtune.interop.exchange_in import read_questions
from groundtune.types import Evidence, Question

QUESTIONS = (
    Question("How many days of leave?", ("27", "27 days"), Evidence("leave.md", "27 days of leave"), id="q1",
             metadata={"line": 1, "level": "easy"}),
    Question("病假要附什麼？", ("醫師證明",), Evidence("sick.md", "應附醫師證明"), id="q2"),
    Question("寮の家賃は？", (), None, answerable=False, id="q3"),
)  # fmt: skip


def plain(questions: tuple[Question, ...]) -> list[dict[str, Any]]:
    return [as_row(question) for question in questions]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("answered", [False, True])
def test_there_and_back(tmp_path: Path, format: str, answered: bool) -> None:
    rows = [Answered(q, f"out {n}" if answered else None, ("p",), ("d",)) for n, q in enumerate(QUESTIONS)]
    made = export(rows, format, name="My set", instruction="Answer.", model="")
    path = tmp_path / "file.json"
    path.write_text(made.text, encoding="utf-8")
    found = read_questions(path)
    assert found.format == format and found.dropped == () and plain(found.questions) == plain(QUESTIONS)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.strip).filter(bool)
PAIRS = st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1)), min_size=1, max_size=4, unique_by=lambda pair: pair[0])


@given(PAIRS)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, list[str]]]) -> None:
    folder = tmp_path_factory.mktemp("x")
    questions = tuple(Question(q, tuple(answers)) for q, answers in pairs)
    for format in FORMATS:
        path = folder / "file.jsonl"
        text = export([Answered(q) for q in questions], format, name="n", instruction="").text
        path.write_bytes(text.encode("utf-8"))
        assert plain(read_questions(path).questions) == plain(questions)


def _read(tmp_path: Path, text: str, name: str = "file.json", **options: Any) -> Any:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_questions(path, **options)


def test_ragas_of_others(tmp_path: Path) -> None:
    rows = [
        {"user_input": "Days?", "reference": "27", "reference_contexts": ["27 days of leave"], "synthesizer_name": "x"},
        {"user_input": "Days again?", "reference": "27", "reference_contexts": ["nowhere"]},
        {"user_input": "No reference", "response": "x"},
        {"question": "Old names?", "ground_truth": "yes", "contexts": ["c"], "answer": ""},
    ]
    texts = {"leave.md": "Staff get 27 days of leave.", "other.md": "x"}
    found = _read(tmp_path, "\n".join(map(json.dumps, rows)), "set.jsonl", texts=texts)
    first, second, old = found.questions
    assert first.evidence == Evidence("leave.md", "27 days of leave") and second.evidence is None
    assert old.answers == ("yes",) and found.evidence == 1
    assert [(one.number, one.reason) for one in found.dropped] == [(3, "no_answer")]


PROMPTFOO = """
prompts: ["{{question}}"]
providers: [openai:gpt-5-mini]
tests:
  - vars: {question: "Capital of France?"}
    assert: [{type: icontains, value: Paris}, {type: latency, threshold: 1000}]
  - vars: {topic: bananas}
    assert: [{type: contains-any, value: [yellow, ripe]}]
  - vars: {question: "Judge me"}
    assert: [{type: llm-rubric, value: nice}]
"""


def test_promptfoo_of_others(tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="needs PyYAML")
    found = _read(tmp_path, PROMPTFOO, "promptfooconfig.yaml")
    assert plain(found.questions) == [
        {"question": "Capital of France?", "answers": ["Paris"]}, {"question": "bananas", "answers": ["yellow", "ripe"]},
    ]  # fmt: skip
    assert [one.reason for one in found.dropped] == ["no_answer"]
    results = {"evalId": "e", "results": {"version": 3, "results": [
        {"success": True, "testCase": {"vars": {"question": "Q"}, "assert": [{"type": "equals", "value": 4}]}},
        {"success": True, "testCase": {"vars": {"question": "Q"}, "assert": [{"type": "equals", "value": 4}]}},
    ]}}  # fmt: skip
    assert plain(_read(tmp_path, json.dumps(results)).questions) == [{"question": "Q", "answers": ["4"]}]
    table = "question,__expected\nCapital of France?,icontains:Paris\nTwo and two?,4\nFine?,llm-rubric: nice\n"
    found = _read(tmp_path, table, "tests.csv")
    assert [q.answers for q in found.questions] == [("Paris",), ("4",)] and len(found.dropped) == 1


def test_openai_evals_of_others(tmp_path: Path) -> None:
    rows = [
        {"input": [{"role": "system", "content": "s"}, {"role": "user", "content": "Q?"}], "ideal": ["A", "B"]},
        {"input": "Plain?", "ideal": "C"},
    ]
    found = _read(tmp_path, "\n".join(map(json.dumps, rows)), "samples.jsonl")
    assert plain(found.questions) == [
        {"question": "Q?", "answers": ["A", "B"]},
        {"question": "Plain?", "answers": ["C"]},
    ]
    hosted = {"item": {"ticket": "x", "question": "Q?", "correct_label": "Hardware"}}
    assert _read(tmp_path, json.dumps(hosted), "d.jsonl").questions[0].answers == ("Hardware",)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("{", "a.json", "could not be read"),
        ('{"question": "x", "answers": ["y"], "evidence": {}}', "a.jsonl", "none of the formats"),
        ("[]", "a.json", "none of the formats"),
        ('{"user_input": "only asked"}', "a.jsonl", "no question with an expected answer"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _read(tmp_path, text, name)


def test_the_definition_fits_the_openai_sdk() -> None:
    """The arguments of ``client.evals.create``, checked against the SDK's own types."""
    types = pytest.importorskip("openai.types.eval_create_params", reason="needs the openai extra")
    from pydantic import TypeAdapter

    made = export([Answered(QUESTIONS[0], "27")], "openai-evals-api", name="n", instruction="")
    definition = json.loads(made.definition)
    TypeAdapter(types.DataSourceConfigCustom).validate_python(definition["data_source_config"], strict=True)
    TypeAdapter(types.StringCheckGraderParam).validate_python(definition["testing_criteria"][0], strict=True)
    row = json.loads(made.text)
    import jsonschema

    jsonschema.validate(row["item"], definition["data_source_config"]["item_schema"])
    assert row["sample"] == {"output_text": "27"}


def test_ragas_reads_what_we_write(tmp_path: Path) -> None:
    ragas = pytest.importorskip("ragas", reason="ragas is not installed")
    path = tmp_path / "r.jsonl"
    text = export([Answered(q, "o", ("p",), ("d",)) for q in QUESTIONS], "ragas", name="n", instruction="").text
    path.write_text(text, encoding="utf-8")
    samples = ragas.EvaluationDataset.from_jsonl(path).samples
    assert samples[0].reference == "27" and samples[0].retrieved_contexts == ["p"] and len(samples) == 3
