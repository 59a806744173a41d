"""The example plugin is installed as a user would install one, into a folder of its own, and used from the command line."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
QUESTIONS = [
    {"question": "How many days of annual leave do staff receive?", "answers": ["27"],
     "evidence": {"document": "leave.md", "quote": "27 days of annual leave"}},
    {"question": "When does the summer party begin?", "answers": ["17:00"],
     "evidence": {"document": "dates.ics", "quote": "2026-07-03 17:00: Summer party, Roof."}},
]  # fmt: skip
CALENDAR = (
    "BEGIN:VCALENDAR\r\nX-WR-CALNAME:Dates\r\nBEGIN:VEVENT\r\nDTSTART:20260703T170000\r\nSUMMARY:Summer party\r\n"
    "LOCATION:Roof\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
TOML = """
[models]
base = "keywords:answers.json"
reader = "numbers:"
[retrieval]
store = "jsonfile:index"
[format]
instruction = "Answer."
[compare]
approaches = ["rag", "faq"]
scorers = ["brief:3"]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is; nothing is downloaded."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("needs setuptools to build the example (in the dev extra)")
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(ROOT / "examples" / "plugin", folder / "source")
    options = [
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--disable-pip-version-check",
        "--no-compile",
    ]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        *options,
        "--target",
        str(folder / "site"),
        str(folder / "source"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "site"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "documents").mkdir()
    (folder / "documents" / "leave.md").write_text("# Leave\n\nStaff receive 27 days of annual leave.\n", "utf-8")
    (folder / "documents" / "dates.ics").write_bytes(CALENDAR.encode())
    (folder / "groundtune.toml").write_text(TOML, "utf-8")
    (folder / "answers.json").write_text('{"annual leave": "27", "": "I am told nothing about this at all"}', "utf-8")
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, QUESTIONS)) + "\n", "utf-8")
    examples = [
        {"messages": [{"role": "user", "content": f"Where is room number {n} of hall {n}?"},
                      {"role": "assistant", "content": f"Room {n}."}]}
        for n in range(12)
    ]  # fmt: skip
    (folder / "examples.jsonl").write_text("\n".join(map(json.dumps, examples)) + "\n", "utf-8")
    return folder


def groundtune(site: Path, project: Path, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "src")]), "GROUNDTUNE_LANG": "en"}
    command = [sys.executable, "-m", "groundtune.cli.main", *args]
    return subprocess.run(command, env=environment, cwd=project, capture_output=True, text=True)


def test_every_kind_works_from_the_command_line(installed: Path, project: Path) -> None:
    ingested = groundtune(installed, project, "ingest", "--json")
    assert ingested.returncode == 0, ingested.stderr
    held = json.loads((project / "index" / "groundtune.json").read_text("utf-8"))
    assert set(held) == {"dates.ics", "leave.md"}, "the store of the plugin holds what the reader of the plugin read"

    asked = groundtune(installed, project, "ask", "When does the summer party begin?", "--json")
    assert asked.returncode == 0, asked.stderr
    assert "2026-07-03 17:00: Summer party, Roof." in asked.stdout

    done = groundtune(installed, project, "compare", "--json")
    assert done.returncode == 0, done.stderr
    results = {one["name"]: one for one in json.loads(done.stdout)["report"]["approaches"]}
    assert set(results) == {"rag", "faq"} and not any(one["errors"] for one in results.values())
    assert results["rag"]["model"] == "keywords:answers.json"
    assert [one["scores"]["brief"] for one in results["rag"]["items"] if one["part"] == "question"] == [1.0, 0.0]
    assert 0.0 < results["rag"]["metrics"]["brief"]["value"] <= 1.0
    html = next((project / ".groundtune" / "runs").glob("*/report.html")).read_text("utf-8")
    assert "brief" in html


def test_without_the_package_each_name_is_unknown(project: Path, tmp_path: Path) -> None:
    failed = groundtune(tmp_path, project, "compare")
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
    assert "faq" in failed.stderr


def test_the_store_keeps_the_contract(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom groundtune import registry\nfrom groundtune.testing import check_store\n"
        "check_store(lambda name: registry.load('store', f'jsonfile:{sys.argv[1]}#{name}'))\nprint('kept')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT / "src")])}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "kept", done.stderr[-2000:]
