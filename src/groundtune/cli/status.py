"""``groundtune status``: what there is, what changed since the verdict, and whether it still holds."""

from __future__ import annotations

import json
from pathlib import Path

from groundtune import messages
from groundtune.cli.context import State, columns
from groundtune.cli.mix import verdict
from groundtune.cli.options import option, verb
from groundtune.messages import say
from groundtune.project import Project
from groundtune.tuning.adapters import Adapters
from groundtune.verdict.status import status
from groundtune.verdict.words import render_status


@verb("status")
@option("--documents", "each", is_flag=True, help_key="cli.status.each")
def command(state: State, each: bool) -> None:
    """Exit code 0 whatever the answer is."""
    project = state.project()
    if each:
        _documents(state, project)
        return
    documents = project.documents()
    adapters = sorted(Adapters(project.config.state / "adapters").list())
    run = project.latest()
    lang = messages.language()
    lines = [say("cli.status.documents", documents=len(documents))] if documents else [say("cli.status.never")]
    if adapters:
        lines.append(say("cli.status.adapters", names=", ".join(adapters)))
    table: dict[str, object] = {"documents": len(documents), "adapters": adapters, "report": None, "status": None}
    if run is None:
        state.emit(table, "\n".join([*lines, say("cli.status.no_report")]))
        return
    report = run.report()
    lines.append(say("cli.status.report", created=report.created, path=run.html_path))
    table |= {"report": run.report_path, "verdict": run.winner()}
    if not run.verdict_path.is_file():
        lines.append(say("cli.status.no_verdict"))
    found = status(report, project.config, documents={d.id: d.version for d in documents})
    table["status"] = json.loads(found.to_json(lang))
    state.emit(table, "\n".join([*lines, "", render_status(found, lang)]))


def _documents(state: State, project: Project) -> None:
    """One line per document, compared with the files; then what the retrieval self-test chose."""
    found = project.kb.states([root for root in project.roots if isinstance(root, Path)])
    choice = project.kb.retrieval()
    table = {"documents": found, "retrieval": choice}
    if not found:
        state.emit(table, say("cli.status.never"))
        return
    heads = [say(f"cli.status.{name}") for name in ("state", "version", "passages", "since", "document")]
    rows = [(say(f"cli.status.{d.state}"), d.version[:12], str(d.chunks), d.since[:19], d.id) for d in found]
    lines = [columns(heads, rows)]
    if choice:
        lines += ["", say("cli.status.retrieval", date=choice.date, sentence=verdict(choice))]
    state.emit(table, "\n".join(lines))
