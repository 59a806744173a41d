"""From a report and its costs to the charts of the page: which rows, which words, and the same numbers as a table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from groundtune.config import CONSTRAINED
from groundtune.measure.attribution import LABELS
from groundtune.measure.naming import approach_of
from groundtune.measure.results import Report
from groundtune.messages import catalogue, say
from groundtune.report import charts
from groundtune.report.charts import NARROW, WIDE, Caption
from groundtune.report.markup import Column, Html, picture, table
from groundtune.report.words import DASH, Words
from groundtune.verdict.cost import ApproachCost, CostReport
from groundtune.verdict.rows import is_known
from groundtune.verdict.tco import Point, price_curve, stream
from groundtune.verdict.uncertainty import Bar

_REACH = 30.0  # the volume chart spans this factor on both sides of the planned volume
_STEPS = 49
_BARS = 8
_CURVES = 7
_COUNTS = ("queries_per_month", "retrieved_tokens", "output_tokens", "gpu_hours_per_month")
_FACTORS = ("price_level", "tuned_multiplier")
Draw = Callable[[Caption, float], str]


def colour(name: str) -> str:
    """The class that gives an approach its colour, the same in every chart and for every model."""
    return "a-" + (approach_of(name).replace("+", "-") if is_known(name) else "own")


def picture_of(ident: str, words: Words, desc: str, draw: Draw, fallback: Html) -> Html:
    """A chart drawn for a desk and for a phone, with its title, its note and its numbers as a table."""
    title, note = words(f"chart.{ident}"), words(f"chart.{ident}_note")
    wide = draw(Caption(f"{ident}-w", title, desc), WIDE)
    narrow = draw(Caption(f"{ident}-n", title, desc), NARROW)
    return picture(f"fig-{ident}", title, wide, narrow, fallback, note, words("chart.numbers"))


def success(report: Report, words: Words, metric: str = "success") -> Html:
    """Success with its interval, one row per approach."""
    rows = []
    for result in report.approaches:
        e = result.metrics.get(metric)
        if result.skipped or e is None or e.value is None or e.low is None or e.high is None:
            continue
        said = f"{words.percent(e.value)} ({words.interval(e.low, e.high)})"
        rows.append(charts.IntervalRow(words.approach(result.name), e.value, e.low, e.high, said, colour(result.name)))
    if not rows:
        return Html("")
    desc = words.listed([f"{r.name} {r.words}" for r in rows])
    columns = [Column(words("approach_head")), Column(words.metric(metric), True), Column(words("interval"), True)]
    cells = [[r.name, words.percent(r.value), words.interval(r.low, r.high)] for r in rows]
    fallback = table(words("chart.success"), columns, cells)
    return picture_of("success", words, desc, lambda c, w: charts.intervals(rows, c, w), fallback)


def quality_and_cost(report: Report, cost: CostReport, words: Words, metric: str = "success") -> Html:
    """Success against dollars per 1,000 queries."""
    found = []
    for result in report.approaches:
        e, row = result.metrics.get(metric), cost.approach(result.name)
        if row is not None and e is not None and e.value is not None and not result.skipped:
            found.append((result.name, row.per_1000, e.value, e.low or 0.0, e.high if e.high is not None else 1.0))
    if not found:
        return Html("")
    points = []
    for name, x, y, low, high in found:
        beaten = any((a < x and b >= y) or (a <= x and b > y) for _, a, b, _, _ in found)
        points.append(charts.ScatterPoint(words.approach(name), x, y, low, high, not beaten, colour(name)))
    desc = words.listed([f"{p.name} {words.percent(p.y)} / {words.money(p.x)}" for p in points])
    columns = [Column(words("approach_head")), Column(words.metric(metric), True), Column(words.metric("per_1000"), True),
               Column(words("chart.front"))]  # fmt: skip
    rows = [[p.name, words.percent(p.y), words.money(p.x), words("yes") if p.front else words("no")] for p in points]
    fallback = table(words("chart.pareto"), columns, rows)

    def draw(caption: Caption, width: float) -> str:
        return charts.scatter(points, caption, money=words.money, x_title=words.metric("per_1000"),
                              y_title=words.metric(metric), width=width)  # fmt: skip

    return picture_of("pareto", words, desc, draw, fallback)


def volume(cost: CostReport, words: Words) -> Html:
    """Dollars a month over queries a month, all else as planned, with the break-even volumes."""
    inputs = cost.inputs
    base = inputs.queries_per_month
    if base <= 0 or not cost.approaches:
        return Html("")
    x = np.geomspace(base / _REACH, base * _REACH, _STEPS)
    found: list[charts.Curve] = []
    for row in _different(cost):
        moved, prices = Point(inputs, {"queries_per_month": x}), price_curve(inputs, name=row.name)
        total = stream(row.name, moved, prices).total / inputs.horizon_months
        y = np.maximum(np.broadcast_to(total, x.shape), 0.01)
        found.append(charts.Curve(words.approach(row.name), x.tolist(), y.tolist(), colour(row.name)))
    marks = [charts.Mark(base, words("chart.planned", volume=words.count(base)), "mark planned")]
    for point in cost.break_evens:
        if point.name == "Q*" and point.value and x[0] < point.value < x[-1]:
            names = {"a": words.approach(point.challenger), "b": words.approach(point.incumbent)}
            marks.append(charts.Mark(point.value, words("chart.crossing", volume=words.count(point.value), **names)))
    shown = [0, _STEPS // 4, _STEPS // 2, 3 * _STEPS // 4, _STEPS - 1]
    columns = [
        Column(words("approach_head")),
        *(Column(words("chart.at", volume=words.count(x[i])), True) for i in shown),
    ]
    fallback = table(words("chart.volume"), columns, [[c.name, *(words.money(c.y[i]) for i in shown)] for c in found])

    def draw(caption: Caption, width: float) -> str:
        return charts.lines(found, marks, caption, x_format=words.compact, y_format=words.axis_money,
                            x_title=words("chart.x_volume"), y_title=words("chart.y_volume"), width=width)  # fmt: skip

    return picture_of("volume", words, words.listed([m.words for m in marks]), draw, fallback)


def _different(cost: CostReport) -> list[ApproachCost]:
    """The cheapest rows whose curves differ: a schema changes nothing, and more than a handful cannot be read."""
    plain = {row.name for row in cost.approaches}
    rows = [row for row in cost.approaches if row.name.replace(CONSTRAINED, "") not in plain - {row.name}]
    return rows[:_CURVES]


def tornado(cost: CostReport, words: Words) -> Html:
    """What moves the cost gap between two approaches most."""
    bars = [bar for bar in cost.tornado if bar.width > 0][:_BARS]
    if not bars:
        return Html("")
    challenger, incumbent = (words.approach(name) for name in cost.pair)
    shown = [
        charts.RangeBar(input_name(b.name, words), b.low, b.high, input_value(b.name, b.low_input, words),
                        input_value(b.name, b.high_input, words), "⚑" if b.flips else "")
        for b in bars
    ]  # fmt: skip
    sides = (words("chart.cheaper", name=challenger), words("chart.cheaper", name=incumbent))
    base = words("chart.base", gap=words.money(bars[0].base))
    columns = [Column(words("chart.input")), Column(words("chart.low"), True), Column(words("chart.high"), True),
               Column(words("chart.gap_low"), True), Column(words("chart.gap_high"), True), Column(words("chart.flips"))]  # fmt: skip
    rows = [_bar_row(b, s, words) for b, s in zip(bars, shown, strict=True)]
    fallback = table(words("chart.tornado"), columns, rows)
    desc = words.listed([f"{s.name} {s.low_words}{DASH}{s.high_words}" for s in shown])

    def draw(caption: Caption, width: float) -> str:
        return charts.tornado(
            shown, bars[0].base, caption, money=words.axis_money, sides=sides, base_words=base, width=width
        )

    return picture_of("tornado", words, desc, draw, fallback)


def _bar_row(bar: Bar, shown: charts.RangeBar, words: Words) -> list[str]:
    flips = words("yes") if bar.flips else words("no")
    return [shown.name, shown.low_words, shown.high_words, words.money(bar.low), words.money(bar.high), flips]


def input_name(name: str, words: Words) -> str:
    """A cost input in words, from the verdict's sentences."""
    key = f"verdict.input.{name}"
    return say(key, lang=words.lang) if key in catalogue("en") else name.replace("_", " ")


def input_value(name: str, value: float, words: Words) -> str:
    """A cost input's value with its unit."""
    if name in _FACTORS:
        return f"×{value:.2g}"
    if name in _COUNTS:
        return words.compact(value)
    return f"{value:.2g}" if name == "retrains" else words.money(value)


def attribution(report: Report, words: Words) -> Html:
    """What happened to every item, one bar per approach."""
    ran = [a for a in report.approaches if a.labels and not a.skipped]
    present = [label for label in LABELS if any(a.labels.get(label) for a in ran)]
    if not present:
        return Html("")
    parts = [charts.StackPart(label, words.label(label), f"l-{label}") for label in present]
    rows = [charts.StackRow(words.approach(a.name), {k: float(v) for k, v in a.labels.items()}) for a in ran]
    columns = [Column(words("approach_head")), *(Column(part.name, True) for part in parts)]
    cells = [[r.name, *(f"{r.values.get(p.key, 0):.0f}" for p in parts)] for r in rows]
    fallback = table(words("chart.attribution"), columns, cells)
    desc = words.listed([f"{r.name} {parts[0].name} {r.values.get(parts[0].key, 0):.0f}" for r in rows])

    def draw(caption: Caption, width: float) -> str:
        return charts.stacked(rows, parts, caption, value=lambda v: f"{v:.0f}", width=width)

    return picture_of("attribution", words, desc, draw, fallback)


def freshness(report: Report, words: Words) -> Html:
    """Answers to changed facts after the documents were updated."""
    if not any(f.n for f in report.freshness):
        return Html("")
    parts = [charts.StackPart(k, words(f"fresh.{k}"), f"f-{k}") for k in ("new", "stale", "other")]
    rows = [charts.StackRow(words.approach(f.approach), {"new": f.new, "stale": f.stale, "other": f.other})
            for f in report.freshness]  # fmt: skip
    columns = [Column(words("approach_head")), *(Column(p.name, True) for p in parts), Column(words("n"), True)]
    cells = [[words.approach(f.approach), words.percent(f.new), words.percent(f.stale), words.percent(f.other), str(f.n)]
             for f in report.freshness]  # fmt: skip
    fallback = table(words("chart.freshness"), columns, cells)
    desc = words.listed([f"{row[0]} {parts[0].name} {row[1]}, {parts[1].name} {row[2]}" for row in cells])

    def draw(caption: Caption, width: float) -> str:
        return charts.stacked(rows, parts, caption, value=words.percent, width=width)

    return picture_of("freshness", words, desc, draw, fallback)
