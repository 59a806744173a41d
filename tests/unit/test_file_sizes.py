"""One file, one idea, read in one sitting."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HARD = 500
FILES = sorted(path for folder in ("src", "tests", "recipes", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_too_long(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= HARD, f"{lines} lines"


def test_there_are_files() -> None:
    assert len(FILES) > 50


@pytest.mark.parametrize(
    "path", [p for p in FILES if ROOT / "src" in p.parents], ids=lambda p: str(p.relative_to(ROOT))
)
def test_each_file_opens_with_what_it_is(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith('"""')
