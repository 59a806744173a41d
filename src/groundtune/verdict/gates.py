"""Hard gates: facts that decide before any score does. Each that fires is one sentence with the fact behind it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

from groundtune.config import Config, is_brought
from groundtune.errors import DataError
from groundtune.measure.naming import approach_of
from groundtune.measure.results import Report
from groundtune.messages import say
from groundtune.verdict import prices
from groundtune.verdict.cost import CostReport
from groundtune.verdict.rows import is_local, model_of
from groundtune.verdict.sentence import Sentence, sentence

Effect = Literal["exclude", "warn", "include"]
STRENGTHS = ("logic", "strong", "mixed", "claim", "product")
LEAST_EXAMPLES = 10
ENOUGH_EXAMPLES = 50
DAILY = 20.0
WINDOW = 200_000


@dataclass(frozen=True)
class Rule:
    """One row of ``evidence.toml``."""

    id: str
    statement: str
    effect: Effect
    applies_to: tuple[str, ...]
    strength: str
    cites: tuple[str, ...] = ()

    def source(self, lang: str | None = None) -> str:
        """Where the rule comes from, in words."""
        return say(f"verdict.source.{self.id}", lang=lang)


@dataclass(frozen=True)
class Gate:
    """A rule that fired: on which approaches, and why, in one sentence."""

    rule: Rule
    approaches: tuple[str, ...]
    sentence: Sentence

    @property
    def excludes(self) -> bool:
        return self.rule.effect == "exclude"


@dataclass(frozen=True)
class GateFacts:
    """What the gates look at. ``examples`` None: unknown. ``monthly`` is the cost per month by approach.

    ``row_prices`` are rows whose model is priced apart from ``prices``. ``wants_format`` also holds for a fixed tone; ``knowledge`` is False when no documents or facts are needed.
    """

    citations: bool = False
    access_control: bool = False
    data_must_stay_local: bool = False
    base_is_local: bool = True
    base_model: str = ""
    prices: str = ""
    row_prices: tuple[tuple[str, str], ...] = ()
    hosting: str = "token"
    start: date = date.min
    horizon_months: int = 12
    examples: int | None = None
    corpus_tokens: float = 0.0
    updates_per_month: float = 0.0
    wants_format: bool = False
    knowledge: bool = True
    train_knowledge: bool = False
    budget_per_month: float = 0.0
    monthly: tuple[tuple[str, float], ...] = ()
    approaches: tuple[str, ...] = ()


@cache
def rules() -> dict[str, Rule]:
    """All rules by id. Raises ``DataError`` when the file is not what the schema says."""
    path = Path(__file__).with_name("evidence.toml")
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    found = {
        row["id"]: Rule(**{**row, **{key: tuple(row.get(key, ())) for key in ("applies_to", "cites")}})
        for row in table["rule"]
    }
    wrong = [
        r.id for r in found.values() if r.strength not in STRENGTHS or r.effect not in ("exclude", "warn", "include")
    ]
    if wrong or table.get("schema") != 1 or len(found) != len(table["rule"]):
        raise DataError("verdict.prices_broken", path=path, problems=", ".join(wrong) or "schema")
    return found


def facts_of(config: Config, report: Report | None, cost: CostReport | None) -> GateFacts:
    """The facts of a project: settings, what the report counted, what the cost model says."""
    need, money = config.requirements, config.cost
    base = report.base_model if report else config.models.base
    ran = tuple(a.name for a in report.approaches) if report else config.compare.approaches
    facts = GateFacts(
        citations=need.citations,
        access_control=need.access_control,
        data_must_stay_local=need.data_must_stay_local,
        base_is_local=is_local(base),
        base_model=base,
        prices=cost.inputs.prices if cost else money.prices,
        hosting=money.hosting,
        horizon_months=money.horizon_months,
        examples=report.examples_trained if report else None,
        updates_per_month=money.updates_per_month,
        wants_format=need.fixed_format,
        knowledge=need.knowledge_location != "none",
        train_knowledge=need.train_knowledge,
        budget_per_month=need.budget_per_month,
        corpus_tokens=money.corpus_tokens,
        start=cost.inputs.start if cost else date.today(),
        approaches=ran,
    )
    if cost is None:
        return facts
    monthly = tuple((a.name, a.per_month) for a in cost.approaches)
    other = tuple(cost.inputs.row_prices.items())
    return replace(facts, corpus_tokens=cost.inputs.corpus_tokens, monthly=monthly, row_prices=other)


def fire(facts: GateFacts) -> tuple[Gate, ...]:
    """All gates that fire, excluding ones first."""
    fired = [gate for check in _CHECKS for gate in check(facts)]
    order = {"exclude": 0, "include": 1, "warn": 2}
    return tuple(sorted(fired, key=lambda gate: order[gate.rule.effect]))


def _gate(facts: GateFacts, rule_id: str, /, only: tuple[str, ...] = (), **params: object) -> Iterator[Gate]:
    rule = rules()[rule_id]
    if rule.effect != "include" and facts.approaches:
        rows = only or tuple(n for n in facts.approaches if not is_brought(n))
        fits = (n for n in rows if n in facts.approaches and (approach_of(n) in rule.applies_to or is_brought(n)))
        touched = tuple(fits)
    else:
        touched = only or rule.applies_to
    if touched:
        yield Gate(rule, touched, sentence(f"rule.{rule.statement}", approaches=touched, **params))


def _requirements(f: GateFacts) -> Iterator[Gate]:
    if f.citations:
        yield from _gate(f, "citations")
    if f.access_control:
        yield from _gate(f, "access_rights")
    if f.data_must_stay_local:
        for place, rows in _elsewhere(f).items():
            yield from _gate(f, "data_local", only=rows, base=place)
    if f.data_must_stay_local and f.base_is_local and f.prices:
        yield from _gate(f, "local_prices", prices=f.prices)


def _elsewhere(f: GateFacts) -> dict[str, tuple[str, ...]]:
    """Models and services that run elsewhere, and the rows that send them data."""
    found: dict[str, tuple[str, ...]] = {}
    for name in f.approaches:
        own = name if is_brought(name) else ""
        place = own or model_of(name, f.base_model)
        if not (is_local(place) if own or place != f.base_model else f.base_is_local):
            found[place] = (*found.get(place, ()), name)
    return found if f.approaches or f.base_is_local else {f.base_model: rules()["data_local"].applies_to}


def _suppliers(f: GateFacts) -> Iterator[Gate]:
    other = dict(f.row_prices)
    for model in dict.fromkeys((f.prices, *other.values())):
        rows = tuple(n for n in f.approaches if other.get(n, f.prices) == model and not is_brought(n))
        if model and (rows or not f.approaches):
            yield from _supplier(f, model, rows)


def _supplier(f: GateFacts, model: str, rows: tuple[str, ...]) -> Iterator[Gate]:
    end = prices.month_start(f.start, f.horizon_months)
    base = prices.find(prices.bare(model), f.start)
    if base and base.expires and base.expires < end:
        yield from _gate(f, "base_ends", rows, model=model, date=base.expires.isoformat(), months=f.horizon_months)
    if f.hosting != "token":
        return
    tuned = prices.multiplier(model, f.start)
    # With a local base the token price only stands in for a plan; the adapter itself runs anywhere.
    effect: Effect = "warn" if f.base_is_local and model == f.prices else "exclude"
    if tuned is None:
        gates = _gate(f, "no_supplier", rows, model=model, hosting=f.hosting)
    elif tuned.expires and tuned.expires < end:
        date = tuned.expires.isoformat()
        gates = _gate(f, "tuned_ends", rows, model=model, date=date, months=f.horizon_months)
    else:
        return
    for gate in gates:
        yield replace(gate, rule=replace(gate.rule, effect=effect))


def _data(f: GateFacts) -> Iterator[Gate]:
    if f.examples is not None and f.examples < LEAST_EXAMPLES:
        yield from _gate(f, "too_few_examples", n=f.examples, least=LEAST_EXAMPLES)
    elif f.examples is not None and f.examples < ENOUGH_EXAMPLES:
        yield from _gate(f, "few_examples", n=f.examples, enough=ENOUGH_EXAMPLES)
    if 0 < f.corpus_tokens <= WINDOW and f.updates_per_month < DAILY and f.knowledge:
        yield from _gate(f, "fits_window", tokens=f.corpus_tokens, window=WINDOW)


def _knowledge(f: GateFacts) -> Iterator[Gate]:
    if not f.knowledge:
        return
    if f.train_knowledge:
        yield from _gate(f, "train_knowledge")
    if f.updates_per_month >= DAILY:
        yield from _gate(f, "updates_daily", updates=f.updates_per_month)
    elif f.updates_per_month >= 1:
        yield from _gate(f, "updates", updates=f.updates_per_month)


def _form(f: GateFacts) -> Iterator[Gate]:
    if f.wants_format:
        yield from _gate(f, "format_baseline")
    if any(approach_of(name) == "rag+finetune" for name in f.approaches):
        yield from _gate(f, "hybrid_measured")


def _budget(f: GateFacts) -> Iterator[Gate]:
    if f.budget_per_month <= 0:
        return
    for name, dollars in f.monthly:
        if dollars > f.budget_per_month:
            yield from _gate(f, "budget", only=(name,), name=name, dollars=dollars, budget=f.budget_per_month)


_CHECKS: tuple[Callable[[GateFacts], Iterator[Gate]], ...] = (
    _requirements, _suppliers, _data, _knowledge, _form, _budget,
)  # fmt: skip
