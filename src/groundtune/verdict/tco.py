"""The money model: what each approach costs per month over the horizon, for one point or many draws at once.

Symbols (decision formulas of the design notes): Q queries a month, u question tokens, s static prompt tokens, s2 static
tokens after tuning, L retrieved tokens, o output tokens, D corpus tokens, p_i p_o p_r p_w prices of input, output, cache
read and cache write, h cache hit rate, beta share sent as a batch at half price, m price multiplier of a tuned model,
F_R vector store a month, r retrieval dollars a query, U_c index updates a month, G hosting a month, S set-up, T0 first
training, T1 one retraining, rho retrainings a month.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from groundtune.measure.naming import approach_of
from groundtune.verdict import prices as price_book
from groundtune.verdict.prices import TokenPrices
from groundtune.verdict.rows import TUNED

Array = NDArray[np.float64]
HOURS = 730.0
MINUTES = HOURS * 60


@dataclass(frozen=True)
class CostInputs:
    """Everything the cost model knows. Money in US dollars, tokens per query, rates per month.

    ``prices`` "" means that no tokens are bought: every approach runs on the hosting. ``row_prices`` names another price
    for rows of other models, by row name. ``hit_rate`` < 0: derived from
    the traffic and ``cache_minutes``. ``retrains`` < 0: one per update; ``hybrid_retrains`` < 0: at most one a year,
    because its facts live in the index. ``accuracy`` is success in [0, 1] by approach; ``scores`` the same item by item
    (aligned over approaches, ``groups`` names each item's cluster). ``ranges`` are low and high by field name; a name
    that is absent gets a default, and ``(x, x)`` means certain. ``measured`` names the fields that a report filled.
    """

    queries_per_month: float = 10000.0
    horizon_months: int = 12
    growth_per_month: float = 0.0
    question_tokens: float = 60.0
    static_tokens: float = 400.0
    shot_tokens: float = 900.0
    tuned_static_tokens: float = 60.0
    retrieved_tokens: float = 2500.0
    output_tokens: float = 300.0
    outputs: Mapping[str, float] = field(default_factory=dict)
    corpus_tokens: float = 0.0
    updates_per_month: float = 1.0
    retrains: float = -1.0
    hybrid_retrains: float = -1.0
    prices: str = "gpt-5-mini"
    row_prices: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, float] = field(default_factory=dict)
    use_package: bool = True
    start: date = field(default_factory=date.today)
    price_level: float = 1.0
    hosting: str = "token"
    tuned_multiplier: float = 2.0
    gpu_dollars_per_hour: float = 3.99
    gpu_hours_per_month: float = HOURS
    own_hardware_per_month: float = 100.0
    seconds_per_request: float = 2.0
    requests_at_once: float = 16.0
    peak_factor: float = 5.0
    hit_rate: float = -1.0
    cache_minutes: float = 5.0
    cache_minimum_tokens: float = 1024.0
    batch_share: float = 0.0
    setup_rag: float = 200.0
    setup_finetune: float = 500.0
    training: float = 50.0
    retraining: float = 30.0
    vector_store_per_month: float = 0.0
    retrieval_per_query: float = 0.0
    index_update: float = 0.0
    value_per_correct_answer: float = 0.0
    facts_changed_per_month: float = 0.02
    approaches: tuple[str, ...] = ("prompt", "few-shot", "rag", "finetune", "rag+finetune")
    accuracy: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    measured: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    draws: int = 10000
    seed: int = 0


@dataclass(frozen=True)
class PriceCurve:
    """Prices per token of each month, arrays of shape (months, 1). ``cached`` is NaN where no cache price is known;
    ``write`` falls back to the input price. ``long_*`` are the prices of a request that holds the whole corpus.
    """

    months: tuple[TokenPrices, ...]
    input: Array
    output: Array
    cached: Array
    write: Array
    long_input: Array
    long_output: Array
    long_cached: Array
    long_write: Array


def price_curve(inputs: CostInputs, months: int | None = None, name: str = "") -> PriceCurve:
    """Dated prices of every month for the row ``name`` (default: the plan's model); zeros when no tokens are bought. Raises
    ``ConfigError`` for an unknown model.
    """
    count, model = months or inputs.horizon_months, price_model(inputs, name)
    if not model:
        rows: list[TokenPrices] = [TokenPrices("", 0.0, 0.0)] * count
    else:
        days = [price_book.month_start(inputs.start, t) for t in range(count)]
        rows = [price_book.token_prices(model, d, inputs.overrides, package=inputs.use_package) for d in days]
    tall = [row.at(inputs.corpus_tokens) for row in rows]
    return PriceCurve(
        tuple(rows), _column(rows, "input"), _column(rows, "output"), _column(rows, "cached"), _column(rows, "write"),
        _column(tall, "input"), _column(tall, "output"), _column(tall, "cached"), _column(tall, "write"),
    )  # fmt: skip


def price_model(inputs: CostInputs, name: str) -> str:
    """The model whose token prices a row pays; empty: it buys no tokens."""
    return inputs.row_prices.get(name, inputs.prices)


def price_curves(inputs: CostInputs) -> dict[str, PriceCurve]:
    """The curve of every approach; rows of one price model share it."""
    shared: dict[str, PriceCurve] = {}
    for name in inputs.approaches:
        model = price_model(inputs, name)
        if model not in shared:
            shared[model] = price_curve(inputs, name=name)
    return {name: shared[price_model(inputs, name)] for name in inputs.approaches}


def _column(rows: list[TokenPrices], name: str) -> Array:
    values = [getattr(row, name) for row in rows]
    if name == "write":
        values = [row.input if value is None else value for value, row in zip(values, rows, strict=True)]
    return np.array([np.nan if v is None else v / 1e6 for v in values], dtype=float)[:, None]


@dataclass(frozen=True)
class Stream:
    """What one approach costs: ``one_off`` (n,); the others (months, n): ``fixed`` (store, index updates),
    ``retraining``, ``hosting``, ``per_query`` and ``usage`` = queries x per_query.
    """

    one_off: Array
    fixed: Array
    retraining: Array
    hosting: Array
    per_query: Array
    usage: Array

    @property
    def monthly(self) -> Array:
        return self.fixed + self.retraining + self.hosting + self.usage

    @property
    def total(self) -> Array:
        """Total cost of ownership, shape (n,)."""
        summed: Array = self.one_off + self.monthly.sum(axis=0)
        return summed


class Point:
    """Field values of ``inputs``, some replaced by arrays of shape (n,)."""

    def __init__(self, inputs: CostInputs, changed: Mapping[str, Array | float] | None = None) -> None:
        self.inputs = inputs
        self.changed = changed or {}

    def __call__(self, name: str) -> Array:
        return np.atleast_1d(np.asarray(self.changed.get(name, getattr(self.inputs, name)), dtype=float))


def queries(point: Point, months: int) -> Array:
    """Q_t = Q (1 + g)^t, shape (months, n)."""
    steps = np.arange(months, dtype=float)[:, None]
    rising: Array = point("queries_per_month") * (1 + point("growth_per_month")) ** steps
    return rising


def hit_rate(volume: Array, point: Point) -> Array:
    """Cache hits: h = 1 - exp(-lambda TTL) for Poisson arrivals, each hit renewing the cache's life."""
    given = point("hit_rate")
    derived = 1 - np.exp(-volume / MINUTES * point("cache_minutes"))
    return np.where(given >= 0, given, derived)


def cached_price(read: Array, write: Array, plain: Array, hit: Array) -> Array:
    """p_s = (1 - h) p_w + h p_r; the plain input price where no cache price is known."""
    mixed: Array = np.where(np.isnan(read), plain, (1 - hit) * write + hit * np.nan_to_num(read))
    return mixed


def hosting(volume: Array, point: Point) -> Array:
    """G = dollars x max(1, ceil(peak requests a second x seconds a request / requests at once)), 0 with token prices.

    ``gpu``: dollars are hours x price of an hour; ``own``: the monthly cost of the machine.
    """
    mode = point.inputs.hosting
    if mode == "token":
        return np.zeros_like(volume)
    one = (
        point("gpu_dollars_per_hour") * point("gpu_hours_per_month")
        if mode == "gpu"
        else point("own_hardware_per_month")
    )
    return one * machines(volume, point)


def machines(volume: Array, point: Point) -> Array:
    """Machines that the peak needs: Q / seconds in a month x peak factor x seconds a request / requests at once."""
    peak = volume / (MINUTES * 60) * point("peak_factor")
    count: Array = np.maximum(1.0, np.ceil(peak * point("seconds_per_request") / point("requests_at_once") - 1e-9))
    return count


def per_query(name: str, point: Point, curve: PriceCurve, volume: Array) -> Array:
    """Dollars of one query, shape (months, n).

    c_prompt = [p_i u + p_s s + p_o o](1 - beta/2); few-shot has the shots in s; c_R adds p_i L and r;
    c_LC = [p_c D + p_i u + p_s s + p_o o](1 - beta/2) with p_c the cached price of the corpus;
    c_F = m [p_i (u + s2) + p_o o](1 - beta/2), c_H adds L inside the bracket and r outside. On a machine of one's own
    or a rented GPU c_F = 0 and c_H = r: the hosting pays.
    """
    plain = approach_of(name)
    extra = point("retrieval_per_query") if plain in ("rag", "rag+finetune") else np.zeros(1)
    if plain in TUNED and point.inputs.hosting != "token":
        return extra + np.zeros_like(volume)
    level, batch = point("price_level"), 1 - point("batch_share") / 2
    long = plain == "long-context"
    p_i = (curve.long_input if long else curve.input) * level
    p_o = (curve.long_output if long else curve.output) * level
    read = (curve.long_cached if long else curve.cached) * level
    write = (curve.long_write if long else curve.write) * level
    u, o = point("question_tokens"), point("output_tokens")
    if name in point.inputs.outputs and point.inputs.output_tokens > 0:
        o = o * (point.inputs.outputs[name] / point.inputs.output_tokens)
    retrieved = point("retrieved_tokens") if plain in ("rag", "rag+finetune") else np.zeros(1)
    if plain in TUNED:
        bracket = point("tuned_multiplier") * (p_i * (u + point("tuned_static_tokens") + retrieved) + p_o * o)
    else:
        static = point("static_tokens") + (point("shot_tokens") if plain == "few-shot" else 0.0)
        static = static + (point("corpus_tokens") if long else 0.0)
        mixed = cached_price(read, write, p_i, hit_rate(volume, point))
        p_s = np.where(static >= point("cache_minimum_tokens"), mixed, p_i)
        bracket = p_i * (u + retrieved) + p_s * static + p_o * o
    each: Array = bracket * batch + extra + np.zeros_like(volume)
    return each


def rates(point: Point) -> tuple[Array, Array]:
    """(rho, rho_H): retrainings a month of fine-tuning alone and of the hybrid."""
    updates, alone, hybrid = point("updates_per_month"), point("retrains"), point("hybrid_retrains")
    rho = np.where(alone >= 0, alone, updates)
    return rho, np.where(hybrid >= 0, hybrid, np.minimum(rho, 1 / 12))


def stream(name: str, point: Point, curve: PriceCurve) -> Stream:
    """The costs of one approach: TCO = S + T0 + sum over months of [F_R + U_c + G + rho T1 + Q_t c(t)]."""
    plain, months = approach_of(name), len(curve.months)
    volume = queries(point, months)
    size = np.broadcast_shapes(volume.shape[1:], *(np.shape(v) for v in point.changed.values()))
    zero = np.zeros((months, *size))
    one_off, fixed, retraining = np.zeros(size), zero, zero
    if plain in ("rag", "rag+finetune"):
        one_off = one_off + point("setup_rag")
        fixed = zero + point("vector_store_per_month") + point("updates_per_month") * point("index_update")
    if plain in TUNED:
        one_off = one_off + point("setup_finetune") + point("training")
        rho, rho_hybrid = rates(point)
        retraining = zero + (rho if plain == "finetune" else rho_hybrid) * point("retraining")
    hosted = plain in TUNED or not price_model(point.inputs, name)
    host = zero + (hosting(volume, point) if hosted else 0.0)
    each = per_query(name, point, curve, volume) + zero
    return Stream(one_off, fixed, retraining, host, each, volume * each)
