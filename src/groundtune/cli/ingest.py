"""``groundtune ingest``: documents into the knowledge base, once or for as long as they change."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from groundtune.cli.context import State
from groundtune.cli.options import argument, option, verb
from groundtune.errors import DataError, UserError
from groundtune.messages import say
from groundtune.project import Project
from groundtune.types import SyncReport

_SHOWN = 12
_TELL_EVERY = 3.0  # seconds between two lines of progress
_EVERY = 1.0  # seconds between two looks at the files


@verb("ingest")
@argument("paths", nargs=-1)
@option("--watch", is_flag=True)
def command(state: State, paths: tuple[str, ...], watch: bool) -> None:
    """Exit code 1 when a document could not be read."""
    if watch and state.json:
        raise UserError("cli.ingest.watch_json")
    project = state.project()
    report = ingest(project, paths)
    state.emit({**asdict(report), "changed": report.changed}, describe(report))
    if watch:
        _watch(state, project, paths)
    if report.failed:
        raise SystemExit(1)


def ingest(project: Project, paths: Sequence[str]) -> SyncReport:
    """Bring in, with a line on stderr now and then while it takes long."""
    last = time.monotonic()

    def tell(done: int, total: int, id: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _TELL_EVERY:
            last = time.monotonic()
            sys.stderr.write(f"{done}/{total}  {id}\n")

    return project.ingest(paths or None, progress=tell)


def describe(report: SyncReport) -> str:
    """Counts, what changed and what failed."""
    lines = [
        say(
            "cli.ingest.summary",
            added=len(report.added),
            updated=len(report.updated),
            deleted=len(report.deleted),
            unchanged=len(report.unchanged),
            failed=len(report.failed),
            seconds=f"{report.seconds:.2f}",
        )
    ]
    for name in ("added", "updated", "deleted"):
        ids: tuple[str, ...] = getattr(report, name)
        lines += [f"  {say(f'cli.ingest.{name}')}  {id}" for id in ids[:_SHOWN]]
        if len(ids) > _SHOWN:
            lines.append(f"  {say('cli.ingest.more', count=len(ids) - _SHOWN)}")
    lines += [say("cli.ingest.failed", id=id, reason=reason) for id, reason in report.failed.items()]
    return "\n".join(lines)


def _watch(state: State, project: Project, paths: Sequence[str]) -> None:
    roots = [Path(path) for path in paths] or list(project.roots)
    state.talk(say("cli.ingest.watching", paths=", ".join(map(str, roots))))
    seen = snapshot(roots)
    while True:
        time.sleep(_EVERY)
        now = snapshot(roots)
        if now == seen:
            continue
        while now != seen:  # wait until a copy in progress has ended
            seen = now
            time.sleep(_EVERY / 2)
            now = snapshot(roots)
        try:
            report = project.ingest(paths or None)
        except DataError as error:  # a root that is gone for a moment must not end the watch
            state.talk(error.sentence())
            continue
        if report.changed or report.failed:
            state.emit(report, describe(report))


def snapshot(roots: Sequence[Path]) -> frozenset[tuple[str, int, int]]:
    """Path, modification time and size of every file."""
    return frozenset(_files(roots))


def _files(roots: Sequence[Path]) -> Iterator[tuple[str, int, int]]:
    for root in roots:
        for path in [root, *root.rglob("*")] if root.is_dir() else [root]:
            try:
                if path.is_file():
                    stat = path.stat()
                    yield str(path), stat.st_mtime_ns, stat.st_size
            except OSError:  # deleted between listing and looking
                continue
