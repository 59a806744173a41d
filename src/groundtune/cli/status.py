"""``groundtune status``: what there is, what changed since the verdict, and whether it still holds."""

from __future__ import annotations

import json

from groundtune import messages
from groundtune.cli.context import State
from groundtune.cli.options import verb
from groundtune.messages import say
from groundtune.tuning.adapters import Adapters
from groundtune.verdict.status import status
from groundtune.verdict.words import render_status


@verb("status")
def command(state: State) -> None:
    """Exit code 0 whatever the answer is."""
    project = state.project()
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
