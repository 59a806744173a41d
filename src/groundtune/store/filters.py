"""Metadata filters as SQL conditions on chunk rows."""

from __future__ import annotations

import json
from typing import Any

import apsw

from groundtune.ports import Filter
from groundtune.store.schema import fetch

Condition = tuple[str, tuple[Any, ...]]


def condition(filter: Filter | None) -> Condition:
    """``AND rowid IN (…)`` and its bindings; empty for no filter. None matches a missing key and JSON null."""
    if not filter:
        return "", ()
    parts: list[str] = []
    bindings: list[Any] = []
    for key, value in filter.items():
        column, names = ("id", ()) if key == "document_id" else ("json_extract(metadata, ?)", (_path(key),))
        bindings.extend(names)
        if value is None:
            parts.append(f"{column} IS NULL")
        else:
            parts.append(f"{column} = ?")
            bindings.append(value)
    chosen = f"SELECT id FROM documents WHERE {' AND '.join(parts)}"
    return f"AND rowid IN (SELECT rowid FROM chunks WHERE document_id IN ({chosen}))", tuple(bindings)


def allowed_rows(connection: apsw.Connection, wanted: Condition) -> frozenset[int] | None:
    """The rows that a condition lets through; None when there is no condition."""
    clause, bindings = wanted
    if not clause:
        return None
    rows = fetch(connection, f"SELECT rowid FROM chunks WHERE true {clause}", bindings)
    return frozenset(row[0] for row in rows)


def _path(key: str) -> str:
    return "$." + json.dumps(key, ensure_ascii=False)
