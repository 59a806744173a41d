"""``demo`` on a small stand-in for the bundled sample, with fake models; and the samples themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

from groundtune import messages
from groundtune.cli import demo
from groundtune.config import load_config
from groundtune.measure.plan import load_house
from groundtune.tuning.data import check_evidence, load_examples, load_questions

OLD = "Full-time staff receive 25 days of paid annual leave a year."
NEW = "Full-time staff receive 27 days of paid annual leave a year."
CHANGED = {
    "question": "How many days of paid annual leave do full-time staff receive?", "answers": ["27 days"],
    "evidence": {"document": "leave.md", "quote": NEW}, "metadata": {"changed": True, "old_answer": "25 days"},
}  # fmt: skip


@pytest.fixture
def samples(tmp_path: Path, make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "samples" / "en"
    root.parent.mkdir()
    chats = [
        {"messages": [{"role": "user", "content": f"Matter {n}?"}, {"role": "assistant", "content": f"It is {n}."}]}
        for n in range(12)
    ]
    make_project([CHANGED], chats).rename(root)
    (root / "schema.json").write_text("{}")
    (root / "documents-2025").mkdir()
    old = (root / "documents" / "leave.md").read_text(encoding="utf-8").replace(NEW, OLD)
    (root / "documents-2025" / "leave.md").write_text(old, encoding="utf-8")
    assert OLD in old
    monkeypatch.setattr(demo, "_SAMPLES", root.parent)
    return root


def test_the_whole_story(groundtune: Cli, samples: Path) -> None:
    result = groundtune.run("demo")
    assert result.exit_code == 0, result.stderr
    for part in ("25 days", "27 days", "(changed)", "1 added, 1 updated", "Success", "report.html"):
        assert part in result.stdout
    root = groundtune.folder / "out" / "demo"
    assert sorted(path.name for path in (root / "documents").iterdir()) == ["leave.md", "parking.md"]
    (verdict,) = (root / ".groundtune" / "runs").glob("*/verdict.json")
    assert json.loads(verdict.read_text(encoding="utf-8"))["level"]
    again = groundtune.json("demo")
    assert "25 days" in again["freshness"][0]["before"] and "27 days" in again["freshness"][0]["after"]
    assert set(again) == {"folder", "freshness", "report", "verdict", "cost", "html"}


def test_another_folder_is_not_touched(groundtune: Cli, samples: Path) -> None:
    mine = groundtune.folder / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    assert "not a demo project" in groundtune.fails("demo", "--folder", mine, code=2)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_the_bundled_sample_is_sound(lang: str) -> None:
    root = demo._SAMPLES / lang
    config = load_config(root)
    assert config.project.language == lang and load_house(config).schema
    texts = {path.name: path.read_text(encoding="utf-8") for path in (root / "documents").iterdir()}
    questions = check_evidence(load_questions(root / "questions.jsonl"), texts)
    assert len(questions) >= 100 and len(load_examples(root / "examples.jsonl")) >= 100
    old = {path.name for path in (root / "documents-2025").iterdir()}
    assert old < set(texts)
