"""``groundtune exchange``: questions and answers in the formats of other evaluation tools, and runs in their trackers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click

from groundtune.cli.context import State, free
from groundtune.cli.groups import group
from groundtune.cli.options import OneOf, argument, option
from groundtune.errors import DataError, UserError
from groundtune.files import write_whole
from groundtune.interop.exchange import FORMATS, Answered, as_lines, as_row, export
from groundtune.measure.contrasts import AT
from groundtune.messages import say
from groundtune.project import Project, Run
from groundtune.types import Question

_DEFAULT = {
    "ragas": "ragas.jsonl", "promptfoo": "promptfooconfig.json", "openai-evals": "samples.jsonl",
    "openai-evals-api": "evals.jsonl",
}  # fmt: skip
_RETRIEVING = ("rag", "rag+finetune")


@group("exchange")
def command(state: State) -> None:
    """Without a sub-verb: the help."""
    click.echo(click.get_current_context().get_help())


@command.verb("export")
@option("--to", "format", type=OneOf(FORMATS), required=True)
@option("--approach", metavar="NAME", default=None)
@option("--report", "report_path", metavar="FILE", default=None)
@option("--out", metavar="FILE", default=None)
@option("--force", is_flag=True)
def export_(
    state: State, format: str, approach: str | None, report_path: str | None, out: str | None, force: bool
) -> None:
    """The project's questions; with an approach its answers of a run, too."""
    project = state.project()
    questions = _questions(project)
    rows = [Answered(question) for question in questions]
    if approach:
        rows = _answered(project, questions, approach, _run(project, report_path))
    target = free(Path(out or _DEFAULT[format]), force)
    made = export(
        rows,
        format,
        name=project.config.project.name,
        instruction=project.config.format.instruction.strip(),
        model=project.config.models.base if project.config.models.base.startswith("openai:") else "",
    )
    write_whole(target, made.text)
    paths = [target]
    if made.definition:
        paths.append(free(target.with_name(f"{target.stem}.eval.json"), force))
        write_whole(paths[1], made.definition)
    answers = sum(row.output is not None for row in rows)
    table = {"out": paths, "format": format, "questions": len(rows), "answers": answers}
    shown = ", ".join(map(str, paths))
    state.emit(table, say("cli.exchange.exported", questions=len(rows), answers=answers, path=shown))


@command.verb("import")
@argument("file")
@option("--out", metavar="FILE", default=None)
@option("--force", is_flag=True)
def import_(state: State, file: str, out: str | None, force: bool) -> None:
    """Questions of any of the formats, as questions.jsonl; quotes are looked up in the project's documents."""
    from groundtune.cli.context import find_start
    from groundtune.interop.exchange_in import read_questions

    project = state.project() if find_start(state.folder) else None
    texts = {document.id: document.text for document in project.documents()} if project else {}
    found = read_questions(file, texts)
    default = _questions_path(project) if project else Path("questions.jsonl")
    target = free(Path(out) if out else default, force)
    write_whole(target, as_lines(as_row(question) for question in found.questions))
    reasons = Counter(dropped.reason for dropped in found.dropped)
    table = {"out": target, "format": found.format, "questions": len(found.questions), "evidence": found.evidence,
             "dropped": [{"row": one.number, "reason": one.reason} for one in found.dropped]}  # fmt: skip
    said = [say("cli.exchange.imported", count=len(found.questions), format=found.format, path=target,
                evidence=found.evidence)]  # fmt: skip
    said += [say(f"cli.exchange.{reason}", count=count) for reason, count in reasons.items()]
    state.emit(table, "\n".join(said))


@command.verb("log")
@option("--to", "to", metavar="TRACKER:PLACE", required=True)
@option("--report", "report_path", metavar="FILE", default=None)
def log(state: State, to: str, report_path: str | None) -> None:
    """One run of a tracker per approach."""
    from groundtune.interop.tracking import log_report

    run = Run(Path(report_path)) if report_path else _run(state.project(), None)
    report = run.report()
    files = tuple(path for path in (run.report_path, run.html_path) if path.is_file())
    logged = log_report(report, to, files)
    lines = [say("cli.exchange.logged", count=len(logged), to=to)]
    lines += [f"  {one.approach}  {one.id}".rstrip() for one in logged]
    state.emit({"to": to, "runs": logged}, "\n".join(lines))


def _questions(project: Project) -> tuple[Question, ...]:
    from groundtune.tuning.data import load_questions

    return load_questions(_questions_path(project))


def _questions_path(project: Project) -> Path:
    return project.config.path(project.config.project.questions or "questions.jsonl")


def _run(project: Project, path: str | None) -> Run:
    run = Run(Path(path)) if path else project.latest()
    if run is None:
        raise DataError("cli.decide.no_report")
    return run


def _answered(project: Project, questions: tuple[Question, ...], approach: str, run: Run) -> list[Answered]:
    """The questions that a run asked, with its answers. Passages are retrieved again, as ``rag`` retrieves them: a report
    keeps only their documents.
    """
    report = run.report()
    result = report.approach(approach)
    if result is None or not result.items:
        known = ", ".join(one.name for one in report.approaches if one.items)
        raise UserError("cli.exchange.no_approach", name=approach, known=known)
    by_id = {question.id: question for question in questions}
    show = _shower(project) if approach.partition(AT)[0] in _RETRIEVING else lambda text: ()
    rows: list[Answered] = []
    for item in result.items:
        question = by_id.get(item.id) if item.part == "question" else None
        if question is None or question.text != item.question or item.error:
            continue
        rows.append(Answered(question, item.output, show(question.text), item.retrieved))
    if not rows:
        raise UserError("cli.exchange.other_questions", path=run.report_path)
    return rows


def _shower(project: Project) -> Callable[[str], tuple[str, ...]]:
    from groundtune.approaches.retrieve import retrieve
    from groundtune.approaches.setting import make_setting

    setting = make_setting(project.config, project.kb)
    return lambda text: tuple(hit.chunk.text for hit in retrieve(setting, text).context)
