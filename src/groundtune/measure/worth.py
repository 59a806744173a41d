"""What would more questions be worth? Simulated from what was measured: how much less would be lost by a wrong choice,
and how likely is another approach to lead then?

The loss of a choice is how much better the best approach is. Unknown truths are drawn by the Bayesian bootstrap over
source documents (Rubin 1981) with a little prior doubt; for each, further questions are drawn from that truth and the
choice is made again (expected value of sample information, Raiffa & Schlaifer 1961).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from groundtune.measure.results import ApproachResult, MoreQuestions
from groundtune.measure.stats import paired_difference

BATCH = 50
_DRAWS = 4000
_DOUBT = 0.5  # of an item: that one approach alone is right, and that it alone is wrong, for each approach

Array = NDArray[np.float64]


def worth_of_more(
    results: Sequence[ApproachResult],
    items: int = BATCH,
    *,
    seed: int = 0,
    dollars_per_point: float = 0.0,
) -> MoreQuestions | None:
    """What ``items`` more questions would bring for the choice by success; None with fewer than two approaches measured on
    the same items. ``dollars_per_point`` is what a success rate higher by 1 is worth over the horizon.
    """
    table = _table(results)
    if table is None:
        return None
    names, scores, groups = table
    sums, sizes = _clusters(scores, groups)
    leader = int(np.argmax(scores.mean(axis=0)))
    rng = np.random.default_rng(seed)
    truth, weights, cells, heavy = _truths(sums, sizes, rng)
    more = max(1, round(items / float(sizes.mean())))
    counts = rng.multinomial(more, weights).astype(np.float64)
    seen = sums.sum(axis=0)[None, :] + counts @ cells
    after = np.argmax(seen / (len(scores) + counts @ heavy)[:, None], axis=1)
    best = truth.max(axis=1)
    now = float((best - truth[:, leader]).mean())
    then = float((best - truth[np.arange(len(truth)), after]).mean())
    saved = max(0.0, now - then)
    return MoreQuestions(
        items=items,
        leader=names[leader],
        loss_now=now,
        loss_then=now - saved,
        other_leads=float((after != leader).mean()),
        dollars=saved * dollars_per_point if dollars_per_point > 0 else None,
        clear_now=_clear(scores, leader, groups),
    )


def _table(results: Sequence[ApproachResult]) -> tuple[list[str], Array, list[str]] | None:
    """Names, success by item and approach, clusters; the approaches that were measured on all items that any two share."""
    measured = [
        (
            r.name,
            {(i.part, i.id): (i.scores["success"], i.group) for i in r.items if i.scores.get("success") is not None},
        )
        for r in results
    ]
    measured = [(name, found) for name, found in measured if found]
    if len(measured) < 2:
        return None
    shared = [key for key in measured[0][1] if all(key in found for _, found in measured[1:])]
    if not shared:
        return None
    scores = np.asarray([[found[key][0] for _, found in measured] for key in shared], dtype=np.float64)
    return [name for name, _ in measured], scores, [measured[0][1][key][1] for key in shared]


def _clusters(scores: Array, groups: Sequence[str]) -> tuple[Array, Array]:
    index: dict[str, int] = {}
    codes = [index.setdefault(group, len(index)) for group in groups]
    if len(index) == 1:  # one document: its items are all there is to draw from
        codes = list(range(len(scores)))
    sums = np.zeros((max(codes) + 1, scores.shape[1]))
    np.add.at(sums, codes, scores)
    return sums, np.bincount(codes).astype(np.float64)


def _truths(sums: Array, sizes: Array, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Success rates of drawn truths (draws, approaches), the probabilities of the clusters in each, and these clusters
    (the observed ones and those of the prior doubt).
    """
    alone = np.eye(sums.shape[1])
    cells = np.concatenate([sums, alone, 1.0 - alone])
    heavy = np.concatenate([sizes, np.ones(2 * len(alone))])
    doubt = np.concatenate([np.ones(len(sizes)), np.full(2 * len(alone), _DOUBT)])
    weights = rng.dirichlet(doubt, size=_DRAWS)
    return (weights @ cells) / (weights @ heavy)[:, None], weights, cells, heavy


def _clear(scores: Array, leader: int, groups: Sequence[str]) -> bool:
    """The leader's interval against each other approach excludes 0 (not corrected for their number)."""
    others = [j for j in range(scores.shape[1]) if j != leader]
    own = scores[:, leader].tolist()
    return all(paired_difference(own, scores[:, j].tolist(), groups).low > 0 for j in others)
