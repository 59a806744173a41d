"""The comparison as a table of cells: one row per approach, one column per measure, the best of each column marked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from groundtune.measure.results import ApproachResult, Report
from groundtune.report.words import DASH, Words
from groundtune.verdict.cost import CostReport

Better = str  # "high", "low"


@dataclass(frozen=True)
class Cell:
    """``value`` is what cells of a column are compared by; ``detail`` an interval or a second number."""

    text: str
    detail: str = ""
    value: float | None = None
    best: bool = False


@dataclass(frozen=True)
class Head:
    """A column: ``key`` is stable, ``title`` and ``hint`` (what it means) are in the reader's language."""

    key: str
    title: str
    hint: str
    better: Better


@dataclass(frozen=True)
class Row:
    """One approach that ran."""

    name: str
    title: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Comparison:
    """Only columns in which something was measured; ``skipped`` maps a title to the reason."""

    heads: tuple[Head, ...]
    rows: tuple[Row, ...]
    skipped: tuple[tuple[str, str], ...]


# Metric, what is better. ``example_success`` has items only where a project holds examples out.
METRICS: tuple[tuple[str, Better], ...] = (
    ("success", "high"),
    ("answer_in_output", "high"),
    ("answer_em", "high"),
    ("format_valid", "high"),
    ("citation_precision", "high"),
    ("false_answer", "low"),
    ("over_refusal", "low"),
    ("example_success", "high"),
)


def comparison(report: Report, words: Words, cost: CostReport | None = None) -> Comparison:
    """The table of a report; ``cost`` adds dollars per 1,000 queries."""
    ran = [a for a in report.approaches if not a.skipped]
    columns: list[tuple[Head, list[Cell]]] = []
    for metric, better in _shown_metrics(ran):
        cells = [metric_cell(a, metric, words) for a in ran]
        columns.append((_head(metric, better, words), cells))
    columns += [(_head(key, "low", words), [make(a, words) for a in ran]) for key, make in _USAGE]
    # Built-in models reuse a shared prefix too; the column is worth its width only where a whole corpus is the prefix.
    if any(a.cached_tokens and a.name.startswith("long-context") for a in ran):
        columns.append((_head("cached", "high", words), [_cached(a, words) for a in ran]))
    if cost is not None:
        columns.append((_head("per_1000", "low", words), [_cost_cell(a, cost, words) for a in ran]))
    columns = [(head, _mark(cells, head.better)) for head, cells in columns if any(c.value is not None for c in cells)]
    rows = tuple(
        Row(a.name, words.approach(a.name), tuple(cells[index] for _, cells in columns)) for index, a in enumerate(ran)
    )
    skipped = tuple((words.approach(a.name), a.skipped) for a in report.approaches if a.skipped)
    return Comparison(tuple(head for head, _ in columns), rows, skipped)


def metric_cell(result: ApproachResult, metric: str, words: Words) -> Cell:
    """An estimate as a cell, with its interval."""
    estimate = result.metrics.get(metric)
    if estimate is None or estimate.value is None:
        return Cell(DASH)
    return Cell(words.percent(estimate.value), words.interval(estimate.low, estimate.high), estimate.value)


def better_of(metric: str) -> Better:
    """Whether high or low values of a metric are good."""
    return "low" if metric in ("false_answer", "over_refusal", "unsupported_sentences") else "high"


def _shown_metrics(ran: list[ApproachResult]) -> list[tuple[str, Better]]:
    """One of the two answer measures: the one that ignores the format where it was measured, else exact match."""
    loose = any((e := a.metrics.get("answer_in_output")) is not None and e.value is not None for a in ran)
    hidden = "answer_em" if loose else "answer_in_output"
    return [(metric, better) for metric, better in METRICS if metric != hidden]


def _head(key: str, better: Better, words: Words) -> Head:
    return Head(key, words.metric(key), words.named("hint", key), better)


def _mark(cells: list[Cell], better: Better) -> list[Cell]:
    """Mark the best value; all of them when they look the same, none when every cell does."""
    values = [c.value for c in cells if c.value is not None]
    top = max(values) if better == "high" else min(values)
    winners = {c.text for c in cells if c.value == top}
    if len(values) < 2 or all(c.text in winners for c in cells if c.value is not None):
        return cells
    return [Cell(c.text, c.detail, c.value, c.value is not None and c.text in winners) for c in cells]


def _latency(result: ApproachResult, words: Words) -> Cell:
    if result.latency_p50 is None:
        return Cell(DASH)
    return Cell(words.seconds(result.latency_p50), words.seconds(result.latency_p95), result.latency_p50)


def _tokens(result: ApproachResult, words: Words) -> Cell:
    total = result.input_tokens + result.output_tokens
    if not total:
        return Cell(DASH)
    return Cell(words.count(result.input_tokens), words.count(result.output_tokens), total)


def _cost_cell(result: ApproachResult, cost: CostReport, words: Words) -> Cell:
    found = cost.approach(result.name)
    return Cell(words.money(found.per_1000), "", found.per_1000) if found else Cell(DASH)


def _cached(result: ApproachResult, words: Words) -> Cell:
    if not result.cached_tokens:
        return Cell(DASH)
    share = result.cached_tokens / result.input_tokens if result.input_tokens else 0.0
    return Cell(words.count(result.cached_tokens), words.percent(share), result.cached_tokens)


_USAGE: tuple[tuple[str, Callable[[ApproachResult, Words], Cell]], ...] = (("latency", _latency), ("tokens", _tokens))
