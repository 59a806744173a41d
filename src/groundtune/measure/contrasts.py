"""The declared paired comparisons: every approach against RAG and against the best one, Holm-corrected together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from groundtune.measure.results import ApproachResult, Contrast
from groundtune.measure.stats import (
    detectable_difference,
    detectable_mean,
    holm,
    is_binary,
    paired_difference,
    paired_p,
)

DECLARED = ("success", "answer_f1", "format_valid")
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
    the best by success. ``p_adjusted`` is Holm over all of them.
    """
    ran = [result for result in results if result.items]
    contrasts: list[Contrast] = []
    for metric in DECLARED:
        for a, b in _declared_pairs(ran):
            contrast = contrast_of(a, b, metric, seed=seed)
            if contrast is not None:
                contrasts.append(contrast)
    adjusted = holm([contrast.p_value for contrast in contrasts])
    return tuple(replace(c, p_adjusted=p) for c, p in zip(contrasts, adjusted, strict=True))


def contrast_of(a: ApproachResult, b: ApproachResult, metric: str, *, seed: int = 0) -> Contrast | None:
    """One paired comparison, not yet corrected; None when no item was scored by both."""
    pairs = _pairs(a, b, metric)
    if not pairs.a:
        return None
    difference = paired_difference(pairs.a, pairs.b, pairs.groups, seed=seed)
    p_value = paired_p(pairs.a, pairs.b, pairs.groups, seed=seed)
    delta = [x - y for x, y in zip(pairs.a, pairs.b, strict=True)]
    if is_binary(pairs.a) and is_binary(pairs.b):
        smallest = detectable_difference(len(delta), sum(d != 0.0 for d in delta) / len(delta))
    else:
        smallest = detectable_mean(delta)
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
