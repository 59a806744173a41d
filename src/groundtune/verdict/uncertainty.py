"""How far to trust the money: seeded Monte Carlo over declared ranges, and a tornado that re-runs the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from groundtune.errors import ConfigError
from groundtune.verdict.tco import Array, CostInputs, Point, PriceCurve, rates, stream

# Volumes vary by factors, so they are drawn lognormal; the rest triangular.
LOGNORMAL = ("queries_per_month", "retrieved_tokens", "output_tokens", "retrains")
RESAMPLES = 1000  # of the measured items; each money draw takes one of them
_FACTORS = {
    "queries_per_month": (0.3, 3.0), "retrieved_tokens": (0.5, 2.0), "output_tokens": (0.5, 2.0),
    "retrains": (0.5, 2.0), "setup_rag": (0.5, 2.0), "setup_finetune": (0.5, 2.0), "training": (0.5, 2.0),
    "retraining": (0.5, 2.0), "price_level": (0.7, 1.3), "vector_store_per_month": (0.5, 2.0),
    "retrieval_per_query": (0.5, 2.0),
}  # fmt: skip


@dataclass(frozen=True)
class Spread:
    """Dollars over the horizon: 10th, 50th and 90th percentile, and how often this approach is the cheapest."""

    p10: float
    p50: float
    p90: float
    cheapest: float
    cheapest_per_correct: float | None = None


@dataclass(frozen=True)
class Bar:
    """One bar of the tornado: the gap (challenger - incumbent, dollars over the horizon) at the low and high end of one
    input, everything else at its base. ``flips``: the sign of the gap changes, so this input decides.
    """

    name: str
    low_input: float
    high_input: float
    low: float
    high: float
    base: float
    flips: bool

    @property
    def width(self) -> float:
        return abs(self.high - self.low)


@dataclass(frozen=True)
class Uncertainty:
    """What the draws say. ``pairs`` maps ``a<b`` to the share of draws in which a is cheaper than b."""

    spreads: Mapping[str, Spread] = field(default_factory=dict)
    pairs: Mapping[str, float] = field(default_factory=dict)
    draws: int = 0


def ranges(inputs: CostInputs) -> dict[str, tuple[float, float, float]]:
    """Low, base, high by input. Declared ranges win over defaults; an input that is 0 and undeclared stays certain.

    Raises ``ConfigError`` for a range that does not hold its base.
    """
    bases = {name: float(getattr(inputs, name)) for name in _FACTORS}
    bases["retrains"] = float(rates(Point(inputs))[0][0])
    found = {n: (b * lo, b, b * hi) for n, b in bases.items() if b > 0 for lo, hi in [_FACTORS[n]]}
    if inputs.hosting == "token":
        m = inputs.tuned_multiplier
        found["tuned_multiplier"] = (min(1.0, m), m, max(2.0, m))
    elif inputs.hosting == "gpu":
        hours = inputs.gpu_hours_per_month
        found["gpu_hours_per_month"] = (min(180.0, hours), hours, max(730.0, hours))
    else:
        own = inputs.own_hardware_per_month
        found["own_hardware_per_month"] = (own * 0.5, own, own * 2)
    for name, (low, high) in inputs.ranges.items():
        if not isinstance(getattr(inputs, name, None), int | float):
            raise ConfigError("verdict.range_unknown", name=name)
        base = bases.get(name, float(getattr(inputs, name)))
        if not low <= base <= high:
            raise ConfigError("verdict.range_base", name=name, low=low, base=base, high=high)
        found[name] = (low, base, high)
    return {name: triple for name, triple in found.items() if triple[0] < triple[2]}


def draw(inputs: CostInputs, generator: np.random.Generator) -> dict[str, Array]:
    """One array of ``inputs.draws`` values per uncertain input."""
    drawn: dict[str, Array] = {}
    for name, (low, base, high) in sorted(ranges(inputs).items()):
        if name in LOGNORMAL and low > 0:
            spread = (np.log(high) - np.log(low)) / (2 * 1.645)  # low and high are the 5th and 95th percentile
            drawn[name] = base * np.exp(spread * generator.standard_normal(inputs.draws))
        else:
            drawn[name] = generator.triangular(low, base, high, inputs.draws)
    return drawn


def simulate(inputs: CostInputs, curves: Mapping[str, PriceCurve]) -> Uncertainty:
    """Draw all uncertain inputs jointly and run the model on every draw. Measured quality is bootstrapped with them."""
    generator = np.random.default_rng(inputs.seed)
    point = Point(inputs, draw(inputs, generator))
    totals = {name: stream(name, point, curves[name]).total for name in inputs.approaches}
    stacked = np.stack([totals[name] for name in inputs.approaches])
    best = np.argmin(stacked, axis=0)
    accuracy = bootstrap(inputs, generator)
    per_correct: dict[str, float] = {}
    if accuracy:
        names = list(accuracy)
        ratio = np.stack([totals[n] / np.maximum(accuracy[n], 1e-9) for n in names])
        winners = np.argmin(ratio, axis=0)
        per_correct = {n: float(np.mean(winners == i)) for i, n in enumerate(names)}
    spreads = {}
    for index, name in enumerate(inputs.approaches):
        low, middle, high = (float(x) for x in np.percentile(totals[name], (10, 50, 90)))
        spreads[name] = Spread(low, middle, high, float(np.mean(best == index)), per_correct.get(name))
    pairs = {
        f"{a}<{b}": float(np.mean(totals[a] < totals[b]))
        for a in inputs.approaches
        for b in inputs.approaches
        if a != b
    }
    return Uncertainty(spreads, pairs, inputs.draws)


def bootstrap(inputs: CostInputs, generator: np.random.Generator) -> dict[str, Array]:
    """Success of each measured approach in every draw: clusters of items resampled, the same for all approaches."""
    names = [name for name in inputs.approaches if inputs.scores.get(name)]
    if not names:
        return {}
    count = len(inputs.scores[names[0]])
    labels = inputs.groups if len(inputs.groups) == count else tuple(str(i) for i in range(count))
    index = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    membership = np.zeros((len(index), count))
    for item, label in enumerate(labels):
        membership[index[label], item] = 1.0
    table = np.stack([np.asarray(inputs.scores[name], dtype=float) for name in names], axis=1)
    sums, sizes = membership @ table, membership.sum(axis=1)
    count = min(inputs.draws, RESAMPLES)
    weights = generator.multinomial(len(index), np.full(len(index), 1 / len(index)), size=count)
    means = (weights @ sums) / (weights @ sizes)[:, None]
    means = means[generator.integers(0, count, size=inputs.draws)]
    return {name: means[:, i] for i, name in enumerate(names)}


def tornado(inputs: CostInputs, curves: Mapping[str, PriceCurve], challenger: str, incumbent: str) -> tuple[Bar, ...]:
    """One input at a time to its low and high end, model re-run; widest bar first."""

    def gap(changed: Mapping[str, Array | float]) -> float:
        point = Point(inputs, changed)
        totals = [stream(name, point, curves[name]).total for name in (challenger, incumbent)]
        return float((totals[0] - totals[1])[0])

    base = gap({})
    bars = []
    for name, (low, _, high) in ranges(inputs).items():
        ends = gap({name: low}), gap({name: high})
        flips = any((end < 0) != (base < 0) for end in ends)
        bars.append(Bar(name, low, high, ends[0], ends[1], base, flips))
    return tuple(sorted(bars, key=lambda bar: -bar.width))
