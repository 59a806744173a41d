"""``--judge-labels FILE``: what people think of answers, one JSON object per line.

``{"question", "accepted", "answer", "right": true}`` rates one answer, ``{"question", "accepted", "a", "b", "better":
"a"|"b"|"same"}`` compares two. Lines whose ``right`` or ``better`` is null are still to be labelled. A file that does
not exist is written with answers of the comparison, ready to be filled in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import DataError
from groundtune.files import write_whole
from groundtune.measure.results import ApproachResult

SHEET = 60  # answers that a new sheet holds
_BETTER = ("a", "b", "same")


@dataclass(frozen=True)
class Rated:
    """An answer and whether a person finds it right."""

    question: str
    accepted: tuple[str, ...]
    answer: str
    right: bool


@dataclass(frozen=True)
class Compared:
    """Two answers and which one a person finds better: ``a``, ``b`` or ``same``."""

    question: str
    accepted: tuple[str, ...]
    a: str
    b: str
    better: str


@dataclass(frozen=True)
class Labels:
    """What people said; ``blank`` lines are still to be labelled."""

    rated: tuple[Rated, ...] = ()
    compared: tuple[Compared, ...] = ()
    blank: int = 0


def load_labels(path: Path) -> Labels:
    """Empty when there is no file. Raises ``DataError`` naming the line that cannot be read."""
    rated: list[Rated] = []
    compared: list[Compared] = []
    blank = 0
    if not path.is_file():
        return Labels()
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found = _label(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError("measure.label_line", path=path, line=number) from error
        if isinstance(found, Rated):
            rated.append(found)
        elif found is not None:
            compared.append(found)
        else:
            blank += 1
    return Labels(tuple(rated), tuple(compared), blank)


def write_sheet(path: Path, results: Sequence[ApproachResult]) -> int:
    """Write answers of the comparison to be labelled, taken from the approaches in turn; returns how many. No more than
    one line for the same question and answer.
    """
    lines: dict[tuple[str, str], dict[str, object]] = {}
    tables = [
        [i for i in r.items if i.part == "question" and i.answerable and not i.error and i.output.strip()]
        for r in results
    ]
    for place in range(max(map(len, tables), default=0)):
        for number, table in enumerate(tables):
            if not table or len(lines) >= SHEET:
                continue
            item = table[(place + number) % len(table)]
            row: dict[str, object] = {
                "question": item.question,
                "accepted": [item.expected],
                "answer": item.output,
                "right": None,
            }
            lines.setdefault((item.question, item.output), row)
    if lines:
        write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines.values()))
    return len(lines)


def _label(table: Mapping[str, Any]) -> Rated | Compared | None:
    accepted = table.get("accepted") or ()
    shared = (str(table["question"]), tuple(map(str, [accepted] if isinstance(accepted, str) else accepted)))
    if "better" in table:
        better = table["better"]
        if better is None:
            return None
        if better not in _BETTER:
            raise ValueError(better)
        return Compared(*shared, str(table["a"]), str(table["b"]), better)
    if table["right"] is None:
        return None
    if not isinstance(table["right"], bool):
        raise ValueError(table["right"])
    return Rated(*shared, str(table["answer"]), table["right"])
