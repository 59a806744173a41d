"""A report as tables: rows of plain values, pandas data frames, Arrow tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from groundtune.errors import MissingExtra, UserError
from groundtune.measure.results import Report

if TYPE_CHECKING:
    import pandas
    import pyarrow

Row = dict[str, str | int | float | bool | None]


def items_of(report: Report) -> list[Row]:
    """One row per item and approach; each score is a column named ``score.<metric>``, None where it does not apply."""
    names = list(dict.fromkeys(n for a in report.approaches for i in a.items for n in i.scores))
    rows: list[Row] = []
    for result in report.approaches:
        for item in result.items:
            row: Row = {
                "approach": result.name, "model": result.model, "id": item.id, "part": item.part, "group": item.group,
                "question": item.question, "expected": item.expected, "output": item.output,
                "answerable": item.answerable, "abstained": item.abstained, "label": item.label, "error": item.error,
                "citations": len(item.citations), "evidence_shown": item.evidence_shown,
                "input_tokens": item.input_tokens, "output_tokens": item.output_tokens,
                "cached_tokens": item.cached_tokens, "seconds": item.seconds,
            }  # fmt: skip
            rows.append(row | {f"score.{name}": item.scores.get(name) for name in names})
    return rows


def metrics_of(report: Report) -> list[Row]:
    """One row per approach and metric: the mean with its 95 % interval and the number of items."""
    return [
        {"approach": a.name, "model": a.model, "metric": name, "value": e.value, "low": e.low, "high": e.high, "n": e.n}
        for a in report.approaches
        for name, e in a.metrics.items()
    ]


def contrasts_of(report: Report) -> list[Row]:
    """One row per paired difference ``a - b``."""
    names = ("metric", "a", "b", "difference", "low", "high", "p_value", "p_adjusted", "n", "detectable")
    return [{name: getattr(contrast, name) for name in names} for contrast in report.contrasts]


TABLES: dict[str, Callable[[Report], list[Row]]] = {
    "items": items_of, "metrics": metrics_of, "contrasts": contrasts_of,
}  # fmt: skip


def to_pandas(report: Report, table: str = "items") -> pandas.DataFrame:
    """``items``, ``metrics`` or ``contrasts`` as a data frame. Raises ``UserError`` for another name, ``MissingExtra``
    without pandas.
    """
    rows = _rows(report, table)
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise MissingExtra("interop.needs_package", package="pandas") from error
    return pandas.DataFrame(rows)


def to_arrow(report: Report, table: str = "items") -> pyarrow.Table:
    """The same as an Arrow table, e.g. to write Parquet. Raises ``UserError``; ``MissingExtra`` without pyarrow."""
    rows = _rows(report, table)
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise MissingExtra("interop.needs_package", package="pyarrow") from error
    return pyarrow.Table.from_pylist(rows)


def _rows(report: Report, table: str) -> list[Row]:
    if table not in TABLES:
        raise UserError("interop.no_table", name=table, known=", ".join(TABLES))
    return TABLES[table](report)
