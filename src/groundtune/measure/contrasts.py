"""The declared paired comparisons: every approach against RAG and against the best one, Holm-corrected together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from groundtune.measure.anytime import anytime_difference
from groundtune.measure.results import ApproachResult, Contrast
from groundtune.measure.seeds import seeded_p, spread_of, widened_difference
from groundtune.measure.stats import (
    EXACT,
    detectable_difference,
    detectable_mean,
    holm,
    is_binary,
    paired_difference,
    paired_p,
)

DECLARED = ("success", "answer_f1", "format_valid")
PRIMARY = "success"
REFERENCE = "rag"
AT = " @ "  # stands before the model in the name of a row of a further model


@dataclass(frozen=True)
class _Pairs:
    """Scores of the items that both approaches were scored on."""

    a: list[float]
    b: list[float]
    groups: list[str]


def declared_contrasts(results: Sequence[ApproachResult], *, seed: int = 0) -> tuple[Contrast, ...]:
    """Contrasts on success, answer F1 and format validity. ``a - b``; for pairs with RAG ``b`` is RAG, else ``a`` is
    the best by success. ``p_adjusted`` is Holm over success and, as a second family, over the other two; over all pairs
    of approaches, since which one is the best was not known before.
    """
    ran = [result for result in results if result.items]
    rest = tuple(metric for metric in DECLARED if metric != PRIMARY)
    return (*_family(ran, (PRIMARY,), seed), *_family(ran, rest, seed))


def _family(ran: Sequence[ApproachResult], metrics: Sequence[str], seed: int) -> tuple[Contrast, ...]:
    """The declared contrasts on these measures, corrected for every pair that could have been declared."""
    every = [(a, b, m) for m in metrics for i, a in enumerate(ran) for b in ran[i + 1 :] if _pairs(a, b, m).a]
    shown: dict[tuple[str, frozenset[str]], Contrast] = {}
    for metric in metrics:
        for a, b in _declared_pairs(ran):
            found = contrast_of(a, b, metric, seed=seed, tests=len(every))
            if found is not None:
                shown[metric, frozenset((a.name, b.name))] = found
    keys = [(m, frozenset((a.name, b.name))) for a, b, m in every]
    p_values = [shown[key].p_value if key in shown else _p(*trio, seed) for key, trio in zip(keys, every, strict=True)]
    adjusted = dict(zip(keys, holm(p_values), strict=True))
    return tuple(replace(contrast, p_adjusted=adjusted[key]) for key, contrast in shown.items())


def _p(a: ApproachResult, b: ApproachResult, metric: str, seed: int) -> float:
    pairs = _pairs(a, b, metric)
    return paired_p(pairs.a, pairs.b, pairs.groups, seed=seed)


def anytime_contrasts(results: Sequence[ApproachResult], largest: int) -> tuple[Contrast, ...]:
    """The contrasts of a comparison that was looked at while it ran: their intervals and p values hold at any stop. On
    success every pair is declared, since any approach may come to lead, and corrected for their number; what is
    declared on the other measures is corrected as a second family.
    """
    ran = [result for result in results if result.items]
    pairs = [(a, b) for i, b in enumerate(ran) for a in ran[i + 1 :]]
    first = [contrast_of(a, b, PRIMARY, largest=largest) for a, b in pairs]
    rest = [contrast_of(a, b, m, largest=largest) for m in DECLARED if m != PRIMARY for a, b in _declared_pairs(ran)]
    return (*corrected(first), *corrected(rest))


def corrected(contrasts: Sequence[Contrast | None]) -> tuple[Contrast, ...]:
    """Those that there are, Holm-corrected together."""
    found = [contrast for contrast in contrasts if contrast is not None]
    adjusted = holm([contrast.p_value for contrast in found])
    return tuple(replace(c, p_adjusted=p) for c, p in zip(found, adjusted, strict=True))


def contrast_of(
    a: ApproachResult, b: ApproachResult, metric: str, *, seed: int = 0, tests: int = 1, largest: int | None = None
) -> Contrast | None:
    """One paired comparison, not yet corrected; None when no item was scored by both. Where an approach was trained with
    several seeds the spread between them is in the interval and in the p value. ``tests`` is how many contrasts are
    corrected together, for the smallest visible difference. ``largest`` (items of the largest cluster of the plan) asks
    for an interval and a p value that hold at any stop.
    """
    pairs = _pairs(a, b, metric)
    if not pairs.a:
        return None
    if largest is None:
        difference = paired_difference(pairs.a, pairs.b, pairs.groups, seed=seed)
        p_value = paired_p(pairs.a, pairs.b, pairs.groups, seed=seed)
    else:
        difference, p_value = anytime_difference(pairs.a, pairs.b, pairs.groups, largest=largest)
    spread = spread_of(a, metric).plus(spread_of(b, metric))
    difference = widened_difference(difference, spread)
    p_value = seeded_p(p_value, difference, spread, len(set(pairs.groups)))
    delta = [x - y for x, y in zip(pairs.a, pairs.b, strict=True)]
    smallest: float | None = None
    if largest is None and is_binary(pairs.a) and is_binary(pairs.b):
        smallest = detectable_difference(len(delta) / EXACT, sum(d != 0.0 for d in delta) / len(delta), tests)
    elif largest is None:
        smallest = detectable_mean(delta, tests)
    return Contrast(
        metric,
        a.name,
        b.name,
        difference.value,
        difference.low,
        difference.high,
        p_value,
        p_value,
        difference.n,
        smallest,
    )


def best_by_success(results: Sequence[ApproachResult]) -> ApproachResult | None:
    """The approach with the highest mean success; the first of equals."""
    measured = [r for r in results if "success" in r.metrics and r.metrics["success"].value is not None]
    return max(measured, key=lambda r: r.metrics["success"].value or 0.0, default=None)


def _declared_pairs(ran: Sequence[ApproachResult]) -> list[tuple[ApproachResult, ApproachResult]]:
    named = {result.name: result for result in ran}
    rag = named.get(REFERENCE)
    best = best_by_success(ran)
    pairs = [(other, rag) for other in ran if rag is not None and other is not rag and AT not in other.name]
    pairs += [(other, own) for other in ran if (own := _reference(other.name, named)) is not None]
    if best is not None and best is not rag:
        pairs += [(best, other) for other in ran if other is not best and other is not rag]
    return pairs


def _reference(name: str, named: Mapping[str, ApproachResult]) -> ApproachResult | None:
    """What a row of a further model is held against: RAG with that model, and RAG itself against the first model's."""
    approach, at, model = name.partition(AT)
    if not at:
        return None
    return named.get(REFERENCE) if approach == REFERENCE else named.get(f"{REFERENCE}{AT}{model}")


def _pairs(a: ApproachResult, b: ApproachResult, metric: str) -> _Pairs:
    other = {(item.part, item.id): item for item in b.items}
    pairs = _Pairs([], [], [])
    for item in a.items:
        twin = other.get((item.part, item.id))
        if twin is None:
            continue
        left, right = item.scores.get(metric), twin.scores.get(metric)
        if left is not None and right is not None:
            pairs.a.append(left)
            pairs.b.append(right)
            pairs.groups.append(item.group)
    return pairs
