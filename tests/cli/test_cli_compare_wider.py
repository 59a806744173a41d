"""``compare`` with limits, dry runs, several models and the user's code; ``questions`` from documents to a review."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

QUESTIONS = [
    {"question": "How many days of annual leave?", "answers": ["27 days"],
     "evidence": {"document": "leave.md", "quote": "27 days of paid annual leave"}},
    {"question": "When does the car park open?", "answers": ["06:30"]},
    {"question": "Who owns the moon?", "answers": [], "answerable": False},
]  # fmt: skip


def test_a_dry_run_prints_a_table_and_asks_nothing(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project(QUESTIONS)
    names = ("--approach", "prompt", "--approach", "rag", "--approach", "long-context")
    for lang, word in (("en", "Nothing was asked"), ("zh-TW", "尚未詢問"), ("ja", "まだ何も質問していません")):
        said = groundtune.run("compare", "-C", root, *names, "--dry-run", "--lang", lang)
        assert said.exit_code == 0 and word in said.stdout, said.stderr
    table = groundtune.json("compare", "-C", root, *names, "--dry-run")
    assert table["calls"] == 9 and table["dollars"] == 0
    paid = groundtune.json("compare", "-C", root, "--approach", "prompt", "--dry-run", "--model", "openai:gpt-5-mini")
    assert paid["dollars"] > 0 and paid["rows"][0]["output_tokens"] == 3 * 96
    assert not (root / ".groundtune" / "runs" / "latest").exists()


def test_limits_and_several_models(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project(QUESTIONS)
    said = groundtune.run("compare", "-C", root, "--approach", "prompt", "--max-minutes", "0")
    assert said.exit_code == 0 and "limit" in said.stdout
    both = groundtune.run("compare", "-C", root, "--approach", "rag", "--model", "fake:extract", "--model", "fake:echo")
    assert both.exit_code == 0 and "RAG @ fake:echo" in both.stdout, both.stderr
    assert "price" in groundtune.fails("compare", "-C", root, "--model", "openai:nobodys@http://localhost:9/v1", "--max-cost", "1", code=2)  # fmt: skip


def test_the_users_code_and_a_window_that_is_too_small(
    groundtune: Cli, make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    root = make_project(QUESTIONS, toml="[compare]\nwindow = 100\n")
    (root / "cli_app.py").write_text("def answer(question):\n    return '27 days'\n", encoding="utf-8")
    names = ("--approach", "long-context", "--approach", "python:cli_app:answer")
    said = groundtune.run("compare", "-C", root, *names)
    assert said.exit_code == 0, said.stderr
    assert "python:cli_app:answer" in said.stdout and "100" in said.stdout
    assert "cli_app:gone" in groundtune.fails("compare", "-C", root, "--approach", "python:cli_app:gone", code=2)
    decided = groundtune.run("decide", "-C", root)
    assert "Traceback" not in decided.stderr
    sys.modules.pop("cli_app", None)


def test_questions_are_made_reviewed_resumed_and_counted(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project()
    groundtune.run("ingest", "-C", root)
    made = groundtune.json("questions", "-C", root)
    assert made["made"] == 2
    first = groundtune.run("questions", "-C", root, "--review", input="x\nk\nq\n")
    assert "Kept 1" in first.stdout and "not yet looked at 1" in first.stdout, first.stderr
    second = groundtune.run("questions", "-C", root, "--review", input="e\nWhen does it open?\n\n")
    assert "Kept 2" in second.stdout
    rows = [json.loads(line) for line in (root / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[1]["question"] == "When does it open?" and rows[1]["evidence"]["document"] in ("leave.md", "parking.md")
    assert groundtune.json("questions", "-C", root)["made"] == 0
    assert groundtune.run("compare", "-C", root, "--approach", "rag").exit_code == 0


def test_questions_from_changed_passages_know_the_old_answer(
    groundtune: Cli, make_project: Callable[..., Path]
) -> None:
    root = make_project()
    groundtune.run("ingest", "-C", root)
    leave = root / "documents" / "leave.md"
    leave.write_text(leave.read_text(encoding="utf-8").replace("27 days", "29 days"), encoding="utf-8")
    groundtune.run("ingest", "-C", root)
    (found,) = groundtune.json("questions", "-C", root, "--changed")["candidates"]
    assert (found["candidate"]["answer"], found["candidate"]["old_answer"]) == ("29 days", "27 days")
