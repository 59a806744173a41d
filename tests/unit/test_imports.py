"""Imports go down only, heavy packages stay out, and ``import groundtune`` is quick."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "groundtune"
# Floors from the ground up. A module may import its own room and any lower floor, never a room beside it.
FLOORS = (
    ("errors", "files", "messages", "types"),
    ("ports",),
    ("config", "parallel", "registry", "text"),
    ("parallel_ray",),
    ("knowledge", "models", "store", "tuning"),
    ("approaches",),
    ("measure",),
    ("verdict",),
    ("report",),
    ("project", "testing"),
    ("cli", "interop", "serve"),
)
# On these floors neighbours may use each other: errors say messages, and the command line starts the server.
OPEN = {0, len(FLOORS) - 1}
HEAVY = (
    "torch", "transformers", "peft", "trl", "accelerate", "datasets", "ray", "psycopg", "weaviate", "pinecone",
    "langchain_core", "llama_index", "openai", "google.genai", "starlette", "uvicorn", "numpy", "scipy", "apsw", "rich",
    "click", "jsonschema", "pydantic",
)  # fmt: skip
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of our modules that a module imports anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            if node.module == "groundtune":
                yield from (f"groundtune.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


def breaks(room: str, target: str) -> bool:
    """Whether ``room`` must not import ``target``."""
    mine, theirs = FLOOR_OF[room], FLOOR_OF[target]
    return theirs > mine or (theirs == mine and room != target and mine not in OPEN)


def test_every_room_stands_on_a_floor() -> None:
    found = {room_of(path) for path in modules()} - {"__init__", "__main__"}
    assert found == set(FLOOR_OF) - {room for room in FLOOR_OF if not list(SOURCE.glob(f"{room}*"))}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down_only(path: Path) -> None:
    room = room_of(path)
    if room in ("__init__", "__main__"):  # the front door opens every room; it is held by the test of what it loads
        return
    ours = [name for name in imported(ast.parse(path.read_text(encoding="utf-8"))) if name.startswith("groundtune.")]
    rooms = {name.split(".")[1] for name in ours} & FLOOR_OF.keys()
    assert [f"{room} -> {target}" for target in sorted(rooms) if breaks(room, target)] == []


def test_the_rule_can_fail() -> None:
    tree = ast.parse("def f():\n    from groundtune.cli.main import main\n    from groundtune import report\n")
    assert sorted(imported(tree)) == ["groundtune.cli.main", "groundtune.report"]
    assert breaks("measure", "report") and breaks("models", "store") and breaks("types", "text")
    assert not breaks("report", "measure") and not breaks("measure", "measure") and not breaks("cli", "serve")


def _python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_is_quick() -> None:
    code = "import time; t = time.perf_counter(); import groundtune; print(time.perf_counter() - t)"
    assert min(float(_python(code)) for _ in range(3)) < 0.3


def test_import_loads_nothing_heavy() -> None:
    code = f"import sys, groundtune; print(','.join(n for n in {HEAVY!r} if n in sys.modules))"
    assert _python(code) == ""


def test_command_line_starts_without_extras() -> None:
    extras = HEAVY[: HEAVY.index("numpy")]
    code = f"import sys, groundtune.cli.main; print(','.join(n for n in {extras!r} if n in sys.modules))"
    assert _python(code) == ""
