"""Tables to text: each row carries its column names, so that a row alone still says what its values are."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from groundtune.errors import DataError
from groundtune.knowledge.decode import decode
from groundtune.knowledge.extract import Extract, one_line

_DELIMITERS = ",\t;|"
_VALUE = re.compile(r"[-+(]?[$€£¥￥]?[\d０-９][\d,.:/%年月日\- )０-９]*(?:AM|PM)?")
_LONGEST_NAME = 60
_FIELD_LIMIT = 16 * 1024 * 1024


def render(rows: Iterable[Sequence[object]], *, header: bool | None = None) -> str:
    """One line for each row: ``| name: value | name: value |``, without empty cells; rows as they are when there is
    no header row. ``header`` None: decided by looking at the first two rows.
    """
    return "\n".join(lines(rows, header=header))


def lines(rows: Iterable[Sequence[object]], *, header: bool | None = None) -> Iterator[str]:
    """``render``, line by line."""
    filled = (cells for cells in map(_cells, rows) if any(cells))
    first, second = next(filled, None), next(filled, None)
    if first is None:
        return
    if second is None:
        yield _plain(first)
        return
    if not (_is_header(first, second) if header is None else header):
        names: list[str] = []
        yield _plain(first)
    else:
        names = first
    yield _named(names, second)
    for row in filled:
        yield _named(names, row)


def _cells(row: Sequence[object]) -> list[str]:
    return ["" if cell is None else one_line(cell) for cell in row]


def _plain(row: Sequence[str]) -> str:
    return f"| {' | '.join(cell for cell in row if cell)} |"


def _named(names: Sequence[str], row: Sequence[str]) -> str:
    if not names:
        return _plain(row)
    pairs = [
        f"{names[i]}: {cell}" if i < len(names) and names[i] and names[i] != cell else cell
        for i, cell in enumerate(row)
        if cell
    ]
    return f"| {' | '.join(pairs)} |"


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Short, different names without numbers over at least two columns; the corner may be empty."""
    names = [cell for cell in first if cell]
    if len(names) < 2 or len(set(names)) < len(names) or "" in first[1 : len(names)]:
        return False
    if len(names) < sum(1 for cell in second if cell) - 1:
        return False
    return not any(len(name) > _LONGEST_NAME or _VALUE.fullmatch(name) for name in names)


def read_table(data: bytes, name: str, charset: str = "") -> Extract:
    """CSV and TSV. Raises ``DataError`` for an unknown encoding or a broken file."""
    text = decode(data, name, declared=charset).lstrip("\ufeff")
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        delimiter = "\t" if name.lower().endswith(".tsv") else _delimiter(text)
        rendered = render(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise DataError("knowledge.damaged", document=name) from error
    return Extract(f"{rendered}\n" if rendered else "")


def _delimiter(text: str) -> str:
    """The sign that stands equally often, and most often, in the first rows."""
    best, best_score = ",", 0.0
    for sign in _DELIMITERS:
        rows = islice(csv.reader(io.StringIO(text[:20000]), delimiter=sign), 20)
        widths = Counter(len(row) for row in rows if row)
        width, times = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        score = times / max(1, widths.total()) * (min(width, 8) - 1)
        if score > best_score + 1e-9:
            best, best_score = sign, score
    return best
