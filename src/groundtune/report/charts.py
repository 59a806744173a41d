"""The six charts as inline SVG: plain data and ready words in, one accessible picture out. No script, no colours here.

Every chart takes the width in pixels that it is drawn for, so that a page can hold one for a desk and one for a phone.
``css`` of a row or point is a class that gives its colour; names are always written out, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundtune.report.svg import Canvas, clip, log_ticks, spread, text_width, ticks

WIDE, NARROW = 720.0, 340.0
_SIDE = 560.0  # from this width on, names stand beside the bars and not above them
Format = Callable[[float], str]


@dataclass(frozen=True)
class Caption:
    """What a chart is called and what it shows, for readers who do not see it; ``ident`` is unique on the page."""

    ident: str
    title: str
    desc: str


@dataclass(frozen=True)
class IntervalRow:
    """A mean in [0, 1] with its interval and the words for it."""

    name: str
    value: float
    low: float
    high: float
    words: str
    css: str = ""


@dataclass(frozen=True)
class ScatterPoint:
    """``x`` dollars, ``y`` in [0, 1] with its interval; ``front`` when nothing else is both cheaper and better."""

    name: str
    x: float
    y: float
    low: float
    high: float
    front: bool
    css: str = ""


@dataclass(frozen=True)
class Curve:
    """One line; ``x`` and ``y`` > 0, as long as each other."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    css: str = ""


@dataclass(frozen=True)
class Mark:
    """A vertical line at ``x`` with words."""

    x: float
    words: str
    css: str = "mark"


@dataclass(frozen=True)
class RangeBar:
    """One bar of a tornado: the result at the low and the high end of one input; ``flag`` says that it flips the sign."""

    name: str
    low: float
    high: float
    low_words: str
    high_words: str
    flag: str = ""


@dataclass(frozen=True)
class StackPart:
    """One kind of part; ``css`` colours it."""

    key: str
    name: str
    css: str


@dataclass(frozen=True)
class StackRow:
    """Counts or shares by part key."""

    name: str
    values: dict[str, float]


def intervals(rows: Sequence[IntervalRow], caption: Caption, width: float = WIDE) -> str:
    """Means on a 0 to 100 % axis with their intervals, one row each."""
    canvas, side = Canvas(width), width >= _SIDE
    right = max((text_width(r.words) for r in rows), default=0.0) + 14 if side else 8.0
    left = min(width * 0.34, max((text_width(r.name) for r in rows), default=0.0) + 16) if side else 8.0
    step, top = (36.0, 10.0) if side else (52.0, 4.0)
    bottom = top + step * len(rows)
    scale = width - left - right
    for tick in (0, 25, 50, 75, 100):
        x = left + scale * tick / 100
        canvas.line(x, top, x, bottom, "grid")
        canvas.text(
            x, bottom + 18, f"{tick}%", "s", "middle" if 0 < tick < 100 or side else "start" if not tick else "end"
        )
    for index, row in enumerate(rows):
        y = top + step * index + (step / 2 if side else 36)
        if side:
            canvas.text(left - 12, y + 4.5, clip(row.name, left - 12), "t", "end")
            canvas.text(width, y + 4.5, row.words, "t n", "end")
        else:
            canvas.text(left, y - 14, clip(row.name, width - text_width(row.words) - 24), "t halo")
            canvas.text(width - right, y - 14, row.words, "t n halo", "end")
        a, b, x = (left + scale * v for v in (row.low, row.high, row.value))
        canvas.rect(a, y - 5, b - a, 10, f"band {row.css}", radius=5)
        canvas.circle(x, y, 6, f"dot {row.css}")
    return canvas.done(bottom + 26, ident=caption.ident, title=caption.title, desc=caption.desc)


def scatter(
    points: Sequence[ScatterPoint], caption: Caption, *, money: Format, x_title: str, y_title: str, width: float = WIDE
) -> str:
    """Quality against cost; the points of the front are filled and joined."""
    canvas, height = Canvas(width), 330.0
    left, right, top, bottom = 46.0, width - 12, 30.0, height - 46
    to_x, marks = _x_scale([p.x for p in points], left + 14, right - 14, 8 if width >= _SIDE else 4)

    def to_y(share: float) -> float:
        return bottom - (bottom - top) * share

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        canvas.line(left, to_y(share), right, to_y(share), "grid")
        canvas.text(left - 8, to_y(share) + 4, f"{share * 100:.0f}%", "s", "end")
    for value in marks:
        canvas.line(to_x(value), bottom, to_x(value), bottom + 5, "axis")
        canvas.text(to_x(value), bottom + 20, money(value), "s", "middle")
    canvas.text(left - 38, 14, y_title, "s")
    canvas.text(right, height - 4, x_title, "s", "end")
    front = sorted((p for p in points if p.front), key=lambda p: p.x)
    if len(front) > 1:
        canvas.path([(to_x(p.x), to_y(p.y)) for p in front], "front")
    taken = [(to_x(p.x) - 8, to_y(p.y) - 8, to_x(p.x) + 8, to_y(p.y) + 8) for p in points]
    for point in points:
        x, y = to_x(point.x), to_y(point.y)
        canvas.line(x, to_y(point.low), x, to_y(point.high), f"whisker {point.css}")
        canvas.circle(x, y, 7, f"dot {point.css}" if point.front else f"ring {point.css}")
    for point in points:
        name = clip(point.name, (right - left) * 0.48)
        x, y, anchor = _place(to_x(point.x), to_y(point.y), text_width(name), (left, top, right, bottom), taken)
        canvas.text(x, y, name, "t halo" if point.front else "t halo m", anchor)
    return canvas.done(height, ident=caption.ident, title=caption.title, desc=caption.desc)


def lines(
    curves: Sequence[Curve], marks: Sequence[Mark], caption: Caption, *,
    x_format: Format, y_format: Format, x_title: str, y_title: str, width: float = WIDE,
) -> str:  # fmt: skip
    """Lines over two logarithmic axes, with vertical marks; names stand at the line ends, on a phone below."""
    canvas, side = Canvas(width), width >= _SIDE
    label = min(width * 0.36, max(text_width(c.name) for c in curves) + 18) if side else 6.0
    top, bottom = 30.0 + 18 * len(marks), 30.0 + 18 * len(marks) + 260
    left, right = 58.0, width - label
    xs, ys = [v for c in curves for v in c.x], [v for c in curves for v in c.y]
    low, high = min(ys) * 0.9, max(ys) * 1.1
    to_x = _log(min(xs), max(xs), left, right)
    to_y = _log(low, high, bottom, top)
    for value in log_ticks(low, high):
        canvas.line(left, to_y(value), right, to_y(value), "grid")
        canvas.text(left - 8, to_y(value) + 4, y_format(value), "s", "end")
    for value in log_ticks(min(xs), max(xs), 7 if side else 4):
        canvas.line(to_x(value), bottom, to_x(value), bottom + 5, "axis")
        canvas.text(to_x(value), bottom + 20, x_format(value), "s", "middle")
    canvas.text(0, 14, y_title, "s")
    canvas.text(right, bottom + 40, x_title, "s", "end")
    ordered = sorted(marks, key=lambda m: m.x)
    for index, mark in enumerate(ordered):
        canvas.line(to_x(mark.x), 24.0 + 18 * index, to_x(mark.x), bottom, mark.css)
    for index, mark in enumerate(ordered):
        x, after = to_x(mark.x), to_x(mark.x) + 6 + text_width(mark.words, 12) <= width
        canvas.text(x + 6 if after else x - 6, 34.0 + 18 * index, mark.words, "s halo", "start" if after else "end")
    for index, curve in enumerate(curves):
        canvas.path(
            [(to_x(a), to_y(b)) for a, b in zip(curve.x, curve.y, strict=True)], f"curve d{index % 6} {curve.css}"
        )
    height = bottom + 50
    if side:
        ends = spread([to_y(c.y[-1]) for c in curves], 18, top, bottom)
        for curve, y in zip(curves, ends, strict=True):
            canvas.line(right + 2, to_y(curve.y[-1]), right + 10, y, f"leader {curve.css}")
            canvas.text(right + 13, y + 4, clip(curve.name, label - 13), "t")
    else:
        for index, curve in enumerate(curves):
            canvas.line(8, height + 8, 36, height + 8, f"curve d{index % 6} {curve.css}")
            canvas.text(44, height + 12, clip(curve.name, width - 44), "t")
            height += 22
    return canvas.done(height + 4, ident=caption.ident, title=caption.title, desc=caption.desc)


def tornado(
    bars: Sequence[RangeBar], base: float, caption: Caption, *, money: Format, sides: tuple[str, str],
    base_words: str, width: float = WIDE,
) -> str:  # fmt: skip
    """How far each input moves the gap; ``sides`` say what it means left and right of 0."""
    canvas, side = Canvas(width), width >= _SIDE
    left = min(width * 0.36, max(text_width(_flagged(b)) for b in bars) + 16) if side else 4.0
    right, top, step = width - 8, 44.0, 34.0 if side else 58.0
    bottom = top + step * len(bars) + 4
    marks = ticks(min([0.0, base, *(min(b.low, b.high) for b in bars)]), max([0.0, base, *(max(b.low, b.high) for b in bars)]),
                  6 if side else 3)  # fmt: skip
    span = (marks[-1] - marks[0]) or 1.0

    def to_x(value: float) -> float:
        return left + 26 + (right - left - 52) * (value - marks[0]) / span

    for mark in marks:
        canvas.line(to_x(mark), top - 4, to_x(mark), bottom, "zero" if abs(mark) < span * 1e-9 else "grid")
        canvas.text(to_x(mark), bottom + 18, money(mark), "s", "middle")
    canvas.text(
        min(to_x(0) - 8, right) if side else 0,
        14,
        f"← {sides[0]}",
        "s",
        "end" if side and to_x(0) - 8 > left + text_width(sides[0]) else "start",
    )
    canvas.text(width, 14 if side else 32, f"{sides[1]} →", "s", "end")
    for index, bar in enumerate(bars):
        y = top + step * index + (4 if side else 26)
        if side:
            canvas.text(left - 8, y + 17, clip(_flagged(bar), left - 8), "t b" if bar.flag else "t", "end")
        else:
            canvas.text(4, y - 6, clip(_flagged(bar), width - 8), "t b halo" if bar.flag else "t halo")
        for end, words, css in ((bar.low, bar.low_words, "low"), (bar.high, bar.high_words, "high")):
            a, b = sorted((to_x(base), to_x(end)))
            canvas.rect(a, y, b - a, 24, f"bar {css}", radius=2)
            out = -5 if end < base or (end == base and css == "low") else 5
            canvas.text(to_x(end) + out, y + 16, words, "s halo", "end" if out < 0 else "start")
    canvas.line(to_x(base), top - 4, to_x(base), bottom, "base")
    canvas.text(to_x(base), bottom + 36, base_words, "s", _anchor(to_x(base), text_width(base_words), width))
    return canvas.done(bottom + 44, ident=caption.ident, title=caption.title, desc=caption.desc)


def stacked(
    rows: Sequence[StackRow], parts: Sequence[StackPart], caption: Caption, *, value: Format, width: float = WIDE
) -> str:
    """One full-width bar per row, cut by part; numbers stand in the parts, the legend lists parts in order."""
    canvas, side = Canvas(width), width >= _SIDE
    left = min(width * 0.34, max((text_width(r.name) for r in rows), default=0.0) + 16) if side else 0.0
    step, top = (38.0, 4.0) if side else (54.0, 4.0)
    for index, row in enumerate(rows):
        y = top + step * index + (0 if side else 20)
        if side:
            canvas.text(left - 12, y + 19, clip(row.name, left - 12), "t", "end")
        else:
            canvas.text(0, y - 6, clip(row.name, width), "t")
        total, x = sum(row.values.values()) or 1.0, left
        for part in parts:
            amount = row.values.get(part.key, 0.0)
            if amount <= 0:
                continue
            size = (width - left) * amount / total
            canvas.rect(x, y, size - 1.5, 28, f"part {part.css}", radius=2)
            if size > text_width(value(amount)) + 6:
                canvas.text(x + size / 2 - 0.75, y + 19, value(amount), f"in {part.css}", "middle")
            x += size
    height = _legend(canvas, parts, left, top + step * len(rows) + 16)
    return canvas.done(height, ident=caption.ident, title=caption.title, desc=caption.desc)


def _legend(canvas: Canvas, parts: Sequence[StackPart], left: float, top: float) -> float:
    x, y = left, top
    for part in parts:
        size = text_width(part.name) + 36
        if x > left and x + size > canvas.width + 12:
            x, y = left, y + 24
        canvas.rect(x, y, 14, 14, f"part {part.css}", radius=2)
        canvas.text(x + 20, y + 12, clip(part.name, canvas.width - x - 20), "s")
        x += size
    return y + 24


def _flagged(bar: RangeBar) -> str:
    return f"{bar.flag} {bar.name}" if bar.flag else bar.name


def _anchor(x: float, width: float, limit: float) -> str:
    if x - width / 2 < 0:
        return "start"
    return "end" if x + width / 2 > limit else "middle"


def _log(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    base, span = math.log(low), (math.log(high) - math.log(low)) or 1.0
    return lambda value: start + (end - start) * (math.log(value) - base) / span


def _x_scale(
    values: Sequence[float], start: float, end: float, most: int
) -> tuple[Callable[[float], float], list[float]]:
    """Linear from 0; logarithmic where the largest is more than 12 times the smallest."""
    low, high = min(values, default=0.0), max(values, default=1.0) or 1.0
    if low > 0 and high / low > 12:
        return _log(low / 1.3, high * 1.3, start, end), log_ticks(low / 1.3, high * 1.3, most)
    marks = ticks(0.0, high, min(most, 5))
    return (lambda value: start + (end - start) * value / marks[-1]), marks


Box = tuple[float, float, float, float]


def _place(x: float, y: float, size: float, frame: Box, taken: list[Box]) -> tuple[float, float, str]:
    """A free spot for a name beside its point: right, left, above, below, then further away; it is marked as taken."""
    spots = [(x + 12, y + 4.5, "start"), (x - 12, y + 4.5, "end"), (x, y - 13, "middle"), (x, y + 22, "middle")]
    spots += [(x + 12, y + shift, "start") for shift in (-14, 22, -30, 38)]
    spots += [(x - 12, y + shift, "end") for shift in (-14, 22, -30, 38)]
    boxes = []
    for at, base, anchor in spots:
        begin = at - (size if anchor == "end" else size / 2 if anchor == "middle" else 0)
        boxes.append((begin, base - 12, begin + size, base + 4))
    for spot, box in zip(spots, boxes, strict=True):
        inside = box[0] >= frame[0] and box[2] <= frame[2] + 8 and box[1] >= frame[1] - 14 and box[3] <= frame[3]
        if inside and not any(_overlap(box, other) for other in taken):
            taken.append(box)
            return spot
    index = int(x > (frame[0] + frame[2]) / 2)  # crowded: towards the side with more room
    taken.append(boxes[index])
    return spots[index]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
