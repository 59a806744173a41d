"""``groundtune exchange``: export, import and log, as one types them."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

QUESTIONS = [
    {"question": "How many days of paid annual leave?", "answers": ["27 days", "27"],
     "evidence": {"document": "leave.md", "quote": "27 days of paid annual leave"}, "id": "a"},
    {"question": "How many places has the car park?", "answers": ["40 places"], "id": "b"},
]  # fmt: skip


@pytest.fixture
def project(make_project: Callable[..., Path], groundtune: Cli) -> Path:
    folder = make_project(QUESTIONS)
    done = groundtune.run("-C", folder, "compare", "--approach", "rag", "--approach", "prompt")
    assert done.exit_code == 0, done.stderr
    return folder


def test_export_with_answers_and_back(groundtune: Cli, project: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    made = groundtune.json("-C", project, "exchange", "export", "--to", "ragas", "--approach", "rag", "--out", out)
    assert made["questions"] == made["answers"] == 2
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert "27 days" in rows[0]["retrieved_contexts"][0] and rows[0]["retrieved_context_ids"][0] == "leave.md"
    assert rows[0]["response"] and rows[0]["reference_contexts"] == ["27 days of paid annual leave"]
    assert "already" in groundtune.fails("-C", project, "exchange", "export", "--to", "ragas", "--out", out, code=2)

    back = tmp_path / "back.jsonl"
    told = groundtune.json("-C", project, "exchange", "import", out, "--out", back)
    assert (told["format"], told["questions"], told["evidence"], told["dropped"]) == ("ragas", 2, 1, [])
    assert [json.loads(line) for line in back.read_text("utf-8").splitlines()] == QUESTIONS


def test_import_finds_the_passage(groundtune: Cli, project: Path, tmp_path: Path) -> None:
    row = {"user_input": "Places?", "reference": "40", "reference_contexts": ["has 40 places"]}
    (tmp_path / "in.jsonl").write_text(json.dumps(row), "utf-8")
    result = groundtune.run("-C", project, "exchange", "import", tmp_path / "in.jsonl", "--force")
    assert result.exit_code == 0 and "1 name the passage" in result.stdout
    (line,) = (project / "questions.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["evidence"] == {"document": "parking.md", "quote": "has 40 places"}


@pytest.mark.parametrize("format", ["promptfoo", "openai-evals", "openai-evals-api"])
def test_each_format_from_the_command_line(groundtune: Cli, project: Path, tmp_path: Path, format: str) -> None:
    made = groundtune.json("-C", project, "exchange", "export", "--to", format, "--approach", "prompt")
    assert all(Path(path).is_file() for path in made["out"]) and len(made["out"]) == (1 if format == "promptfoo" else 2)
    told = groundtune.json("exchange", "import", made["out"][0], "--out", tmp_path / "q.jsonl")
    assert told["format"] == format and told["questions"] == 2


def test_mistakes(groundtune: Cli, project: Path, tmp_path: Path) -> None:
    export = ("-C", project, "exchange", "export", "--to", "ragas", "--out", tmp_path / "x.jsonl")
    assert "rag, prompt" in groundtune.fails(*export, "--approach", "finetune", code=2)
    (project / "questions.jsonl").write_text(json.dumps({"question": "New?", "answers": ["x"]}) + "\n", "utf-8")
    assert "compare" in groundtune.fails(*export, "--approach", "rag", code=2)
    assert not (tmp_path / "x.jsonl").exists()
    assert "mlflow" in groundtune.fails("-C", project, "exchange", "log", "--to", "excel:x", code=2)
    assert "did you mean" in groundtune.fails("exchange", "exprt", code=2).lower()


def test_log(groundtune: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = types.ModuleType("trackio")
    seen: list[object] = []
    sdk.__dict__.update(init=lambda **o: seen.append(o["config"]["approach"]), log=seen.append, finish=lambda: None)
    monkeypatch.setitem(sys.modules, "trackio", sdk)
    told = groundtune.json("-C", project, "exchange", "log", "--to", "trackio:mine")
    assert [run["approach"] for run in told["runs"]] == ["rag", "prompt"] == seen[::2]
    monkeypatch.setitem(sys.modules, "trackio", None)
    assert "pip install trackio" in groundtune.fails("-C", project, "exchange", "log", "--to", "trackio:mine", code=2)


def test_passages_of_a_row_of_a_further_model(
    groundtune: Cli, make_project: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_project(QUESTIONS)
    models = ("--model", "fake:extract", "--model", "fake:echo")
    done = groundtune.run("-C", folder, "compare", "--approach", "rag", *models)
    assert done.exit_code == 0, done.stderr
    out, name = tmp_path / "r.jsonl", "rag @ fake:echo"
    groundtune.json("-C", folder, "exchange", "export", "--to", "ragas", "--approach", name, "--out", out)
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert "27 days" in rows[0]["retrieved_contexts"][0]
