"""``compare --engine ray``: the report of a local run though a worker is killed, and nothing asked twice afterwards."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from command_line import Cli
from ray_cluster import kill_worker, wait_until

pytestmark = pytest.mark.ray
QUESTIONS = 40
OWN = "python:own_app:answer"
APPROACHES = ("--approach", "prompt", "--approach", "rag", "--approach", OWN)
APP = """
import os, time
from pathlib import Path

def answer(question):
    with (Path(__file__).parent / "calls.log").open("a") as log:
        log.write(f"{os.getpid()} {question}\\n")
    time.sleep(0.1)
    return "06:30" if "open" in question else "nothing"
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "documents").mkdir()
    text = "# Parking\n\n### § 1 Places\n\nThe car park behind the hall has 40 places and opens at 06:30.\n"
    (tmp_path / "documents" / "parking.md").write_text(text, encoding="utf-8")
    (tmp_path / "groundtune.toml").write_text('[models]\nbase = "fake:extract"\nreader = "fake:"\n')
    (tmp_path / "own_app.py").write_text(APP)
    rows = [
        {"question": f"When does the car park open, asked for time {n}?", "answers": ["06:30"],
         "evidence": {"document": "parking.md", "quote": "opens at 06:30"}}
        for n in range(QUESTIONS)
    ]  # fmt: skip
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def calls(project: Path) -> list[str]:
    log = project / "calls.log"
    return log.read_text().splitlines() if log.exists() else []


def facts(done):
    """The report without its seconds."""
    rows = []
    for result in done["report"]["approaches"]:
        metrics = {name: value for name, value in result["metrics"].items() if "seconds" not in name}
        items = [{**item, "seconds": 0} for item in result["items"]]
        rows.append((result["name"], metrics, items, result["labels"], result["skipped"]))
    return rows


def test_a_worker_is_killed_and_the_report_is_the_same(cluster, project):
    killed = []

    def kill():
        wait_until(lambda: len(calls(project)) > QUESTIONS // 4, 120)
        killed.append(kill_worker())

    killer = threading.Thread(target=kill)
    killer.start()
    ray = ("compare", "-C", project, *APPROACHES, "--engine", "ray", "--address", cluster)
    done = Cli(project).json(*ray)
    killer.join()
    asked = calls(project)
    assert killed and str(killed[0]) in {line.split()[0] for line in asked}
    assert len({line.split()[0] for line in asked}) >= 2  # more than one worker answered
    assert len({line.partition(" ")[2] for line in asked}) == QUESTIONS <= len(asked) <= QUESTIONS + 2
    assert [len(result["items"]) for result in done["report"]["approaches"]] == [QUESTIONS] * 3
    assert facts(Cli(project).json(*ray)) == facts(done) and len(calls(project)) == len(asked)
    assert facts(Cli(project).json("compare", "-C", project, *APPROACHES, "--refresh")) == facts(done)


def test_what_a_worker_cannot_load_is_a_sentence(cluster, project):
    (project / "own_app.py").write_text(
        "import sys\nif 'pytest' not in sys.modules:\n    raise ImportError('only in this process')\n" + APP
    )
    line = Cli(project)
    said = line.fails("compare", "-C", project, "--approach", OWN, "--engine", "ray", "--address", cluster, code=2)
    assert "only in this process" in said
