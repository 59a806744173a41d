"""``kill -9`` in the middle of the work: what was finished is kept, nothing is half-written, a second run finishes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from command_line import Cli

SOURCE = Path(__file__).resolve().parents[2] / "src"
MANY = 600


def start(*args: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUTF8": "1", "LANG": "C"}
    command = [sys.executable, "-m", "groundtune", *args]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=60)


def documents(path: Path) -> int:
    """How many documents another process can see in the knowledge base now."""
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(1000)
        return int(connection.execute("SELECT count(*) FROM documents").fetchall()[0][0])
    except apsw.Error:  # not there yet, or without tables
        return 0


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7])
def test_ingest(groundtune: Cli, make_project: Callable[..., Path], share: float) -> None:
    root = make_project()
    for number in range(MANY):
        text = f"# Rule {number}\n\n" + "\n\n".join(
            f"Clause {n} of rule {number} allows {n + number} days." for n in range(40)
        )
        (root / "documents" / f"rule-{number:03}.md").write_text(text, encoding="utf-8")
    process = start("ingest", "-C", str(root))
    deadline, seen = time.monotonic() + 120, 0
    while seen < share * MANY:
        assert time.monotonic() < deadline and process.poll() is None
        seen = documents(root / ".groundtune" / "kb" / "knowledge.db")
    kill(process)
    check = groundtune.run("verify", "-C", root)
    assert check.exit_code == 0, check.stdout
    kept = groundtune.json("verify", "-C", root)["documents"]
    assert seen <= kept < MANY + 2  # nothing that was visible is lost, and the kill came in the middle
    again = groundtune.json("ingest", "-C", root)
    assert len(again["unchanged"]) == kept and len(again["added"]) == MANY + 2 - kept and not again["failed"]
    assert groundtune.json("verify", "-C", root)["documents"] == MANY + 2


def test_compare(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    questions = [
        {"question": f"When does the car park open, asked for time {n}?", "answers": ["06:30"],
         "evidence": {"document": "parking.md", "quote": "opens at 06:30"}}
        for n in range(200)
    ]  # fmt: skip
    root = make_project(questions)
    process = start("compare", "-C", str(root), "--approach", "prompt", "--approach", "rag")
    assert process.stderr is not None
    lines: list[str] = []
    while "Answering" not in (lines[-1] if lines else ""):
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    time.sleep(0.3)
    kill(process)
    runs = root / ".groundtune" / "runs"
    assert not (runs / "latest").exists() and list(runs.glob("*/report.json")) == []
    done = groundtune.json("compare", "-C", root, "--approach", "prompt", "--approach", "rag")
    assert [len(a["items"]) for a in done["report"]["approaches"]] == [200, 200]
    assert json.loads(Path(done["path"]).read_text(encoding="utf-8"))["questions"] == 200
