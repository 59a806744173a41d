"""``groundtune decide``: the verdict on the last comparison."""

from __future__ import annotations

import json

from groundtune import messages
from groundtune.cli.context import State
from groundtune.cli.options import option, verb
from groundtune.messages import say
from groundtune.verdict.words import render_text


@verb("decide")
@option("--report", "report_path", metavar="PATH", default=None)
def command(state: State, report_path: str | None) -> None:
    """An inconclusive verdict is a verdict: exit code 0."""
    decision = state.project().decide(report_path)
    lang = messages.language()
    state.emit(json.loads(decision.verdict.to_json(lang)), render_text(decision.verdict, lang))
    state.talk(say("cli.decide.written", path=decision.run.verdict_path))
    state.talk(say("cli.compare.report", path=decision.run.html_path))
