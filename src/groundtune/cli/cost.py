"""``groundtune cost``: the cost model alone, with a flag for every input."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import date
from typing import Any, get_type_hints

from groundtune import messages
from groundtune.cli.context import State, find_start
from groundtune.cli.options import Number, option, verb
from groundtune.config import Config, CostSection
from groundtune.errors import DataError
from groundtune.messages import say
from groundtune.project import Project
from groundtune.verdict.cost import price_pairs
from groundtune.verdict.price_lint import disagreements, lint
from groundtune.verdict.prices import month_start, overlay
from groundtune.verdict.words import render_cost


def _flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """One flag per field of ``CostSection``, explained by the sentence that explains the setting."""
    hints = get_type_hints(CostSection)
    for setting in reversed([f for f in fields(CostSection) if f.name != "price_overrides"]):
        kind = hints[setting.name]
        low = -1 if setting.name in ("retrained_per_month", "hybrid_retrained_per_month", "growth_per_month") else 0
        chosen = str if kind is str else Number(kind, 1 if setting.name == "horizon_months" else low)
        flag = "--" + setting.name.replace("_", "-")
        add = option(flag, setting.name, type=chosen, default=None, metavar="VALUE",
                     help_key=f"settings.cost.{setting.name}")  # fmt: skip
        function = add(function)
    return function


@verb("cost")
@option("--price", "pairs", multiple=True, metavar="KEY=DOLLARS", help_key="cli.cost.price")
@option("--lint-prices", is_flag=True)
@_flags
def command(
    state: State,
    pairs: tuple[str, ...],
    lint_prices: bool,
    **flags: Any,  # noqa: ANN401 - the fields of CostSection
) -> None:
    """In a project: its settings and what its last comparison measured. Elsewhere: defaults."""
    if lint_prices:
        _lint(state)
        return
    project = state.project() if find_start(state.folder) or state.folder else Project(Config())
    given = {name: value for name, value in flags.items() if value is not None}
    config = replace(project.config, cost=replace(project.config.cost, **given))
    report = None
    if run := project.latest():
        try:
            report = run.report()
        except DataError as error:  # the cost model needs no measurement, but a lost one is said
            state.talk(error.sentence())
    cost = Project(config).cost(report, price_pairs(pairs))
    lang = messages.language()
    state.emit(json.loads(cost.to_json(lang)), render_cost(cost, lang))
    state.talk(say("cli.cost.measured", created=report.created[:10]) if report else say("cli.cost.guessed"))


def _lint(state: State) -> None:
    """The shipped price list, checked against itself, the calendar and the other list; exit code 1 when a row is wrong."""
    today = date.today()
    found = (
        *lint(overlay(), today, month_start(today, CostSection().horizon_months)),
        *disagreements(overlay(), today),
    )
    lines = [say(f"verdict.price_{w.key}", row=w.row, detail=w.detail) for w in found]
    wrong = sum(w.wrong for w in found)
    as_of = max(row.read for row in overlay())
    lines.append(say("cli.cost.linted", rows=len(overlay()), as_of=as_of, wrong=wrong, other=len(found) - wrong))
    rows = [{**asdict(w), "wrong": w.wrong, "text": text} for w, text in zip(found, lines, strict=False)]
    state.emit({"rows": len(overlay()), "as_of": as_of.isoformat(), "wrong": wrong, "found": rows}, "\n".join(lines))
    if wrong:
        raise SystemExit(1)
