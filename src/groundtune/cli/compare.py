"""``groundtune compare``: every approach on the same held-out items; a table, report.json and report.html."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from groundtune import messages
from groundtune.cli.context import State, console
from groundtune.cli.options import Number, option, verb
from groundtune.measure.limits import Limits
from groundtune.measure.results import Report
from groundtune.messages import say
from groundtune.project import Project
from groundtune.report.progress import ProgressPrinter
from groundtune.report.terminal import print_comparison


@verb("compare")
@option("--approach", "approaches", multiple=True, metavar="NAME")
@option("--model", "models", multiple=True, metavar="SPEC")
@option("--max-questions", type=Number(int, 1), default=None)
@option("--refresh", is_flag=True)
@option("--dry-run", is_flag=True)
@option("--max-cost", type=Number(float, 0), default=None, metavar="DOLLARS")
@option("--max-minutes", type=Number(float, 0), default=None, metavar="MINUTES")
def command(
    state: State,
    approaches: tuple[str, ...],
    models: tuple[str, ...],
    max_questions: int | None,
    refresh: bool,
    dry_run: bool,
    max_cost: float | None,
    max_minutes: float | None,
) -> None:
    """Progress goes to stderr, the table to stdout."""
    from groundtune.cli.spending import limits_of

    project = with_limit(state.project().with_model(models[0] if models else None), max_questions)
    limits = limits_of(models or (project.config.models.base,), max_cost, max_minutes)
    if dry_run:
        _forecast(state, project, approaches, models, refresh, limits)
        return
    report = run(project, approaches, refresh, models=models, limits=limits)
    latest = project.latest()
    assert latest is not None
    if state.json:
        state.emit({"report": json.loads(report.to_json()), "path": latest.report_path, "html": latest.html_path}, "")
    else:
        print_comparison(report, console(), messages.language(), project.cost(report))
    if missing := sum(result.missing for result in report.approaches):
        state.talk(say("cli.compare.missing", count=missing))
    state.talk(say("cli.compare.report", path=latest.html_path))
    state.talk(say("cli.compare.next"))


def _forecast(
    state: State, project: Project, approaches: Sequence[str], models: Sequence[str], refresh: bool, limits: Limits
) -> None:
    from groundtune.cli.spending import describe
    from groundtune.measure.forecast import forecast

    asked = approaches or None
    rows = forecast(project.config, approaches=asked, models=models, refresh=refresh, limits=limits)
    state.emit({"rows": rows, "calls": sum(r.calls for r in rows), "dollars": sum(r.dollars or 0.0 for r in rows)},
               describe(rows) if not state.json else "")  # fmt: skip


def with_limit(project: Project, max_questions: int | None) -> Project:
    """The project with ``compare.max_questions`` replaced when asked."""
    if max_questions is None:
        return project
    config = project.config
    return Project(replace(config, compare=replace(config.compare, max_questions=max_questions)))


def run(
    project: Project,
    approaches: tuple[str, ...] = (),
    refresh: bool = False,
    *,
    models: Sequence[str] = (),
    limits: Limits | None = None,
) -> Report:
    """Compare with progress on stderr."""
    printer = ProgressPrinter(Console(stderr=True), messages.language())
    try:
        return project.compare(approaches or None, models=models, progress=printer, refresh=refresh, limits=limits)
    finally:
        printer.close()
