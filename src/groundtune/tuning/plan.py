"""How often and in which batches the rows of a training run are seen, and what a watcher is told."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundtune.config import TuningSection

_WINDOW = 16  # batches sorted by length together
# On all linear layers, at ten times the rate of a full fine-tune (Schulman et al., LoRA Without Regret, 2025).
RANK, RATE = 16, 2e-4
# A small model holds little in rank 16. 1,000 snips-json rows on builtin:base, 100 development items: schema-valid 94 % with rank 16
# and 99 % with 64, field F1 0.459 [0.40, 0.52] and 0.616 [0.56, 0.68]. RAG + fine-tuning on the English sample: 55 and 51 % (n = 120).
SMALL_RANK = 64
SMALL_RATE = 1.5e-3
# 1,000 snips-json rows, held-out score after each of three passes: 0.20, 0.28, 0.35, so three are far too few for such a
# model. Early stopping ends what does not gain any more.
SMALL_PASSES = 8


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


def choose_open(settings: TuningSection, count: int, *, small: bool) -> TuningSection:
    """The settings with rank, learning rate and passes over ``count`` examples chosen where they are 0, by the size of the
    base model (``small``: below ``memory.SMALL`` parameters).
    """
    rank = settings.rank or (SMALL_RANK if small else RANK)
    rate = settings.learning_rate or (SMALL_RATE if small else RATE)
    passes = settings.epochs or max(passes_for(count), SMALL_PASSES if small else 0)
    return replace(settings, rank=rank, learning_rate=rate, epochs=passes)


def passes_for(count: int) -> int:
    """Passes over ``count`` examples when the settings do not say: 10 for 100, 8 for 200, 6 for 300, at least 3;
    small sets get some 1000 rows in all, at most 25 passes.
    """
    if count < 100:
        return min(25, -(-1000 // max(1, count)))
    return max(3, round(12 - count / 50))


def make_plan(lengths: Sequence[int], settings: TuningSection, *, sort: bool = True, count: int = 0) -> Plan:
    """The rows of all passes, shuffled with the seed; with ``sort`` rows of like length stand in one batch, so that
    little is padded (packed rows need none). ``count`` rows are one pass (0: all); further ones are those of the next
    passes.
    """
    count = count or len(lengths)
    passes = settings.epochs or passes_for(count)
    chance = random.Random(settings.seed)
    order: list[int] = []
    for number in range(passes):
        start = number * count % len(lengths)
        once = list(range(start, start + count))
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
