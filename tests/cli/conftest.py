"""A command line in an empty folder, and a small project to call it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

DOCUMENTS = {
    "leave.md": "# Leave policy\n\n### § 1 Annual leave\n\nFull-time staff receive 27 days of paid annual leave a year.\n",
    "parking.md": "# Parking\n\n### § 1 Places\n\nThe car park behind the hall has 40 places and opens at 06:30.\n",
}


@pytest.fixture
def groundtune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line, in an empty folder, in English."""
    monkeypatch.chdir(tmp_path)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "GROUNDTUNE_LANG", "GROUNDTUNE_DEBUG", "GROUNDTUNE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    return Cli(tmp_path)


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Path]:
    """Write a project with fake models: ``make_project(questions=[...], examples=[...], extra="[cost] ...")``."""

    def make(
        questions: list[Any] | None = None, examples: list[Any] | None = None, *, toml: str = "", language: str = "en"
    ) -> Path:
        root = tmp_path / "project"
        (root / "documents").mkdir(parents=True)
        for name, text in DOCUMENTS.items():
            (root / "documents" / name).write_text(text, encoding="utf-8")
        head = (
            f'[project]\nname = "small"\nlanguage = "{language}"\n[models]\nbase = "fake:extract"\nreader = "fake:"\n'
        )
        (root / "groundtune.toml").write_text(head + toml, encoding="utf-8")
        for name, rows in (("questions", questions), ("examples", examples)):
            if rows is not None:
                lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
                (root / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return root

    return make
