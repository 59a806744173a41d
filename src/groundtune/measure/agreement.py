"""How well do two raters agree beyond chance? Raw agreement and Cohen's kappa (1960), with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from groundtune.measure.results import Agreement
from groundtune.measure.stats import DRAWS, wilson

MINIMUM_LABELS = 50
MINIMUM_KAPPA = 0.6  # below it a judge counts as secondary, above 0.8 as good as a person


def cohen_kappa(a: Sequence[str], b: Sequence[str]) -> float:
    """``(p_o - p_e) / (1 - p_e)``; 0 when both raters used one and the same category only, which shows nothing. Raises
    ValueError for no ratings or unequal lengths.
    """
    if len(a) != len(b) or not a:
        raise ValueError("kappa needs two ratings of the same things, at least one")
    categories = sorted({*a, *b})
    left, right = (np.asarray([categories.index(rating) for rating in given]) for given in (a, b))
    return float(_kappas(left[None, :], right[None, :], len(categories))[0])


def agreement(judge: Sequence[str], people: Sequence[str], *, seed: int = 0) -> Agreement:
    """Both measures with 95 % intervals: Wilson's for the raw one, a percentile bootstrap over the labelled answers for
    kappa. Raises ValueError as ``cohen_kappa`` does.
    """
    kappa = cohen_kappa(judge, people)
    categories = sorted({*judge, *people})
    left, right = (np.asarray([categories.index(rating) for rating in given]) for given in (judge, people))
    picks = np.random.default_rng(seed).integers(0, len(left), size=(DRAWS, len(left)))
    low, high = np.quantile(_kappas(left[picks], right[picks], len(categories)), [0.025, 0.975])
    same = float((left == right).sum())
    raw_low, raw_high = wilson(same, len(left))
    return Agreement(
        len(left), same / len(left), raw_low, raw_high, kappa, min(float(low), kappa), max(float(high), kappa)
    )


def trusted(found: Agreement | None) -> bool:
    """Enough labels of people, and enough agreement with them."""
    return found is not None and found.n >= MINIMUM_LABELS and found.kappa >= MINIMUM_KAPPA


def _kappas(left: NDArray[np.int64], right: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Kappa of each row."""
    observed = (left == right).mean(axis=1)
    expected = sum((left == c).mean(axis=1) * (right == c).mean(axis=1) for c in range(count))
    room = 1.0 - np.asarray(expected)
    kappas: NDArray[np.float64] = np.where(room > 1e-12, (observed - expected) / np.where(room > 1e-12, room, 1.0), 0.0)
    return kappas
