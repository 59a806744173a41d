"""``ingest --engine ray``: the knowledge base of the ordinary ingest, whoever is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from command_line import Cli
from ray_cluster import kill_worker, wait_until

from groundtune.knowledge.base import KnowledgeBase

pytestmark = pytest.mark.ray
SOURCE = Path(__file__).resolve().parents[2] / "src"
MANY = 400
COMMAND = """
from ray._private import services
services.node_ip_address_from_perspective = lambda *_, **__: "127.0.0.1"
from groundtune.cli.main import main
main()
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "documents").mkdir()
    (tmp_path / "groundtune.toml").write_text('[models]\nembedder = "builtin:embed"\n')
    for number in range(MANY):
        text = f"# Rule {number}\n\n" + "\n\n".join(f"Clause {n} of rule {number} allows {n} days." for n in range(40))
        (tmp_path / "documents" / f"{number:03}.md").write_text(text, encoding="utf-8")
    return tmp_path


def held(folder):
    with KnowledgeBase.open(folder, embedder="builtin:embed") as kb:
        assert kb.verify().sound
        space = kb._preparer.space
        return {
            document.id: (document, kb.chunks(document.id), {k: v.tolist() for k, v in kb._store.vectors(document.id, space).items()})
            for document in kb.documents()
        }  # fmt: skip


def test_a_worker_is_killed_and_nothing_is_lost_or_doubled(cluster, project, tmp_path):
    killed = []
    killer = threading.Thread(target=lambda: killed.append(kill_worker()))
    killer.start()
    done = Cli(project).run("ingest", "-C", project, "--engine", "ray", "--address", cluster, "--json")
    killer.join()
    assert killed and done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert len(report["added"]) == MANY and not report["failed"]
    with KnowledgeBase.open(tmp_path / "here" / "kb", embedder="builtin:embed") as here:
        here.sync([project / "documents"])
    assert held(project / ".groundtune" / "kb") == held(tmp_path / "here" / "kb")


def test_the_driver_is_killed_and_goes_on(cluster, project):
    command = [sys.executable, "-c", COMMAND, "ingest", "-C", str(project), "--engine", "ray", "--address", cluster]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    driver = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    path = project / ".groundtune" / "kb"

    def some() -> bool:
        return (path / "knowledge.db").exists() and documents(path) > 0

    wait_until(some, 60)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    kept = documents(path)
    assert 0 < kept < MANY
    again = Cli(project).json("ingest", "-C", project, "--engine", "ray", "--address", cluster)
    assert (len(again["unchanged"]), len(again["added"]), again["updated"]) == (kept, MANY - kept, [])
    assert len(held(path)) == MANY


def documents(path):
    import apsw

    try:
        connection = apsw.Connection(str(path / "knowledge.db"), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(1000)
        return int(connection.execute("SELECT count(*) FROM documents").fetchall()[0][0])
    except apsw.Error:  # without tables yet
        return 0


def test_the_engine_of_the_settings_and_mistakes(project):
    line = Cli(project)
    assert "--engine ray" in line.fails("ingest", "-C", project, "--address", "127.0.0.1:1", code=2)
    with (project / "groundtune.toml").open("a") as settings:
        settings.write('[scale]\nengine = "ray"\naddress = "127.0.0.1:1"\n')
    assert "127.0.0.1:1" in line.fails("ingest", "-C", project, code=2)
    assert not (project / ".groundtune" / "kb").exists() or documents(project / ".groundtune" / "kb") == 0
    assert len(line.json("ingest", "-C", project, "--engine", "local")["added"]) == MANY
