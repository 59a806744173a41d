"""``groundtune redteam``: do documents take over the model that reads them?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from groundtune import registry
from groundtune.cli.context import State, columns, find_start
from groundtune.cli.options import option, verb
from groundtune.knowledge.base import DEFAULT_READER
from groundtune.measure.redteam import RedTeamReport, Share, red_team
from groundtune.messages import say


@verb("redteam")
@option("--model", metavar="SPEC", default=None)
@option("--fail", is_flag=True)
def command(state: State, model: str | None, fail: bool) -> None:
    """Works without a project. With ``--fail`` the exit code is 1 when an attack succeeded."""
    reader = registry.load(
        "reader", state.project().config.models.reader if find_start(state.folder) else DEFAULT_READER
    )
    writer = registry.load("model", model) if model else None
    report = red_team(writer, reader)
    state.emit(_table(report), _describe(report, written=writer is not None))
    if fail and report.obeyed.count:
        raise SystemExit(1)


def _describe(report: RedTeamReport, written: bool) -> str:
    rows = [(say(f"cli.redteam.{kind}"), _shown(share)) for kind, share in report.by_kind().items()]
    lines = [say("cli.redteam.title", model=report.model, count=len(report.trials)), ""]
    lines += [columns((say("cli.redteam.kind"), say("cli.redteam.succeeded")), rows), ""]
    lines.append(say("cli.redteam.total", rate=_shown(report.obeyed)))
    if written:
        lines.append(say("cli.redteam.wrote", rate=_shown(report.wrote)))
    lines.append(say("cli.redteam.right", rate=_shown(report.right)))
    lines += [f"  - {trial.attack.id}: {trial.answer.text[:100]}" for trial in report.trials if trial.obeyed]
    return "\n".join(lines)


def _shown(share: Share) -> str:
    return f"{share.count}/{share.n} ({100 * share.low:.0f}-{100 * share.high:.0f} %)"


def _table(report: RedTeamReport) -> Mapping[str, Any]:
    return {
        "model": report.model,
        "succeeded": report.obeyed,
        "model_obeyed": report.wrote,
        "answered_right": report.right,
        "kinds": report.by_kind(),
        "trials": [
            {"id": t.attack.id, "kind": t.attack.kind, "language": t.attack.language, "succeeded": t.obeyed,
             "model_obeyed": t.wrote, "answered_right": t.right, "answer": t.answer.text}
            for t in report.trials
        ],
    }  # fmt: skip
