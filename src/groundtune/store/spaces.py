"""Vector spaces: one per embedder. A second one is filled beside the first and takes its place when it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.store.schema import fetch
from groundtune.store.vectors import SHIFT, key, to_blob

_MISSING = "FROM chunks AS c WHERE NOT EXISTS (SELECT 1 FROM vectors AS v WHERE v.key = (? << 40 | c.rowid))"


@dataclass(frozen=True, slots=True)
class Space:
    """``name`` is the embedder's; ``whole`` is False while it is being filled beside another one."""

    id: int
    name: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chunk without a vector in some space."""

    row: int
    title: str
    heading: str
    text: str


def spaces(connection: apsw.Connection) -> list[Space]:
    """All spaces, oldest first."""
    return [Space(int(i), str(n), bool(w)) for i, n, w in fetch(connection, "SELECT * FROM spaces ORDER BY id")]


def find(connection: apsw.Connection, name: str) -> Space | None:
    return next((space for space in spaces(connection) if space.name == name), None)


def opened(connection: apsw.Connection, name: str) -> Space:
    """The space of an embedder, made when missing: whole at once when there is nothing to be filled."""
    held = find(connection, name)
    if held is not None:
        return held
    empty = not fetch(connection, "SELECT 1 FROM chunks LIMIT 1") and not spaces(connection)
    connection.execute("INSERT INTO spaces (name, whole) VALUES (?, ?)", (name, int(empty)))
    return Space(int(connection.last_insert_rowid()), name, empty)


def wanted(connection: apsw.Connection, space: Space, after: int, limit: int) -> list[Wanted]:
    """Up to ``limit`` chunks beyond row ``after`` that have no vector there, by row."""
    query = f"SELECT c.rowid, c.title, c.heading, c.text {_MISSING} AND c.rowid > ? ORDER BY c.rowid LIMIT ?"
    return [Wanted(*values) for values in fetch(connection, query, (space.id, after, limit))]


def missing(connection: apsw.Connection, space: Space) -> int:
    """How many chunks have no vector there."""
    return int(fetch(connection, f"SELECT count(*) {_MISSING}", (space.id,))[0][0])


def fill(connection: apsw.Connection, space: Space, rows: Sequence[int], vectors: NDArray[np.float32]) -> None:
    """Add vectors; those of chunks that went away meanwhile are left out."""
    connection.executemany(
        "INSERT OR REPLACE INTO vectors (key, vector) SELECT ?, ? WHERE EXISTS (SELECT 1 FROM chunks WHERE rowid = ?)",
        ((key(space.id, row), to_blob(vector), row) for row, vector in zip(rows, vectors, strict=True)),
    )


def take_over(connection: apsw.Connection, space: Space) -> bool:
    """Make a space the only one when no chunk lacks a vector there; False (and nothing changed) otherwise."""
    if missing(connection, space):
        return False
    connection.execute("UPDATE spaces SET whole = 1 WHERE id = ?", (space.id,))
    for other in spaces(connection):
        if other.id != space.id:
            drop(connection, other)
    return True


def drop(connection: apsw.Connection, space: Space) -> None:
    """Remove a space and its vectors."""
    bounds = (space.id << SHIFT, (space.id + 1) << SHIFT)
    connection.execute("DELETE FROM vectors WHERE key >= ? AND key < ?", bounds)
    connection.execute("DELETE FROM spaces WHERE id = ?", (space.id,))
