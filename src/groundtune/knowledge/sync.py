"""Brings the store up to date with files and folders. What is committed is safe; a second run finishes the rest."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundtune.errors import GroundtuneError, StoreError
from groundtune.knowledge.backing import Backing, Prepared
from groundtune.knowledge.prepare import Preparer
from groundtune.knowledge.read import Source, file_digest, find_sources, read_bytes, to_document
from groundtune.types import SyncReport

# Documents per transaction: a commit waits for the disk, and what is committed survives a crash.
_BATCH_DOCUMENTS = 50
_BATCH_CHARACTERS = 2_000_000

Progress = Callable[[int, int, str], None]


@dataclass
class _Run:
    """State of one synchronisation."""

    store: Backing
    preparer: Preparer
    folder: Path
    versions: dict[str, str]
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    waiting: list[Prepared] = field(default_factory=list)
    moved: dict[str, dict[str, str]] = field(default_factory=dict)

    def flush(self) -> None:
        """Commit what waits; only then does the report count it."""
        if self.waiting:
            self.store.apply(self.waiting)
            for entry in self.waiting:
                (self.updated if entry.document.id in self.versions else self.added).append(entry.document.id)
            self.waiting.clear()
        for root, digests in self.moved.items():
            self.store.set_sources(root, digests)
        self.moved.clear()


def sync(
    store: Backing,
    preparer: Preparer,
    folder: Path,
    paths: Sequence[str | Path],
    progress: Progress | None = None,
) -> SyncReport:
    """Add, update and delete so that the store holds what the files under ``paths`` say. ``folder`` is where the
    store lives (roots are recorded relative to it, so that a project can be moved).

    A file that cannot be read is reported in ``failed`` and keeps its last good version. Only documents that came
    from the same path before are deleted. ``progress(done, total, id)`` is called after each file. Raises
    ``DataError`` for a path that does not exist or a folder without readable files, before anything is changed.
    """
    started = time.perf_counter()
    sources = find_sources(paths)
    run = _Run(store, preparer, folder, dict(store.digests()))
    known = {root_key(Path(path), folder): store.sources(root_key(Path(path), folder)) for path in paths}
    for number, source in enumerate(sources, start=1):
        _one(run, source, known)
        if len(run.waiting) >= _BATCH_DOCUMENTS or _size(run.waiting) > _BATCH_CHARACTERS:
            run.flush()
        if progress:
            progress(number, len(sources), source.id)
    run.flush()
    present = {source.id for source in sources}
    gone = sorted({document_id for held in known.values() for document_id in held} - present)
    gone = [document_id for document_id in gone if document_id in run.versions]
    if gone:
        store.delete(gone)
    return SyncReport(
        added=tuple(run.added),
        updated=tuple(run.updated),
        deleted=tuple(gone),
        unchanged=tuple(run.unchanged),
        failed=dict(run.failed),
        seconds=time.perf_counter() - started,
    )


def root_key(path: Path, folder: Path) -> str:
    """How a synchronised path is recorded: relative to the store's folder where that is possible."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()


def _one(run: _Run, source: Source, known: dict[str, dict[str, str]]) -> None:
    root = root_key(source.root, run.folder)
    try:
        data = read_bytes(source)
        fingerprint = file_digest(data)
        if known[root].get(source.id) == fingerprint and source.id in run.versions:
            run.unchanged.append(source.id)
            return
        document = to_document(source, data)
        if run.versions.get(source.id) == document.version:
            run.unchanged.append(source.id)
            run.moved.setdefault(root, {})[source.id] = fingerprint
            return
        run.waiting.append(run.preparer.prepare(run.store, document, root=root, file_digest=fingerprint))
    except StoreError:
        raise
    except GroundtuneError as error:
        run.failed[source.id] = error.sentence()


def _size(entries: Sequence[Prepared]) -> int:
    return sum(len(entry.document.text) for entry in entries)
