"""``groundtune compare``: every approach on the same held-out items; a table, report.json and report.html."""

from __future__ import annotations

import json
from dataclasses import replace

from rich.console import Console

from groundtune import messages
from groundtune.cli.context import State, console
from groundtune.cli.options import Number, option, verb
from groundtune.measure.results import Report
from groundtune.messages import say
from groundtune.project import Project
from groundtune.report.progress import ProgressPrinter
from groundtune.report.terminal import print_comparison


@verb("compare")
@option("--approach", "approaches", multiple=True, metavar="NAME")
@option("--model", metavar="SPEC", default=None)
@option("--max-questions", type=Number(int, 1), default=None)
@option("--refresh", is_flag=True)
def command(
    state: State, approaches: tuple[str, ...], model: str | None, max_questions: int | None, refresh: bool
) -> None:
    """Progress goes to stderr, the table to stdout."""
    project = with_limit(state.project().with_model(model), max_questions)
    report = run(project, approaches, refresh)
    latest = project.latest()
    assert latest is not None
    if state.json:
        state.emit({"report": json.loads(report.to_json()), "path": latest.report_path, "html": latest.html_path}, "")
    else:
        print_comparison(report, console(), messages.language(), project.cost(report))
    state.talk(say("cli.compare.report", path=latest.html_path))
    state.talk(say("cli.compare.next"))


def with_limit(project: Project, max_questions: int | None) -> Project:
    """The project with ``compare.max_questions`` replaced when asked."""
    if max_questions is None:
        return project
    config = project.config
    return Project(replace(config, compare=replace(config.compare, max_questions=max_questions)))


def run(project: Project, approaches: tuple[str, ...] = (), refresh: bool = False) -> Report:
    """Compare with progress on stderr."""
    printer = ProgressPrinter(Console(stderr=True), messages.language())
    try:
        return project.compare(approaches or None, progress=printer, refresh=refresh)
    finally:
        printer.close()
