"""Which rows each process computes at each step of a plan."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.tuning.group import Group
from groundtune.tuning.memory import Way
from groundtune.tuning.plan import Plan
from groundtune.tuning.rows import IGNORED, Row


def batches(plan: Plan, way: Way, size: int, group: Group) -> list[list[int]]:
    """The indices of rows that this process computes together, ``way.accumulation`` times per step of ``size`` rows. A
    process without a row left takes row -1, which has no trained token: all processes add up gradients at once.
    """
    found: list[list[int]] = []
    for start in range(0, len(plan.order), size):
        mine = list(group.share(plan.order[start : start + size]))
        for number in range(way.accumulation):
            found.append(mine[number * way.micro_batch : (number + 1) * way.micro_batch] or [-1])
    return found


class Rows:
    """Rows by index; -1 is one without a trained token."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._table = table(rows)
        shortest = min(self._table, key=lambda row: len(row["input_ids"]))
        self._empty = {**shortest, "labels": [IGNORED] * len(shortest["labels"])}

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return self._table[index] if index >= 0 else self._empty


def table(built: Sequence[Row]) -> list[dict[str, list[int]]]:
    """Token ids and labels of each row."""
    return [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in built]
