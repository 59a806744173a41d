"""Metadata filters and access rights as SQL conditions on chunk rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import apsw

from groundtune.ports import READER, Filter
from groundtune.store.schema import fetch

Condition = tuple[str, tuple[Any, ...]]

# Under this key of ``meta``: a JSON list of ``{"folder": "hr/", "labels": ["hr"]}``, see ``visible_to``.
FOLDERS = "access_folders"
# Metadata keys that restrict a document. The second is set in the index of an earlier date: what the document carries
# today restricts its earlier versions too.
_REMEMBERED = 32
_KEYS = ("$.access", "$.access_now")


def condition(filter: Filter | None) -> Condition:
    """``AND rowid IN (…)`` and its bindings; empty for no filter. None matches a missing key and JSON null; a
    tuple matches any of its values; ``READER`` keeps what its labels may see.
    """
    if not filter:
        return "", ()
    parts: list[str] = []
    bindings: list[Any] = []
    for key, value in filter.items():
        if key == READER:
            clause, values = visible_to(_labels(value))
            parts.append(clause)
            bindings.extend(values)
            continue
        column, names = ("id", ()) if key == "document_id" else ("json_extract(metadata, ?)", (_path(key),))
        bindings.extend(names)
        if value is None:
            parts.append(f"{column} IS NULL")
        elif isinstance(value, tuple):
            parts.append(f"{column} IN ({','.join('?' * len(value))})")
            bindings.extend(value)
        else:
            parts.append(f"{column} = ?")
            bindings.append(value)
    chosen = f"SELECT id FROM documents WHERE {' AND '.join(parts)}"
    return f"AND rowid IN (SELECT rowid FROM chunks WHERE document_id IN ({chosen}))", tuple(bindings)


def visible_to(labels: Iterable[str], id: str = "documents.id", metadata: str = "documents.metadata") -> Condition:
    """May a reader with ``labels`` see a row? ``id`` and ``metadata`` are its columns with the name of their table:
    ``json_each`` has an ``id`` of its own.

    A document is for everybody unless its metadata ``access`` names labels (separated by commas; any one of them is
    enough) or a rule under ``FOLDERS`` covers its id (each rule that does must be met). Anything that cannot be read as
    labels is seen by nobody.
    """
    given = json.dumps(sorted(set(labels)), ensure_ascii=False)
    parts: list[str] = []
    bindings: list[Any] = []
    for key in _KEYS:
        value = f"json_extract({metadata}, '{key}')"
        known = f"',' || replace(lower({value}), ' ', '') || ','"
        held = f"EXISTS (SELECT 1 FROM json_each(?) AS held WHERE instr({known}, ',' || held.value || ',') > 0)"
        parts.append(f"({value} IS NULL OR {held})")
        bindings.append(given)
    # The rules that shut this reader out do not depend on the row, so that SQLite reads them once.
    shut = (
        "SELECT json_extract(rule.value, '$.folder') AS folder FROM meta AS kept, json_each(kept.value) AS rule"
        f" WHERE kept.key = '{FOLDERS}' AND NOT EXISTS (SELECT 1 FROM json_each(rule.value, '$.labels') AS asked"
        " JOIN json_each(?) AS held ON held.value = asked.value)"
    )
    below = f"(shut.folder = '' OR shut.folder LIKE '%/') AND substr({id}, 1, length(shut.folder)) = shut.folder"
    parts.append(f"NOT EXISTS (SELECT 1 FROM ({shut}) AS shut WHERE shut.folder = {id} OR {below})")
    bindings.append(given)
    return " AND ".join(parts), tuple(bindings)


def allowed_rows(connection: apsw.Connection, wanted: Condition) -> frozenset[int] | None:
    """The rows that a condition lets through; None when there is no condition."""
    clause, bindings = wanted
    if not clause:
        return None
    rows = fetch(connection, f"SELECT rowid FROM chunks WHERE true {clause}", bindings)
    return frozenset(row[0] for row in rows)


class AllowedRows:
    """``allowed_rows`` of one store; the answers for the last few conditions are kept until something is written."""

    def __init__(self) -> None:
        self._generation: object = None
        self._found: dict[Condition, frozenset[int]] = {}

    def of(self, connection: apsw.Connection, generation: object, wanted: Condition) -> frozenset[int] | None:
        """``generation`` is that of the snapshot that ``connection`` reads."""
        if not wanted[0]:
            return None
        if generation != self._generation:
            self._generation, self._found = generation, {}
        if wanted not in self._found:
            while len(self._found) >= _REMEMBERED:
                del self._found[next(iter(self._found))]
            self._found[wanted] = allowed_rows(connection, wanted) or frozenset()
        return self._found[wanted]


def _labels(value: object) -> tuple[str, ...]:
    """No labels for anything that is not a tuple of texts: such a reader sees only what everybody may see."""
    return tuple(str(label) for label in value) if isinstance(value, tuple | list | frozenset) else ()


def _path(key: str) -> str:
    return "$." + json.dumps(key, ensure_ascii=False)
