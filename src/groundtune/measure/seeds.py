"""Several trainings of one approach as one result: averages within an item first, and the spread between the trainings
in every interval.

The variance of a mean over items and seeds is that over items plus that of the seeds' means over their number; with few
seeds the t distribution makes the latter wide, and rightly so (three trainings say little about the fourth).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats as sps

from groundtune.measure.results import ApproachResult, Estimate, ItemResult, Seed
from groundtune.measure.stats import Difference, Z
from groundtune.measure.summary import abstention_of, metrics_of


@dataclass(frozen=True)
class Spread:
    """Standard error of the mean over trainings (0 with one) and its degrees of freedom."""

    error: float = 0.0
    freedom: float = 0.0

    @property
    def half(self) -> float:
        """Half a 95 % interval."""
        return float(sps.t.ppf(0.975, self.freedom)) * self.error if self.error and self.freedom else 0.0

    def plus(self, other: Spread) -> Spread:
        """Of the difference of two independent means (Welch-Satterthwaite)."""
        both = math.hypot(self.error, other.error)
        parts = sum(s.error**4 / s.freedom for s in (self, other) if s.freedom and s.error)
        return Spread(both, both**4 / parts if parts else 0.0)


def merge_seeds(results: Sequence[ApproachResult], seeds: Sequence[int], *, seed: int = 0) -> ApproachResult:
    """One result of several trainings; the only one when there is one. Outputs and labels are those of the first."""
    first = results[0]
    if len(results) == 1:
        return first
    means = tuple(
        Seed(number, {m: e.value for m, e in r.metrics.items() if e.value is not None}, r.fit_seconds)
        for number, r in zip(seeds, results, strict=True)
    )
    items = tuple(_merged([table[key] for table in map(_by_key, results) if key in table]) for key in _by_key(first))
    scored = [item for item in items if not item.error]
    merged = replace(
        first,
        items=items,
        seeds=means,
        errors=len(items) - len(scored),
        fit_seconds=sum(r.fit_seconds for r in results) / len(results),
        abstention=abstention_of(scored),
    )
    found = metrics_of(scored, seed=seed)
    return replace(merged, metrics={m: widened(e, spread_of(merged, m)) for m, e in found.items()})


def spread_of(result: ApproachResult, metric: str) -> Spread:
    """Between the trainings of one approach on one metric."""
    values = [one.means[metric] for one in result.seeds if metric in one.means]
    if len(values) < 2:
        return Spread()
    return Spread(float(np.std(values, ddof=1)) / math.sqrt(len(values)), len(values) - 1.0)


def widened(estimate: Estimate, spread: Spread) -> Estimate:
    """The interval with the spread between trainings added in quadrature, within [0, 1]."""
    if estimate.value is None or estimate.low is None or estimate.high is None or not spread.error:
        return estimate
    low = estimate.value - math.hypot(estimate.value - estimate.low, spread.half)
    high = estimate.value + math.hypot(estimate.high - estimate.value, spread.half)
    return replace(estimate, low=max(0.0, low), high=min(1.0, high))


def widened_difference(difference: Difference, spread: Spread) -> Difference:
    """The same for a paired difference, within [-1, 1]."""
    if not spread.error:
        return difference
    low = difference.value - math.hypot(difference.value - difference.low, spread.half)
    high = difference.value + math.hypot(difference.high - difference.value, spread.half)
    return replace(difference, low=max(-1.0, low), high=min(1.0, high))


def seeded_p(p_value: float, difference: Difference, spread: Spread, clusters: int) -> float:
    """The larger of ``p_value`` and that of a t test whose variance holds items and trainings."""
    if not spread.error:
        return p_value
    items = Spread((difference.high - difference.low) / (2.0 * Z), max(1.0, clusters - 1.0))
    both = items.plus(spread)
    return max(p_value, float(2.0 * sps.t.sf(abs(difference.value) / both.error, both.freedom)))


def _by_key(result: ApproachResult) -> Mapping[tuple[str, str], ItemResult]:
    return {(item.part, item.id): item for item in result.items}


def _merged(items: Sequence[ItemResult]) -> ItemResult:
    good = [item for item in items if not item.error]
    if not good:
        return items[0]
    scores: dict[str, float | None] = {}
    for metric in good[0].scores:
        values = [v for item in good if (v := item.scores.get(metric)) is not None]
        scores[metric] = sum(values) / len(values) if values else None
    return replace(good[0], scores=scores)
