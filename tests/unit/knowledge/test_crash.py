"""kill -9 during a synchronisation: nothing acknowledged is lost, a second run finishes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from groundtune.knowledge.base import KnowledgeBase

CHILD = """
import sys
import time
from groundtune.knowledge.base import KnowledgeBase
kb = KnowledgeBase.open(sys.argv[1])
original = kb._store.apply
def apply(entries, deleted=(), packed=None):
    found = original(entries, deleted, packed)
    for entry in entries:
        print(entry.document.id, entry.document.version, flush=True)
    time.sleep(0.1)
    return found
kb._store.apply = apply
kb.sync([sys.argv[2]])
print("finished", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("acknowledged", [1, 120])
def test_kill_during_sync(tmp_path, acknowledged):
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(400):
        text = f"# Document {number}\n\n" + f"Sentence about topic{number}. " * 40
        (docs / f"{number:03}.md").write_text(text, encoding="utf-8")
    source = str(Path(sys.modules["groundtune"].__file__).parent.parent)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "kb"), str(docs)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    assert child.stdout is not None
    said = [child.stdout.readline().split() for _ in range(acknowledged)]
    child.send_signal(signal.SIGKILL)
    said += [line.split() for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL and ["finished"] not in said
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        held = {document.id: document.version for document in kb.documents()}
        assert acknowledged <= len(said) <= len(held) < 400
        assert all(held[name] == version for name, version in said)
        assert kb.verify().sound
        report = kb.sync([docs])
        assert len(report.added) + len(report.unchanged) == 400 and report.updated == ()
        assert len(report.unchanged) == len(held)
        assert kb.verify().sound
        assert kb.search("topic399", 1)[0].chunk.document_id == "399.md"
