"""How often and in which batches the rows of a training run are seen, and what a watcher is told."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.config import TuningSection

_WINDOW = 16  # batches sorted by length together


@dataclass(frozen=True)
class Progress:
    """After ``step`` of ``steps``: the smoothed ``loss`` and the estimated seconds that are left; ``score`` is the last
    one on held-out examples and ``best`` the best so far, None before the first or without such examples.
    """

    step: int
    steps: int
    loss: float
    seconds_left: float
    score: float | None = None
    best: float | None = None


@dataclass(frozen=True)
class Plan:
    """``order`` of row indices over all passes: each run of ``batch_size`` indices is one step."""

    order: tuple[int, ...]
    passes: int
    steps: int


def passes_for(count: int) -> int:
    """Passes over ``count`` examples when the settings do not say: 10 for 100, 8 for 200, 6 for 300, at least 3;
    small sets get some 1000 rows in all, at most 25 passes.
    """
    if count < 100:
        return min(25, -(-1000 // max(1, count)))
    return max(3, round(12 - count / 50))


def make_plan(lengths: Sequence[int], settings: TuningSection, *, sort: bool = True) -> Plan:
    """The rows of all passes, shuffled with the seed; with ``sort`` rows of like length stand in one batch, so that
    little is padded (packed rows need none).
    """
    passes = settings.epochs or passes_for(len(lengths))
    chance = random.Random(settings.seed)
    order: list[int] = []
    for _ in range(passes):
        once = list(range(len(lengths)))
        chance.shuffle(once)
        order.extend(once)
    if not sort:
        return Plan(tuple(order), passes, -(-len(order) // settings.batch_size))
    batches: list[list[int]] = []
    window = settings.batch_size * _WINDOW
    for start in range(0, len(order), window):
        part = sorted(order[start : start + window], key=lambda index: lengths[index])
        cut = [part[i : i + settings.batch_size] for i in range(0, len(part), settings.batch_size)]
        tail = [cut.pop()] if len(cut[-1]) < settings.batch_size else []  # only the last batch of all may be short
        chance.shuffle(cut)
        batches.extend(cut + tail)
    return Plan(tuple(index for batch in batches for index in batch), passes, len(batches))
