"""Paired contrasts of a report: the declared ones where they exist, else computed from the items the same way."""

from __future__ import annotations

from dataclasses import dataclass, replace

from groundtune.measure import stats
from groundtune.measure.contrasts import contrast_of
from groundtune.measure.results import Contrast, ItemResult, Report


@dataclass(frozen=True)
class Gap:
    """``a - b`` on one metric; ``psi`` is the share of items on which they disagree (by more than 0)."""

    contrast: Contrast
    psi: float

    @property
    def clear(self) -> bool:
        """The interval excludes 0 and the Holm-adjusted p value is below 0.05."""
        c = self.contrast
        return (c.low > 0 or c.high < 0) and c.p_adjusted < 0.05

    @property
    def better(self) -> bool:
        return self.clear and self.contrast.difference > 0

    @property
    def worse(self) -> bool:
        return self.clear and self.contrast.difference < 0

    def needed(self, smallest: float) -> int:
        """Items in all for 80 % power to show the observed difference, or ``smallest`` where that is larger.

        The observed share of disagreements is unsure in small samples, so one disagreement is added to it.
        """
        size = min(1.0, max(abs(self.contrast.difference), smallest, 0.01))
        psi = min(1.0, self.psi + 1 / max(1, self.contrast.n))
        return round(1.08 * stats.items_needed(size, psi))


def gap(report: Report, metric: str, a: str, b: str) -> Gap | None:
    """The contrast ``a - b``; None when the two share no scored items and none was declared."""
    left, right = _shared(report, metric, a, b)
    found = _declared(report, metric, a, b)
    if found is None:
        if not left:
            return None
        ran = {result.name: result for result in report.approaches}
        found = contrast_of(ran[a], ran[b], metric)  # with several trainings their spread is in it
        if found is None:
            return None
    psi = sum(x != y for x, y in zip(left, right, strict=True)) / len(left) if left else min(1.0, 0.3)
    if found.detectable is None and left:
        found = replace(found, detectable=stats.detectable_difference(found.n, psi + 1 / found.n))
    return Gap(found, psi)


def gaps(report: Report, metric: str, names: tuple[str, ...]) -> dict[tuple[str, str], Gap]:
    """All ordered pairs of ``names``; p values Holm-adjusted over the unordered pairs of this family."""
    pairs = [(b, a) for i, a in enumerate(names) for b in names[i + 1 :]]
    found = {pair: g for pair in pairs if (g := gap(report, metric, *pair)) is not None}
    adjusted = stats.holm([g.contrast.p_value for g in found.values()])
    both: dict[tuple[str, str], Gap] = {}
    for (pair, g), p in zip(found.items(), adjusted, strict=True):
        both[pair] = Gap(replace(g.contrast, p_adjusted=p), g.psi)
        both[pair[1], pair[0]] = Gap(_flip(both[pair].contrast), g.psi)
    return both


def _flip(c: Contrast) -> Contrast:
    return replace(c, a=c.b, b=c.a, difference=-c.difference, low=-c.high, high=-c.low)


def _declared(report: Report, metric: str, a: str, b: str) -> Contrast | None:
    for c in report.contrasts:
        if c.metric == metric and (c.a, c.b) == (a, b):
            return c
        if c.metric == metric and (c.a, c.b) == (b, a):
            return _flip(c)
    return None


def _shared(report: Report, metric: str, a: str, b: str) -> tuple[list[float], list[float]]:
    """Scores of both on the items that both have."""
    left, right = _scores(report, metric, a), _scores(report, metric, b)
    keys = [key for key in left if key in right]
    return [left[k] for k in keys], [right[k] for k in keys]


def _scores(report: Report, metric: str, name: str) -> dict[tuple[str, str], float]:
    result = report.approach(name)
    items: tuple[ItemResult, ...] = result.items if result else ()
    found: dict[tuple[str, str], float] = {}
    for item in items:
        value = item.scores.get(metric)
        if value is not None and not item.error:
            found[item.part, item.id] = float(value)
    return found
