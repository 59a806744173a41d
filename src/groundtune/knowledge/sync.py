"""Brings the store up to date with files and folders. What is committed is safe; a second run finishes the rest."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundtune.knowledge.backing import Backing
from groundtune.knowledge.prepare import Cut, Preparer, Task
from groundtune.knowledge.read import find_sources, root_of
from groundtune.knowledge.site import Link
from groundtune.knowledge.source import Source, not_found
from groundtune.knowledge.study import Batch, jobs_of, studied
from groundtune.parallel import Engine
from groundtune.text.inverted import Packed
from groundtune.types import SyncReport

# A slow embedder is asked for about this many seconds between two commits: what is committed survives a crash.
_SECONDS = 3.0

Progress = Callable[[int, int, str], None]


@dataclass
class _Run:
    """State of one synchronisation. ``lost`` maps the version of a document whose file is gone to its ids: a new file
    with that text is the same document under another name.
    """

    store: Backing
    preparer: Preparer
    folder: Path
    versions: dict[str, str]
    lost: dict[str, list[str]] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def take(self, batch: Batch) -> None:
        """Store what is new in a batch; only then does the report count it."""
        tasks: list[Task] = []
        moved: dict[str, dict[str, str]] = {}
        for result in batch.results:
            source, root = result.source, root_key(result.source.root, self.folder)
            if result.failed:
                self.failed[source.id] = result.failed
            elif result.gone:
                self.gone.add(source.id)
            elif result.cut is None:
                self.unchanged.append(source.id)
                if result.file_digest:
                    moved.setdefault(root, {})[source.id] = result.file_digest
            else:
                before = source.id if source.id in self.versions else self._renamed_from(result.cut)
                tasks.append(Task(result.cut, before, root, result.file_digest, result.vectors))
        self._store(tasks, batch.packed)
        for root, digests in moved.items():
            self.store.set_sources(root, digests)

    def _renamed_from(self, made: Cut) -> str:
        held = self.lost.get(made.chunks[0].version if made.chunks else made.document.version)
        return held.pop(0) if held else ""

    def _store(self, tasks: Sequence[Task], packed: Packed) -> None:
        parts = self._parts(tasks)
        for part in parts:
            entries = self.preparer.prepare_all(self.store, part)
            old = [task.before for task in part if task.before not in ("", task.cut.document.id)]
            self.store.apply(entries, old, packed if len(parts) == 1 else None)
            for task in part:
                self._count(task)

    def _parts(self, tasks: Sequence[Task]) -> list[Sequence[Task]]:
        """The whole batch, or less when embedding it would take long."""
        if all(task.vectors is not None for task in tasks):
            return [tasks] if tasks else []
        rate = self.preparer.texts_per_second
        size = max(1, int(rate * _SECONDS)) if rate else 64 if self.preparer.embedder else len(tasks)
        return [tasks[start : start + size] for start in range(0, len(tasks), max(1, size))]

    def _count(self, task: Task) -> None:
        document_id = task.cut.document.id
        if not task.before:
            self.added.append(document_id)
        elif task.before == document_id:
            self.updated.append(document_id)
        else:
            self.renamed[document_id] = task.before


def sync(
    store: Backing,
    preparer: Preparer,
    folder: Path,
    paths: Sequence[str | Path | Link],
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> SyncReport:
    """Add, update, rename and delete so that the store holds what the files under ``paths`` say. ``folder`` is where
    the store lives (roots are recorded relative to it, so that a project can be moved).

    A file that cannot be read is reported in ``failed`` and keeps its last good version. Only documents that came
    from the same path before are deleted or renamed. ``progress(done, total, id)`` is called after each file that is
    stored. With an ``engine`` its workers read, cut and embed files; the result is the same. Raises ``DataError`` for a
    path that does not exist or a folder without readable files, before anything is changed.
    """
    started = time.perf_counter()
    sources = find_sources(paths, folder / "web")
    roots = {root_key(root, folder): root for root in map(root_of, paths)}
    if engine is not None:
        from groundtune.knowledge.spread import embedding

        preparer = embedding(engine, preparer)
    run = _Run(store, preparer, folder, dict(store.digests()))
    known = {key: store.sources(key) for key in roots}
    embedded = preparer.embedded
    missing = {document_id for key, held in known.items() for document_id in not_found(sources, roots[key], held)}
    for document_id in sorted(missing & run.versions.keys()):
        run.lost.setdefault(run.versions[document_id], []).append(document_id)
    done = 0
    for batch in _studied(run, sources, known, engine):
        run.take(batch)
        for result in batch.results:
            done += 1
            if progress:
                progress(done, len(sources), result.source.id)
    gone = sorted((run.gone | missing) - set(run.renamed.values()))
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
        renamed=dict(run.renamed),
        embedded=preparer.embedded - embedded,
    )


def _studied(
    run: _Run, sources: Sequence[Source], known: dict[str, dict[str, str]], engine: Engine | None
) -> Iterator[Batch]:
    """Files first, by the engine or in helper processes when they are many; then what has to be fetched or unpacked,
    here.
    """
    digests: dict[str, str] = {}
    for source in sources:
        held = known[root_key(source.root, run.folder)].get(source.id)
        if held is not None:
            digests[source.id] = held
    characters = run.preparer.chunk_characters
    files = [source for source in sources if source.origin is None]
    fetched = [source for source in sources if source.origin is not None]
    changed = len(files) - len(digests)  # files whose text is known are read fast
    if engine is not None and files:
        from groundtune.knowledge.spread import job_sizes, spread

        sizes = job_sizes(engine, len(files), run.preparer)
        yield from spread(engine, jobs_of(files, digests, run.versions, characters, sizes), run.preparer)
    else:
        yield from studied(jobs_of(files, digests, run.versions, characters), changed)
    yield from studied(jobs_of(fetched, digests, run.versions, characters), 0)


def root_key(path: Path | str, folder: Path) -> str:
    """How a synchronised path is recorded: relative to the store's folder where that is possible. An address is
    recorded as it is.
    """
    if isinstance(path, str):
        return path
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()
