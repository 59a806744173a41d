"""The folder of a training that is under way: whose it is, how its steps are computed, its last whole checkpoint."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from groundtune.files import write_whole
from groundtune.tuning.group import ALONE, Group
from groundtune.tuning.memory import Estimate, Way

_WAY, _DIGEST = "way.json", "digest"


def last_checkpoint(work: Path) -> str | None:
    """The newest checkpoint that was written completely (``trainer_state.json`` is written last)."""
    found = [path for path in work.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    for path in sorted(found, key=lambda path: -int(path.name.rpartition("-")[2])):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(path, ignore_errors=True)
            continue
        return str(path)
    return None


def kept_way(folder: Path, digest: str) -> Way | None:
    """How an interrupted run of the same training computes its steps; None when there is none."""
    work = folder / "checkpoints"
    try:
        if not _belongs(work, digest):
            return None
        table = json.loads((work / _WAY).read_text(encoding="utf-8"))
        return Way(**{**table, "estimate": Estimate(**table["estimate"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def keep_way(work: Path, way: Way) -> None:
    """Write down how the steps are computed, so that a resumed run computes them alike."""
    write_whole(work / _WAY, json.dumps(asdict(way)))


def open_workspace(folder: Path, digest: str, group: Group = ALONE) -> Path:
    """``folder/checkpoints`` for this digest; what another run left in ``folder`` is removed first. Of several processes
    the first one does it and the others wait.
    """
    work = folder / "checkpoints"
    if group.first and not _belongs(work, digest):
        shutil.rmtree(folder, ignore_errors=True)
        work.mkdir(parents=True)
        write_whole(work / _DIGEST, digest)
    group.wait()
    return work


def _belongs(work: Path, digest: str) -> bool:
    note = work / _DIGEST
    return note.is_file() and note.read_text(encoding="utf-8") == digest
