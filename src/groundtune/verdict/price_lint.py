"""Odd prices: wrong units, rows that contradict each other or another list, zeros, outliers, ended and stale rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from groundtune.verdict.prices import TOKEN_KINDS, PriceRow, package_prices

UNITS = {
    "chat": ("USD/M tokens",),
    "tuned": ("USD/M tokens",),
    "embedding": ("USD/M tokens",),
    "rerank_tokens": ("USD/M tokens",),
    "rerank": ("USD/1000 queries",),
    "multiplier": ("x base price",),
    "training": ("USD/M training tokens",),
    "training_hour": ("USD/training hour",),
    "gpu_hour": ("USD/hour",),
    "vector_store": (
        "USD/month",
        "USD/GB-month",
        "USD/M read units",
        "USD/M write units",
        "USD/OCU-hour",
    ),
}
# Beyond these a number is more likely in another unit (cents, thousands of tokens) than true.
LIKELY = {
    "chat": (0.005, 200.0), "tuned": (0.01, 300.0), "embedding": (0.001, 1.0), "rerank": (0.1, 20.0),
    "rerank_tokens": (0.005, 2.0), "multiplier": (1.0, 10.0), "training": (0.1, 200.0), "training_hour": (1.0, 1000.0),
    "gpu_hour": (0.05, 150.0),
}  # fmt: skip
STALE_DAYS = 180
NEWS = ("ended", "ends_inside", "old")  # true of a correct row too, when time goes by


@dataclass(frozen=True)
class PriceWarning:
    """Something odd about a price. ``key`` names the sentence ``verdict.price_<key>``."""

    row: str
    key: str
    detail: str = ""

    @property
    def wrong(self) -> bool:
        """The row is to be corrected, not only read again."""
        return self.key not in NEWS


def lint(rows: Iterable[PriceRow], today: date, horizon_end: date | None = None) -> tuple[PriceWarning, ...]:
    """Everything odd, row by row, then what two rows say at the same time."""
    listed = tuple(rows)
    found = [PriceWarning(row.key, key, said) for row in listed for key, said in _of_row(row, today, horizon_end)]
    return (*found, *_overlaps(listed))


def disagreements(rows: Iterable[PriceRow], day: date) -> tuple[PriceWarning, ...]:
    """Chat prices that ``genai-prices`` gives otherwise on ``day``; empty where it is not installed."""
    found = []
    for row in rows:
        if row.kind != "chat" or not row.holds(day) or (theirs := package_prices(row.key, day)) is None:
            continue
        if (row.input, row.output) != (theirs.input, theirs.output):
            ours = f"{row.input:g} / {row.output:g}"
            found.append(PriceWarning(row.key, "disagrees", f"{ours} ≠ {theirs.input:g} / {theirs.output:g}"))
    return tuple(found)


def _of_row(row: PriceRow, today: date, horizon_end: date | None) -> Iterator[tuple[str, str]]:
    yield from _numbers(row)
    if row.unit not in UNITS[row.kind]:
        yield "unit", f"{row.unit} ({row.kind}: {', '.join(UNITS[row.kind])})"
    if row.valid_from and row.valid_until and row.valid_from > row.valid_until:
        yield "reversed", f"{row.valid_from.isoformat()} > {row.valid_until.isoformat()}"
    if row.expires and row.expires <= today:
        yield "ended", row.expires.isoformat()
    elif row.expires and horizon_end and row.expires <= horizon_end:
        yield "ends_inside", row.expires.isoformat()
    if row.read > today:
        yield "future", row.read.isoformat()
    elif (today - row.read).days > STALE_DAYS:
        yield "old", row.read.isoformat()


def _numbers(row: PriceRow) -> Iterator[tuple[str, str]]:
    if row.cached is not None and row.input is not None and row.cached > row.input:
        yield "cache_above_input", f"{row.cached:g} > {row.input:g}"
    if row.kind in TOKEN_KINDS and 0 in (row.input, row.output):
        yield "zero", ""
    elif row.kind in TOKEN_KINDS and row.input and row.output and row.output < row.input:
        yield "output_below_input", f"{row.output:g} < {row.input:g}"
    if row.kind == "embedding" and (row.value or 0) > 1:
        yield "embedding_dear", f"{row.value:g}"
    elif row.kind in LIKELY:
        low, high = LIKELY[row.kind]
        for number in (row.value, row.input, row.output):
            if number and not low <= number <= high:
                yield "unlikely", f"{number:g} {row.unit}"


def _overlaps(rows: tuple[PriceRow, ...]) -> Iterator[PriceWarning]:
    named: dict[str, list[PriceRow]] = defaultdict(list)
    for row in rows:
        named[row.key].append(row)
    for key, same in named.items():
        spans = sorted((r.valid_from or date.min, r.valid_until or date.max) for r in same)
        for (_, end), (start, _) in zip(spans, spans[1:], strict=False):
            if start <= end:
                yield PriceWarning(key, "duplicate", start.isoformat() if start > date.min else "")
