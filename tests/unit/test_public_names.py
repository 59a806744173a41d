"""The public surface is a sorted list, and every name in it can be used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import groundtune

NAMES = [
    "Answer", "Citation", "Config", "Document", "Example", "Hit", "Interview", "KnowledgeBase", "Project", "Question",
    "Report", "SyncReport", "advise", "compare", "decide", "tune",
]  # fmt: skip


def test_the_names_are_these() -> None:
    assert groundtune.__all__ == NAMES == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_there_and_documented(name: str) -> None:
    assert getattr(groundtune, name).__doc__
    assert name in dir(groundtune)


def test_unknown_name_raises() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = groundtune.nothing


def test_version_is_the_one_in_pyproject() -> None:
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    assert found and found.group(1) == groundtune.__version__
