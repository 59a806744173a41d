"""Intervals and p values that stay valid however often one looks, and whenever one stops.

A bet on every further item: the capital of a gambler who believes that the mean is ``m`` cannot be expected to grow when
it is, so it reaches 20 with probability 5 % at most, at any time (Ville 1939). The bets are spread evenly over all
stakes (Cover's universal portfolio). For paired yes/no scores the capital against "no difference" is then
``2^(b+c) B(b+1, c+1)`` of the discordant counts, the mixture of Robbins (1970); for graded scores and clusters it is the
betting confidence sequence of Waudby-Smith & Ramdas (JRSS B 86, 2024) and Orabona & Jun (arXiv 2110.14099).

Items of one document may depend on each other in any way, so a document is one bet, of a size by its number of items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundtune.measure.results import Estimate
from groundtune.measure.stats import Difference

ALPHA = 0.05
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
_STAKES = (_NODES + 1.0) / 2.0  # in (0, 1); the weights below sum to 1
_SHARES = _WEIGHTS / 2.0
_STEPS = 50

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Bets:
    """Cluster means in [-1, 1] in the order in which they were asked, and the weight of each in (0, 1]: its number of
    items over the largest number that any cluster of the plan has.
    """

    values: Array
    weights: Array

    @property
    def mean(self) -> float:
        """Mean over items."""
        return float((self.values * self.weights).sum() / self.weights.sum())


def bets_of(values: Sequence[float], groups: Sequence[str], largest: int = 0) -> Bets:
    """Scores in [-1, 1] with their clusters as bets; ``largest`` is the size of the largest cluster of the plan, known
    before anything was asked (0: of those given). One single cluster says nothing about others: its items are then
    taken as independent.
    """
    if len(set(groups)) == 1:
        return Bets(np.asarray(values, dtype=np.float64), np.ones(len(values)))
    index: dict[str, int] = {}
    codes = np.asarray([index.setdefault(group, len(index)) for group in groups], dtype=np.int64)
    sizes = np.bincount(codes, minlength=len(index)).astype(np.float64)
    sums = np.bincount(codes, weights=np.asarray(values, dtype=np.float64), minlength=len(index))
    return Bets(sums / sizes, sizes / max(float(largest), float(sizes.max())))


def evidence(bets: Bets, mean: float = 0.0) -> Array:
    """Capital against "the mean is ``mean``" after each bet (an e-process; 20 is evidence at 5 %)."""
    lost = bets.weights[None, :] * _STAKES[:, None]
    down = np.cumsum(np.log1p(lost * ((1.0 - bets.values) / (1.0 - mean) - 1.0)[None, :]), axis=1)
    up = np.cumsum(np.log1p(lost * ((1.0 + bets.values) / (1.0 + mean) - 1.0)[None, :]), axis=1)
    capital: Array = _SHARES @ (np.exp(np.minimum(down, 700.0)) + np.exp(np.minimum(up, 700.0))) / 2.0
    return capital


def anytime_p(bets: Bets) -> float:
    """The p value of "no difference": one over the largest capital so far."""
    return min(1.0, 1.0 / float(evidence(bets).max()))


def confidence_sequence(bets: Bets, alpha: float = ALPHA) -> tuple[float, float]:
    """All means in [-1, 1] against which there is less capital than ``1/alpha``. The capital is convex in the mean and
    at most 1 at the observed one, so that they are one interval around it.
    """
    middle = bets.mean
    counted = _merged(bets)
    return _edge(counted, middle, -1.0, alpha), _edge(counted, middle, 1.0, alpha)


def within(bets: Bets, margin: float, alpha: float = ALPHA) -> bool:
    """The confidence sequence lies inside ``(-margin, margin)``."""
    if not 0.0 < margin < 1.0:
        return margin >= 1.0
    counted = _merged(bets)
    inside = -margin < bets.mean < margin
    return inside and all(_capital(counted, end) >= 1.0 / alpha for end in (-margin, margin))


def anytime_difference(
    a: Sequence[float], b: Sequence[float], groups: Sequence[str], *, largest: int = 0
) -> tuple[Difference, float]:
    """Mean of ``a - b`` over the same items with its 95 % confidence sequence, and its anytime-valid p value. Raises
    ValueError for no items or unequal lengths.
    """
    if len(a) != len(b) or not a:
        raise ValueError("paired differences need the same items on both sides, at least one")
    bets = bets_of([x - y for x, y in zip(a, b, strict=True)], groups, largest)
    low, high = confidence_sequence(bets)
    return Difference(bets.mean, low, high, len(a)), anytime_p(bets)


def anytime_estimate(values: Sequence[float | None], groups: Sequence[str], *, largest: int = 0) -> Estimate:
    """Mean in [0, 1] with its 95 % confidence sequence; ``None`` values are left out."""
    kept = [(v, g) for v, g in zip(values, groups, strict=True) if v is not None]
    if not kept:
        return Estimate(None, None, None, 0)
    bets = bets_of([2.0 * v - 1.0 for v, _ in kept], [g for _, g in kept], largest)
    low, high = confidence_sequence(bets)
    mean = sum(v for v, _ in kept) / len(kept)
    return Estimate(mean, min(mean, (low + 1.0) / 2.0), max(mean, (high + 1.0) / 2.0), len(kept))


def _edge(bets: _Counted, inside: float, end: float, alpha: float) -> float:
    """Where the capital reaches ``1/alpha`` between the observed mean and an end; the end when it does not."""
    near, far = inside, end
    if abs(near - far) < 1e-12 or _capital(bets, far + (near - far) * 1e-9) < 1.0 / alpha:
        return end
    for _ in range(_STEPS):
        middle = (near + far) / 2.0
        near, far = (middle, far) if _capital(bets, middle) < 1.0 / alpha else (near, middle)
    return far


def _merged(bets: Bets) -> _Counted:
    """Equal bets counted once: the last capital does not depend on their order."""
    pairs, counts = np.unique(np.stack([bets.values, bets.weights]), axis=1, return_counts=True)
    return _Counted(pairs[0], pairs[1], counts.astype(np.float64))


@dataclass(frozen=True)
class _Counted:
    values: Array
    weights: Array
    counts: Array


def _capital(bets: _Counted, mean: float) -> float:
    lost = bets.weights[None, :] * _STAKES[:, None]
    with np.errstate(divide="ignore"):
        down = np.log1p(lost * ((1.0 - bets.values) / (1.0 - mean) - 1.0)[None, :]) @ bets.counts
        up = np.log1p(lost * ((1.0 + bets.values) / (1.0 + mean) - 1.0)[None, :]) @ bets.counts
    return float(_SHARES @ (np.exp(np.minimum(down, 700.0)) + np.exp(np.minimum(up, 700.0))) / 2.0)
