"""Hand-made SVG: the few shapes that the charts use, escaped, styled by classes so that the page's colours apply."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from rich.cells import cell_len

FONT = 13.0
HALF = 0.54  # width of half an em box (one terminal cell) in ems, for layout


def text_width(text: str, size: float = FONT) -> float:
    """Rough width of a text in pixels: an ideograph is one em, a Latin letter about half of one."""
    return cell_len(text) * size * HALF


def clip(text: str, width: float, size: float = FONT) -> str:
    """The text, cut with an ellipsis where it would be wider than ``width`` pixels."""
    if text_width(text, size) <= width:
        return text
    kept = text
    while kept and text_width(kept + "…", size) > width:
        kept = kept[:-1]
    return kept.rstrip() + "…"


@dataclass
class Canvas:
    """Collects shapes; ``done`` wraps them as an accessible picture. Coordinates are pixels from the top left."""

    width: float
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        self.parts.append(f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def rect(self, x: float, y: float, width: float, height: float, css: str, *, radius: float = 0.0) -> None:
        shape = f'x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:.1f}"'
        self.parts.append(f'<rect class="{css}" {shape}' + (f' rx="{radius:g}"/>' if radius else "/>"))

    def circle(self, x: float, y: float, radius: float, css: str) -> None:
        self.parts.append(f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>')

    def path(self, points: Sequence[tuple[float, float]], css: str) -> None:
        steps = " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
        self.parts.append(f'<path class="{css}" d="{steps}"/>')

    def text(self, x: float, y: float, words: str, css: str = "t", anchor: str = "start") -> None:
        self.parts.append(f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>')

    def done(self, height: float, *, ident: str, title: str, desc: str, css: str = "") -> str:
        """The ``<svg>`` element; ``ident`` must be unique on the page."""
        size = f'viewBox="0 0 {self.width:g} {height:.0f}" width="{self.width:g}" height="{height:.0f}"'
        names = f'aria-labelledby="{ident}-t {ident}-d"'
        head = f'<title id="{ident}-t">{escape(title)}</title><desc id="{ident}-d">{escape(desc)}</desc>'
        return f'<svg class="chart {css}" role="img" {names} {size}>{head}{"".join(self.parts)}</svg>'


def nice_step(span: float, count: int = 5) -> float:
    """A step of 1, 2 or 5 times a power of ten that cuts ``span`` into about ``count`` parts."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / count))
    return next((m * power for m in (1, 2, 5) if span / (m * power) <= count), 10 * power)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values from at or below ``low`` to at or above ``high``."""
    step = nice_step(high - low, count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Powers of ten (with 2 and 5 where few) from ``low`` to ``high``, both > 0; at most about ``most``."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    tens = [10.0**i for i in range(first, last + 1)]
    fine = [m * t for t in tens for m in (1, 2, 5)]
    chosen = [v for v in fine if low * 0.999 <= v <= high * 1.001]
    if len(chosen) > most:
        chosen = [v for v in tens if low * 0.999 <= v <= high * 1.001]
    return chosen


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near ``wanted``, at least ``gap`` apart, inside ``[low, high]`` where that is possible."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [0.0] * len(wanted)
    previous = low - gap
    for index in order:
        placed[index] = previous = max(wanted[index], previous + gap)
    limit = high
    for index in reversed(order):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - gap
    return placed
