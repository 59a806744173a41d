"""``compare --until-decided``: whole documents in random order, a look after each round, and no more questions than the
choice needs.

After each round the leader by success is held against every other approach with evidence that may be looked at as often
as one likes (``measure.anytime``), Holm-corrected over all pairs. An approach that is clearly worse than the leader is
asked no more; it ends when every other one is clearly worse or practically equal (its interval lies within the margin).
Rounds grow by a quarter, so that models on this computer are not changed for every item.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundtune.measure.anytime import ALPHA, anytime_estimate, anytime_p, bets_of, within
from groundtune.measure.bench import Entrant
from groundtune.measure.items import Item
from groundtune.measure.plugins import metric_names
from groundtune.measure.results import ApproachResult, Stopping
from groundtune.measure.seeds import spread_of, widened
from groundtune.measure.stats import holm

FIRST = 20  # items before the first look
_GROWTH = 0.25

Scores = dict[tuple[str, str], tuple[float, str]]


@dataclass(frozen=True)
class Standing:
    """After a look: who leads, who is clearly worse, who is practically equal, and who is neither."""

    leader: str
    worse: tuple[str, ...]
    equal: tuple[str, ...]
    open: tuple[str, ...]


def race(entrants: Sequence[Entrant], items: Sequence[Item], *, margin: float, seed: int) -> Stopping:
    """Ask the entrants until it is decided who leads by more than ``margin``, or until all items are used up. Raises what
    asking raises.
    """
    largest, order, looks, used = largest_cluster(items), in_random_order(items, seed), 0, 0
    racing, out = [e for e in entrants if not e.skipped], list[str]()
    alone = len(racing) < 2  # then there is nothing to decide, and all are asked
    standing = Standing("", (), (), tuple(e.name for e in racing))
    while used < len(order) and racing and (alone or not looks or not _settled(standing, racing)):
        until = _round_end(order, used)
        for entrant in racing:
            entrant.ask(order[used:until], total=len(order))
        used, looks = until, looks + 1
        alive = [e for e in entrants if not e.skipped]
        racing = [e for e in racing if not e.skipped]
        standing = stand({e.name: successes(e) for e in alive}, [e.name for e in racing], margin, largest)
        out += [name for name in standing.worse if name not in out]
        racing = [e for e in racing if e.name not in out]
        if racing and racing[0].bench.meter.exhausted:
            break
    saved = {e.name: (len(order) - e.trials[0].asked) * len(e.trials) for e in entrants if e.trials and not e.skipped}
    return Stopping(
        decided=sum(not e.skipped for e in entrants) > 1 and bool(standing.leader) and _settled(standing, racing),
        leader=standing.leader,
        looks=looks,
        asked=used,
        total=len(order),
        margin=margin,
        saved=saved,
        equal=standing.equal,
        worse=tuple(out),
    )


def stand(scores: dict[str, Scores], racing: Sequence[str], margin: float, largest: int) -> Standing:
    """Where the approaches stand by success on shared items; ``racing`` are those that may lead."""
    means = {name: sum(v for v, _ in scores[name].values()) / len(scores[name]) for name in racing if scores[name]}
    if not means:
        return Standing("", (), (), tuple(racing))
    leader = max(means, key=lambda name: means[name])
    names = list(scores)
    shared = {(a, b): _shared(scores[a], scores[b]) for i, a in enumerate(names) for b in names[i + 1 :]}
    pairs = [pair for pair, (values, _) in shared.items() if values]
    bets = {pair: bets_of(*shared[pair], largest) for pair in pairs}
    adjusted = dict(zip(pairs, holm([anytime_p(bets[pair]) for pair in pairs]), strict=True))
    worse: list[str] = []
    equal: list[str] = []
    undecided: list[str] = []
    for name in racing:
        if name == leader:
            continue
        pair = (leader, name) if (leader, name) in bets else (name, leader)
        if pair not in bets:
            undecided.append(name)
            continue
        ahead = bets[pair].mean * (1.0 if pair[0] == leader else -1.0)
        if adjusted[pair] < ALPHA and ahead > 0:
            worse.append(name)
            continue
        (equal if within(bets[pair], margin, ALPHA / len(pairs)) else undecided).append(name)
    return Standing(leader, tuple(worse), tuple(equal), tuple(undecided))


def at_any_stop(result: ApproachResult, largest: int) -> ApproachResult:
    """The result with intervals that hold although the comparison was looked at while it ran. Nothing is missing: what
    was not asked was not needed.
    """
    scored = [item for item in result.items if not item.error]
    groups = [item.group for item in scored]
    found = {
        m: anytime_estimate([i.scores.get(m) for i in scored], groups, largest=largest) for m in metric_names(scored)
    }
    return replace(result, metrics={m: widened(e, spread_of(result, m)) for m, e in found.items() if e.n})


def successes(entrant: Entrant) -> Scores:
    """Success by item, the mean over the trials that were scored, and the item's cluster."""
    sums: dict[tuple[str, str], list[float]] = {}
    groups: dict[tuple[str, str], str] = {}
    for trial in entrant.trials:
        for item in trial.scored:
            value = item.scores.get("success")
            if value is not None and not item.error:
                sums.setdefault((item.part, item.id), []).append(value)
                groups[item.part, item.id] = item.group
    return {key: (sum(values) / len(values), groups[key]) for key, values in sums.items()}


def in_random_order(items: Sequence[Item], seed: int) -> list[Item]:
    """Whole clusters in an order that ``seed`` decides."""
    clusters: dict[str, list[Item]] = {}
    for item in items:
        clusters.setdefault(item.group, []).append(item)
    order = list(clusters.values())
    random.Random(seed).shuffle(order)
    return [item for cluster in order for item in cluster]


def largest_cluster(items: Sequence[Item]) -> int:
    """Items of the largest cluster among those that decide: the questions, or the examples where there are none."""
    asked = [item for item in items if item.part == "question"] or list(items)
    return max(Counter(item.group for item in asked).values(), default=1)


def _round_end(order: Sequence[Item], used: int) -> int:
    """The end of the cluster in which the next round ends."""
    until = min(len(order), used + max(FIRST, int(used * _GROWTH)))
    while until < len(order) and order[until].group == order[until - 1].group:
        until += 1
    return until


def _settled(standing: Standing, racing: Sequence[Entrant]) -> bool:
    names = {entrant.name for entrant in racing}
    return not any(name in names for name in standing.open)


def _shared(a: Scores, b: Scores) -> tuple[list[float], list[str]]:
    """Differences on the items that both were asked, in the order in which they were."""
    keys = [key for key in a if key in b]
    return [a[key][0] - b[key][0] for key in keys], [a[key][1] for key in keys]
