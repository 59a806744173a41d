"""``groundtune ingest``: documents into the knowledge base, once or for as long as they change."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from groundtune.cli.context import State
from groundtune.cli.engine import Asked, engine_options
from groundtune.cli.mix import describe_choice
from groundtune.cli.options import Number, argument, option, verb
from groundtune.cli.pace import Pace
from groundtune.errors import DataError, UserError
from groundtune.knowledge.address import is_address
from groundtune.knowledge.selftest import Choice
from groundtune.knowledge.sight import Seen
from groundtune.knowledge.site import PAGES, Link
from groundtune.messages import say
from groundtune.parallel import Engine
from groundtune.project import Project
from groundtune.tuning.data import load_questions
from groundtune.types import SyncReport

_SHOWN = 12
_MISSED = 0.2  # share of the letters
_EVERY = 1.0  # seconds between two looks at the files
_WEB_EVERY = 300.0  # seconds between two looks at what is on the web


@verb("ingest")
@argument("paths", nargs=-1)
@option("--watch", is_flag=True)
@option("--follow", is_flag=True)
@option("--max-pages", type=Number(int, 1, 100_000), default=PAGES, metavar="NUMBER")
@option("--allow-private", is_flag=True)
@option("--self-test", is_flag=True)
@engine_options
def command(
    state: State,
    paths: tuple[str, ...],
    watch: bool,
    follow: bool,
    max_pages: int,
    allow_private: bool,
    self_test: bool,
    asked: Asked,
) -> None:
    """Exit code 1 when a document could not be read."""
    if watch and state.json:
        raise UserError("cli.ingest.watch_json")
    project = state.project()
    roots = [
        Link(root, allow_private, follow, max_pages) if isinstance(root, str) and is_address(root) else root
        for root in paths or project.roots
    ]
    with asked.open(state, project.config) as engine:
        report = ingest(project, roots, engine)
    choice = test_retrieval(project) if self_test else None
    found = project.kb.seen([*report.added, *report.updated])
    table = {**asdict(report), "changed": report.changed, "seen": found} | ({"self_test": choice} if choice else {})
    state.emit(table, describe(report) + (f"\n\n{describe_choice(choice)}" if choice else ""))
    for warning in warnings(found, project.config.models.embedder, told=choice is not None):
        state.talk(warning)
    if watch:
        _watch(state, project, roots)
    if report.failed:
        raise SystemExit(1)


def ingest(project: Project, paths: Sequence[str | Path | Link], engine: Engine | None = None) -> SyncReport:
    """Bring in, with a line on stderr now and then while it takes long."""
    pace = Pace()
    project.prepare(pace)
    return project.ingest(paths, progress=pace, engine=engine)


def test_retrieval(project: Project) -> Choice:
    """The self-test on the questions of the project that name their evidence. Raises ``DataError``."""
    path = project.config.path(project.config.project.questions)
    return project.kb.self_test(load_questions(path) if path.is_file() else ())


def describe(report: SyncReport) -> str:
    """Counts, what changed and what failed."""
    lines = [
        say(
            "cli.ingest.summary",
            added=len(report.added),
            updated=len(report.updated),
            deleted=len(report.deleted),
            unchanged=len(report.unchanged),
            renamed=len(report.renamed),
            failed=len(report.failed),
            seconds=f"{report.seconds:.2f}",
        )
    ]
    for name in ("added", "updated", "deleted"):
        ids: tuple[str, ...] = getattr(report, name)
        lines += [f"  {say(f'cli.ingest.{name}')}  {id}" for id in ids[:_SHOWN]]
        if len(ids) > _SHOWN:
            lines.append(f"  {say('cli.ingest.more', count=len(ids) - _SHOWN)}")
    moves = list(report.renamed.items())
    lines += [f"  {say('cli.ingest.renamed', old=old, new=new)}" for new, old in moves[:_SHOWN]]
    if len(moves) > _SHOWN:
        lines.append(f"  {say('cli.ingest.more', count=len(moves) - _SHOWN)}")
    lines += [say("cli.ingest.failed", id=id, reason=reason) for id, reason in report.failed.items()]
    return "\n".join(lines)


def warnings(found: Seen, embedder: str, *, told: bool = False) -> list[str]:
    """What search and the built-in models will miss of what was brought in. ``told``: the self-test said it already."""
    lines = [] if told else [
        say("cli.mix.blind", embedder=embedder, language=one.language, share=round(100 * one.share))
        for one in found.blind
    ]  # fmt: skip
    if found.unsplit >= _MISSED:
        lines.append(say("cli.ingest.unsplit", share=round(100 * found.unsplit)))
    elif found.unread >= _MISSED:
        lines.append(say("cli.ingest.unread", share=round(100 * found.unread)))
    return lines


def _watch(state: State, project: Project, paths: Sequence[str | Path | Link]) -> None:
    roots = [Path(path) for path in paths if not isinstance(path, Link)]
    links = [path for path in paths if isinstance(path, Link)]
    state.talk(say("cli.ingest.watching", paths=", ".join([*map(str, roots), *(link.url for link in links)])))
    seen, asked = snapshot(roots), time.monotonic()
    while True:
        time.sleep(_EVERY)
        now = snapshot(roots)
        due = bool(links) and time.monotonic() - asked >= _WEB_EVERY
        if now == seen and not due:
            continue
        asked = time.monotonic()
        while now != seen:  # wait until a copy in progress has ended
            seen = now
            time.sleep(_EVERY / 2)
            now = snapshot(roots)
        try:
            report = project.ingest(paths)
        except DataError as error:  # a root that is gone for a moment must not end the watch
            state.talk(error.sentence())
            continue
        if report.changed or report.failed:
            state.emit(report, describe(report))
            found = project.kb.seen([*report.added, *report.updated])
            for warning in warnings(found, project.config.models.embedder):
                state.talk(warning)


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
