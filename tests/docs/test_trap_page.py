"""docs/how-to/tuning-traps.md: every trap has tests, every test that it names exists, every trap test is on it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "tuning-traps.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE))


def names_in(file: str) -> set[str]:
    (path,) = (ROOT / "tests").rglob(file) if file != "test_common.py" else [ROOT / "tests/unit/approaches" / file]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_named_test_exists() -> None:
    assert len(NAMED) >= 30
    for file, name in sorted(NAMED):
        assert name in names_in(file), f"{file} has no {name}"


def test_every_trap_has_a_row_with_tests_of_its_number() -> None:
    rows = {int(number): rest for number, rest in re.findall(r"^\| (\d+) \|(.*)$", PAGE, re.MULTILINE)}
    assert sorted(rows) == list(range(1, 11))
    for number, rest in rows.items():
        assert f"::test_{number}_" in rest, f"trap {number} names no test of its number"


def test_every_row_names_a_test() -> None:
    bodies = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| :--")]
    heads = [line for line in bodies if "elsewhere | groundtune" in line]
    assert len(heads) == 2
    assert all("::test_" in line for line in bodies if line not in heads)


def test_every_trap_test_is_on_the_page() -> None:
    for file in ("test_traps.py", "test_trainer_traps.py"):
        assert {name for name in names_in(file) if re.match(r"test_\d", name)} <= {n for f, n in NAMED if f == file}
