"""``groundtune compare``: every approach on the same held-out items; a table, report.json and report.html."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from groundtune import messages
from groundtune.cli.context import State, console
from groundtune.cli.engine import Asked, engine_options
from groundtune.cli.options import Number, option, verb
from groundtune.errors import ConfigError
from groundtune.measure.court import Judging
from groundtune.measure.limits import Limits
from groundtune.measure.results import Report
from groundtune.messages import say
from groundtune.parallel import Engine
from groundtune.project import Project
from groundtune.report.insights import insights
from groundtune.report.progress import ProgressPrinter
from groundtune.report.terminal import print_comparison, say_line
from groundtune.report.words import Words


@verb("compare")
@option("--approach", "approaches", multiple=True, metavar="NAME")
@option("--model", "models", multiple=True, metavar="SPEC")
@option("--max-questions", type=Number(int, 1), default=None)
@option("--refresh", is_flag=True)
@option("--dry-run", is_flag=True)
@option("--max-cost", type=Number(float, 0), default=None, metavar="DOLLARS")
@option("--max-minutes", type=Number(float, 0), default=None, metavar="MINUTES")
@option("--workers", type=Number(int, 1, 256), default=1, show_default=True)
@option("--until-decided", is_flag=True)
@option("--seeds", type=Number(int, 1, 50), default=None)
@option("--judge", metavar="SPEC", default=None)
@option("--judge-labels", metavar="FILE", default=None)
@engine_options
def command(
    state: State,
    approaches: tuple[str, ...],
    models: tuple[str, ...],
    max_questions: int | None,
    refresh: bool,
    dry_run: bool,
    max_cost: float | None,
    max_minutes: float | None,
    workers: int,
    until_decided: bool,
    seeds: int | None,
    judge: str | None,
    judge_labels: str | None,
    asked: Asked,
) -> None:
    """Progress goes to stderr, the table to stdout."""
    from groundtune.cli.spending import limits_of

    if judge_labels and not judge:
        raise ConfigError("cli.compare.labels_alone")
    project = with_limit(state.project().with_model(models[0] if models else None), max_questions)
    specs = (*(models or (project.config.models.base,)), *((judge,) if judge else ()))
    limits = limits_of(specs, max_cost, max_minutes)
    if dry_run:
        _forecast(state, project, approaches, models, refresh, limits)
        return
    judging = Judging(judge, Path(judge_labels) if judge_labels else None) if judge else None
    sheet = bool(judging and judging.labels and not judging.labels.exists())
    with asked.open(state, project.config) as engine:
        report = run(
            project,
            approaches,
            refresh,
            models=models,
            limits=limits,
            workers=workers,
            until_decided=until_decided,
            seeds=seeds,
            judge=judging,
            engine=engine,
        )
    latest = project.latest()
    assert latest is not None
    if state.json:
        state.emit({"report": json.loads(report.to_json()), "path": latest.report_path, "html": latest.html_path}, "")
    else:
        print_comparison(report, console(), messages.language(), project.cost(report))
        _insights(report)
    if sheet and judge_labels and Path(judge_labels).exists():
        state.talk(say("cli.compare.sheet", path=judge_labels))
    if missing := sum(result.missing for result in report.approaches):
        state.talk(say("cli.compare.missing", count=missing))
    state.talk(say("cli.compare.report", path=latest.html_path))
    state.talk(say("cli.compare.next"))


def _insights(report: Report) -> None:
    lines = insights(report, Words.of(messages.language()))
    if lines:
        console().print()
    for line in lines:
        say_line(line, console())


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
    workers: int = 1,
    until_decided: bool = False,
    seeds: int | None = None,
    judge: Judging | None = None,
    engine: Engine | None = None,
) -> Report:
    """Compare with progress on stderr."""
    printer = ProgressPrinter(Console(stderr=True), messages.language())
    try:
        return project.compare(
            approaches or None,
            models=models,
            progress=printer,
            refresh=refresh,
            limits=limits,
            workers=workers,
            until_decided=until_decided,
            seeds=seeds,
            judge=judge,
            engine=engine,
        )
    finally:
        printer.close()
