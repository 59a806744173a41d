"""The cost model: inputs to total cost of ownership per approach, break-evens, uncertainty and what would flip them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from groundtune.config import Config, CostSection
from groundtune.errors import ConfigError
from groundtune.measure.naming import approach_of
from groundtune.measure.results import ApproachResult, Report
from groundtune.verdict import breakeven, points, prices, uncertainty
from groundtune.verdict.breakeven import BreakEven, RetrainPlan
from groundtune.verdict.price_lint import PriceWarning, lint
from groundtune.verdict.rows import is_local, model_of, ordered
from groundtune.verdict.tco import (
    CostInputs,
    Point,
    PriceCurve,
    Stream,
    machines,
    price_curve,
    price_curves,
    queries,
    stream,
)

ARTICLE_PREMIUM = (1.2, 1.5)
HOSTINGS = ("token", "gpu", "own")
# What --price can replace besides the token prices of the model in use (name.input, .output, .cached, .write).
DOLLARS = (
    "gpu_dollars_per_hour", "own_hardware_per_month", "tuned_multiplier", "training", "retraining",
    "vector_store_per_month", "retrieval_per_query", "index_update", "setup_rag", "setup_finetune",
)  # fmt: skip


@dataclass(frozen=True)
class ApproachCost:
    """Dollars over the horizon unless said otherwise. ``cheapest`` is the share of draws in which it is cheapest."""

    name: str
    total: float
    one_off: float
    fixed: float
    retraining: float
    hosting: float
    usage: float
    per_month: float
    per_1000: float
    per_correct: float | None
    accuracy: float | None
    net_benefit: float | None
    p10: float
    p50: float
    p90: float
    cheapest: float
    cheapest_per_correct: float | None


@dataclass(frozen=True)
class Multiplier:
    """How many times the base price a tuned model costs, from a price list."""

    model: str
    input: float
    output: float
    source: str
    read: str
    expires: str


@dataclass(frozen=True)
class PriceUsed:
    """Token prices (dollars per million) from ``since`` (a month, ISO date) on, with where they were read."""

    name: str
    since: str
    input: float
    output: float
    cached: float | None
    source: str
    read: str
    grade: str


@dataclass(frozen=True)
class CostReport:
    """Everything the cost model says. ``approaches`` cheapest first. ``pair`` (challenger, incumbent) is what the
    tornado compares; ``pairs`` maps ``a<b`` to the share of draws in which a is cheaper. ``machines`` at base volume.
    """

    inputs: CostInputs
    approaches: tuple[ApproachCost, ...]
    break_evens: tuple[BreakEven, ...]
    tornado: tuple[uncertainty.Bar, ...]
    pair: tuple[str, str]
    pairs: Mapping[str, float]
    retrain: RetrainPlan | None
    multipliers: tuple[Multiplier, ...]
    prices_used: tuple[PriceUsed, ...]
    warnings: tuple[PriceWarning, ...]
    machines: int
    as_of: str
    article_premium: tuple[float, float] = ARTICLE_PREMIUM

    def approach(self, name: str) -> ApproachCost | None:
        """The cost of one approach, None when it was not priced."""
        return next((a for a in self.approaches if a.name == name), None)

    def break_even(self, name: str, challenger: str = "finetune", incumbent: str = "rag") -> BreakEven | None:
        """One break-even by symbol and pair."""
        wanted = (name, challenger, incumbent)
        return next((b for b in self.break_evens if (b.name, b.challenger, b.incumbent) == wanted), None)

    def to_json(self, lang: str | None = None) -> str:
        """JSON with each break-even also as a sentence; item scores are left out."""
        table = asdict(replace(self, inputs=replace(self.inputs, scores={}, groups=())))
        for row, point in zip(table["break_evens"], self.break_evens, strict=True):
            row["text"] = point.sentence().text(lang)
        return json.dumps(_finite(table), ensure_ascii=False, indent=1, default=str)


def _finite(value: Any) -> Any:  # noqa: ANN401 - JSON has no infinity
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def inputs_from(
    config: Config,
    report: Report | None = None,
    *,
    overrides: Mapping[str, float] | None = None,
    corpus_tokens: float = 0.0,
    start: date | None = None,
) -> CostInputs:
    """Cost inputs of a project: settings, and tokens and success rates that a report measured.

    ``overrides`` are the ``--price key=value`` pairs (they win over ``[cost] price_overrides``): ``<model>.input`` and so
    on, or one of ``DOLLARS``. A token setting of 0 means "as measured"; without a measurement the built-in default stands.
    A hosted base model pays its own listed prices unless ``prices`` names another; rows of further models pay theirs, and
    a row whose model has no price is left out. Raises ``ConfigError`` for a hosting or number that makes no sense.
    """
    c, day = config.cost, start or date.today()
    given = {**price_pairs(c.price_overrides), **dict(overrides or {})}
    base = report.base_model if report else config.models.base
    problems = [n for n in ("queries_per_month", "growth_per_month") if getattr(c, n) < (0 if n[0] == "q" else -0.99)]
    if c.hosting not in HOSTINGS or (not c.prices and c.hosting == "token") or c.horizon_months < 1 or problems:
        raise ConfigError("verdict.cost_setting", known=", ".join(HOSTINGS), hosting=c.hosting)
    tokens = ("question_tokens", "static_tokens", "shot_tokens", "tuned_static_tokens", "retrieved_tokens",
              "output_tokens", "corpus_tokens")  # fmt: skip
    same = ("queries_per_month", "horizon_months", "growth_per_month", "updates_per_month", "prices", "hosting",
            "tuned_multiplier", "gpu_dollars_per_hour", "gpu_hours_per_month", "own_hardware_per_month",
            "seconds_per_request", "requests_at_once", "peak_factor", "cache_minutes", "batch_share", "setup_rag",
            "setup_finetune", "training", "retraining", "vector_store_per_month", "retrieval_per_query",
            "index_update", "value_per_correct_answer", "facts_changed_per_month")  # fmt: skip
    values: dict[str, Any] = {name: getattr(c, name) for name in same}
    values |= {name: getattr(c, name) for name in tokens if getattr(c, name) > 0}
    if corpus_tokens and "corpus_tokens" not in values:
        values["corpus_tokens"] = corpus_tokens
    values["prices"] = plan = _plan(c, base, day)
    names = [a.name for a in report.approaches if not a.skipped] if report else list(config.compare.approaches)
    paid = {name: _row_price(name, base, plan, c.hosting, day, given) for name in ordered(names)}
    prices_given, dollars = _split(given, {plan, *(model for model in paid.values() if model)})
    values |= dollars
    made = CostInputs(
        **values, retrains=c.retrained_per_month, hybrid_retrains=c.hybrid_retrained_per_month, seed=config.compare.seed,
        overrides=prices_given, start=day,
        row_prices={name: model for name, model in paid.items() if model is not None and model != plan},
        given=tuple(n for n in (*same, *tokens) if n in dollars or getattr(c, n) != getattr(type(c)(), n)),
    )  # fmt: skip
    if report is not None:
        made = _measured(made, report)
    priced = [name for name in paid if paid[name] is not None]
    if made.corpus_tokens <= 0:  # nobody knows how much would be in the prompt
        priced = [name for name in priced if approach_of(name) != "long-context"]
    elif "long-context" not in priced:
        priced.append("long-context")
    return replace(made, approaches=ordered(priced))


def price_pairs(pairs: Iterable[str]) -> dict[str, float]:
    """``key=value`` each, as ``--price`` and ``[cost] price_overrides`` take them. Raises ``ConfigError`` for anything
    else.
    """
    found: dict[str, float] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not key.strip() or not 0 <= number < float("inf"):
            raise ConfigError("verdict.price_pair", pair=pair)
        found[key.strip()] = number
    return found


def _plan(settings: CostSection, base: str, day: date) -> str:
    """The model whose token prices the plan uses."""
    if settings.prices != CostSection().prices or is_local(base) or not prices.is_listed(base, day):
        return settings.prices
    return base


def _row_price(name: str, base: str, plan: str, hosting: str, day: date, overrides: Mapping[str, float]) -> str | None:
    """The model whose token prices a row pays; "" where it runs on the plan's own machines, None where nobody knows."""
    model = model_of(name, base)
    if model == base:
        return plan
    if is_local(model):
        return plan if is_local(base) else None if hosting == "token" else ""
    return model if prices.is_listed(model, day, overrides) else None


def _split(overrides: Mapping[str, float], models: set[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Token prices of the models in use, and other dollars. Raises ``ConfigError`` for a key that changes nothing."""
    dollars = {k: float(v) for k, v in overrides.items() if k in DOLLARS}
    tokens = {k: float(v) for k, v in overrides.items() if k not in DOLLARS}
    used = sorted(model for model in models if model)
    names = {*used, *(model.partition(":")[2] or model for model in used)}
    for key in tokens:
        if key.rpartition(".")[0] not in names:
            shown = used[0] if used else "gpt-5-mini"
            raise ConfigError("verdict.price_key", key=key, model=shown, known=", ".join(DOLLARS))
    return tokens, dollars


def _measured(inputs: CostInputs, report: Report) -> CostInputs:
    """Fill tokens and success from a report, where a setting did not give them."""
    ran = {a.name: a for a in report.approaches if not a.skipped and a.items}
    found: dict[str, Any] = {}
    if base := _first(ran, "prompt"):
        asked = [i for i in base.items if not i.error] or list(base.items)
        found["question_tokens"] = min(base.input_tokens, sum(_rough(i.question) for i in asked) / len(asked))
        found["static_tokens"] = base.input_tokens - found["question_tokens"]
        if shots := _first(ran, "few-shot"):
            found["shot_tokens"] = max(0.0, shots.input_tokens - base.input_tokens)
    question = found.get("question_tokens", inputs.question_tokens)
    if tuned := _first(ran, "finetune"):
        found["tuned_static_tokens"] = max(0.0, tuned.input_tokens - question)
    if rag := _first(ran, "rag"):
        found["retrieved_tokens"] = rag.retrieved_tokens
        found["output_tokens"] = rag.output_tokens
    corpus = report.settings.get("corpus_tokens")
    if isinstance(corpus, int | float) and corpus > 0 and not inputs.corpus_tokens:
        found["corpus_tokens"] = float(corpus)
    found = {k: v for k, v in found.items() if k not in inputs.given}
    outputs = {} if "output_tokens" in inputs.given else {n: a.output_tokens for n, a in ran.items()}
    scores, groups = aligned(ran)
    accuracy = {n: float(np.mean(s)) for n, s in scores.items() if s}
    return replace(
        inputs, **found, outputs=outputs, scores=scores, groups=groups, accuracy=accuracy, measured=tuple(found)
    )


def _first(ran: Mapping[str, ApproachResult], approach: str) -> ApproachResult | None:
    """The row of an approach that stands for it: plain before schema-guided, the first model before others."""
    return ran.get(approach) or next((row for name, row in ran.items() if approach_of(name) == approach), None)


def _rough(text: str) -> float:
    """Tokens of a text, roughly: four Latin letters or one ideograph each."""
    wide = sum(ord(c) > 0x2E7F for c in text)
    return wide + (len(text) - wide) / 4


def aligned(ran: Mapping[str, ApproachResult]) -> tuple[dict[str, tuple[float, ...]], tuple[str, ...]]:
    """``success`` item by item over the items that every approach has, and each item's cluster."""
    tables = {
        name: {
            (i.part, i.id): (i.scores["success"], i.group) for i in result.items if i.scores.get("success") is not None
        }
        for name, result in ran.items()
    }
    tables = {name: table for name, table in tables.items() if table}
    if not tables:
        return {}, ()
    shared = sorted(set.intersection(*(set(t) for t in tables.values())))
    first = next(iter(tables.values()))
    scores = {name: tuple(float(table[k][0] or 0.0) for k in shared) for name, table in tables.items()}
    return scores, tuple(first[k][1] for k in shared)


def cost_table(inputs: CostInputs, *, pair: tuple[str, str] | None = None, today: date | None = None) -> CostReport:
    """Run the whole model. ``pair`` (challenger, incumbent) is what the tornado compares; default fine-tuning, RAG."""
    curve, curves = price_curve(inputs), price_curves(inputs)
    point = Point(inputs)
    streams = {name: stream(name, point, curves[name]) for name in inputs.approaches}
    guesses = uncertainty.simulate(inputs, curves)
    asked = float(queries(point, inputs.horizon_months).sum())
    rows = [_row(name, s, inputs, guesses, asked) for name, s in streams.items()]
    compared = pair or _pair(inputs.approaches)
    known = set(compared) <= set(inputs.approaches)
    plan = breakeven.retrain_interval(
        inputs.retraining, inputs.queries_per_month, inputs.value_per_correct_answer, inputs.facts_changed_per_month
    )
    end = prices.month_start(inputs.start, inputs.horizon_months)
    paid = dict.fromkeys((inputs.prices, *inputs.row_prices.values()))
    used = [row for model in paid if model for row in _prices_used(model, curve, curves, inputs)]
    keys = {key for model in paid for key in (prices.bare(model), f"multiplier:{prices.bare(model)}")}
    relevant = [row for row in prices.overlay() if row.key in keys]
    return CostReport(
        inputs=inputs,
        approaches=tuple(sorted(rows, key=lambda row: row.total)),
        break_evens=tuple(points.break_evens(inputs, curve, streams)),
        tornado=uncertainty.tornado(inputs, curves, *compared) if known else (),
        pair=compared,
        pairs=guesses.pairs,
        retrain=plan,
        multipliers=tuple(
            Multiplier(r.model, r.value or 0.0, r.output or 0.0, r.source, r.read.isoformat(), str(r.expires or ""))
            for r in prices.multipliers()
        ),
        prices_used=tuple(used),
        warnings=lint(relevant, today or date.today(), end),
        machines=int(machines(queries(point, 1), point).max()) if inputs.hosting != "token" else 0,
        as_of=max((r.read for r in prices.overlay()), default=date.min).isoformat(),
    )


def _pair(approaches: tuple[str, ...]) -> tuple[str, str]:
    if {"finetune", "rag"} <= set(approaches) or len(approaches) < 2:
        return "finetune", "rag"
    return approaches[1], approaches[0]


def _row(name: str, s: Stream, inputs: CostInputs, guesses: uncertainty.Uncertainty, asked: float) -> ApproachCost:
    total = float(s.total[0])
    spread, accuracy = guesses.spreads[name], inputs.accuracy.get(name)
    worth = inputs.value_per_correct_answer
    return ApproachCost(
        name=name,
        total=total,
        one_off=float(s.one_off[0]),
        fixed=float(s.fixed.sum()),
        retraining=float(s.retraining.sum()),
        hosting=float(s.hosting.sum()),
        usage=float(s.usage.sum()),
        per_month=total / inputs.horizon_months,
        per_1000=total / asked * 1000 if asked else 0.0,
        per_correct=total / (asked * accuracy) if accuracy and asked else None,
        accuracy=accuracy,
        net_benefit=asked * worth * accuracy - total if worth > 0 and accuracy is not None else None,
        p10=spread.p10,
        p50=spread.p50,
        p90=spread.p90,
        cheapest=spread.cheapest,
        cheapest_per_correct=spread.cheapest_per_correct,
    )


def _prices_used(model: str, plan: PriceCurve, curves: Mapping[str, PriceCurve], inputs: CostInputs) -> list[PriceUsed]:
    used: list[PriceUsed] = []
    name = next((name for name, paid in inputs.row_prices.items() if paid == model), "")
    curve = curves.get(name, plan)
    for offset, row in enumerate(curve.months):
        if row.name and (not offset or row != curve.months[offset - 1]):
            since = prices.month_start(inputs.start, offset).isoformat()
            read = row.read.isoformat() if row.read else ""
            used.append(PriceUsed(row.name, since, row.input, row.output, row.cached, row.source, read, row.grade))
    return used


def training_cost(price: float, epochs: float, tokens: float, evaluations: float = 0, validation: float = 0) -> float:
    """T = p_t x epochs x training tokens + evaluations x validation tokens x p_t; ``price`` dollars per million."""
    return price / 1e6 * (epochs * tokens + evaluations * validation)
