"""The break-even points of a project: the closed forms fed with the money model's streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from groundtune.verdict import breakeven
from groundtune.verdict.breakeven import BreakEven, Case
from groundtune.verdict.rows import TUNED
from groundtune.verdict.tco import (
    CostInputs,
    Point,
    PriceCurve,
    Stream,
    cached_price,
    hit_rate,
    machines,
    price_curve,
    queries,
    rates,
    stream,
)

FAR = 120  # months over which H* is looked for


def break_evens(inputs: CostInputs, curve: PriceCurve, streams: Mapping[str, Stream]) -> list[BreakEven]:
    """All break-evens that the approaches at hand allow."""
    found: list[BreakEven] = []
    for challenger in TUNED:
        if challenger in streams and "rag" in streams:
            found += _pair_points(inputs, curve, streams[challenger], streams["rag"], challenger)
    if {"finetune", "rag"} <= set(streams):
        found += [_retrains(inputs, streams["finetune"], streams["rag"]), _retrieved(inputs, curve)]
    if "rag" in streams and inputs.prices:
        found += _corpus(inputs, curve)
    names = list(streams)
    for low, a in enumerate(names):
        for b in names[:low]:
            if a in inputs.accuracy and b in inputs.accuracy:
                found.append(_worth(inputs, streams, a, b))
    return found


def _pair_points(inputs: CostInputs, curve: PriceCurve, a: Stream, b: Stream, name: str) -> list[BreakEven]:
    """Q* and H* of a tuned approach against RAG; exact under growth and dated prices (volume-weighted, month by month).

    With rented or owned machines their number follows the volume, so the smallest consistent number is searched.
    """
    months = inputs.horizon_months
    grown = (1 + inputs.growth_per_month) ** np.arange(months)
    saving = float(((b.per_query - a.per_query)[:, 0] * grown).mean())
    bare = float((a.one_off - b.one_off)[0] / months + (a.fixed + a.retraining - b.fixed - b.retraining).mean())
    one = float(Point(inputs)("own_hardware_per_month")[0])
    if inputs.hosting == "gpu":
        one = inputs.gpu_dollars_per_hour * inputs.gpu_hours_per_month
    if inputs.hosting == "token" or not inputs.prices:
        gap = bare + float((a.hosting - b.hosting).mean())
        case, value = breakeven.volume(gap, saving)
        first = BreakEven("Q*", name, "rag", case, value)
    else:
        first = _hosted_volume(inputs, bare, saving, one, name)
    far = price_curve(inputs, FAR) if len(curve.months) < FAR else curve
    point = Point(inputs)
    gap_by_month = (stream(name, point, far).monthly - stream("rag", point, far).monthly)[:, 0]
    case, value = _crossing(float((a.one_off - b.one_off)[0]), gap_by_month)
    return [first, BreakEven("H*", name, "rag", case, value)]


def _hosted_volume(inputs: CostInputs, bare: float, saving: float, one: float, name: str) -> BreakEven:
    """Q* with k machines for the smallest k whose own Q* needs no more than k. Just above it the challenger is cheaper;
    where the next machine is due it may fall behind again for a while.
    """
    last: tuple[Case, float | None] = (Case.NEVER, None)
    for count in range(1, 1001):
        last = breakeven.volume(bare + count * one, saving)
        if last[1] is None:
            return BreakEven("Q*", name, "rag", last[0], None, count)
        needed = int(machines(np.array([[last[1]]]), Point(inputs))[0, 0])
        if needed <= count:
            return BreakEven("Q*", name, "rag", last[0], last[1], count)
    return BreakEven("Q*", name, "rag", Case.NEVER, None, 1000)


def _crossing(upfront: float, gap_by_month: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[Case, float | None]:
    """H*: when the summed gap (challenger - incumbent) first changes sign, months, within ``FAR`` months."""
    summed = upfront + np.concatenate([[0.0], np.cumsum(gap_by_month)])
    if not np.any(summed):
        return Case.EQUAL, None
    behind = summed[0] > 0 or (summed[0] == 0 and summed[1] > 0)
    start = 0 if summed[0] else 1
    for month in range(start + 1, len(summed)):
        if (summed[month] > 0) != behind:
            step = summed[month - 1] - summed[month]
            return (Case.ABOVE if behind else Case.BELOW), month - 1 + float(summed[month - 1] / step)
    return (Case.NEVER if behind else Case.ALWAYS), None


def _retrains(inputs: CostInputs, tuned: Stream, rag: Stream) -> BreakEven:
    gap = float((tuned.total - tuned.retraining.sum(axis=0) - rag.total)[0])
    case, value = breakeven.retrains(-gap / inputs.horizon_months, inputs.retraining)
    return BreakEven("rho*", "finetune", "rag", case, value, extra={"now": float(rates(Point(inputs))[0][0])})


def _retrieved(inputs: CostInputs, curve: PriceCurve) -> BreakEven:
    """L* at the horizon's mean prices; the cache and the batch share of RAG's static prompt are in it."""
    point = Point(inputs)
    if inputs.hosting != "token" or not inputs.prices:
        return BreakEven("L*", "finetune", "rag", Case.ALWAYS)
    zero = Point(inputs, {"retrieved_tokens": 0.0, "retrieval_per_query": 0.0})
    gap = float((stream("finetune", point, curve).usage - stream("rag", zero, curve).usage).sum())
    weight = float((queries(point, inputs.horizon_months) * curve.input).sum())
    weight *= inputs.price_level * (1 - inputs.batch_share / 2)
    if weight <= 0:
        return BreakEven("L*", "finetune", "rag", Case.NEVER)
    value = gap / weight
    return BreakEven("L*", "finetune", "rag", Case.ABOVE if value > 0 else Case.ALWAYS, value if value > 0 else None)


def _corpus(inputs: CostInputs, curve: PriceCurve) -> list[BreakEven]:
    point = Point(inputs)
    volume = queries(point, inputs.horizon_months)
    batch = 1 - inputs.batch_share / 2
    p_i, r = float(curve.long_input.mean()), inputs.retrieval_per_query / batch / inputs.price_level
    hit = float(hit_rate(volume, point).mean())
    read = float(np.nan_to_num(curve.long_cached, nan=p_i).mean())
    write = float(curve.long_write.mean())
    price = float(cached_price(curve.long_cached, curve.long_write, curve.long_input, np.full_like(volume, hit)).mean())
    needs = inputs.retrieved_tokens * p_i + r
    if needs <= 0 or price <= 0:
        return []
    found = [BreakEven("D*", "long-context", "rag", Case.BELOW, needs / price, extra={"hit_rate": hit})]
    if inputs.corpus_tokens > 0:
        case, value = breakeven.hits(inputs.corpus_tokens, inputs.retrieved_tokens, p_i, r, write, read)
        found.append(BreakEven("h*", "long-context", "rag", case, value, extra={"now": hit}))
    return found


def _worth(inputs: CostInputs, streams: Mapping[str, Stream], a: str, b: str) -> BreakEven:
    asked = float(queries(Point(inputs), inputs.horizon_months).sum())
    gap = float((streams[a].total - streams[b].total)[0])
    case, value = breakeven.worth(gap, asked * (inputs.accuracy[a] - inputs.accuracy[b]))
    return BreakEven("v*", a, b, case, value)
