"""Chunks as rows: how they go into the tables, the word index and the vectors, many at a time, and come back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.store import postings
from groundtune.store.schema import fetch
from groundtune.store.vectors import key, to_blob
from groundtune.text.inverted import Packed, pack
from groundtune.text.tokenise import body_terms, label_terms
from groundtune.types import Chunk

# Raise the number whenever ``index_terms`` makes other terms: stores rebuild their index when they are opened.
TERMS = "2"
CHUNK_COLUMNS = "id, document_id, version, text, start, end, digest, title, heading, page"
_INSERT = (
    "INSERT INTO chunks (rowid, ordinal, id, document_id, version, text, start, end, digest, title, heading, page,"
    " label_terms, body_terms, length) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

Terms = tuple[str, str]  # of the label and of the body, each joined by spaces


def to_chunk(row: tuple[Any, ...]) -> Chunk:
    """A ``Chunk`` from the values of ``CHUNK_COLUMNS``."""
    return Chunk(*row)


def terms_of(chunk: Chunk) -> Terms:
    """Search terms of a chunk's label and body."""
    return label_terms(chunk.title, chunk.heading), body_terms(chunk.text, chunk.title)


def length(terms: Terms) -> int:
    """Number of terms in the body."""
    return terms[1].count(" ") + 1 if terms[1] else 0


def insert_chunks(
    connection: apsw.Connection,
    chunks: Sequence[tuple[int, Chunk]],
    terms: Sequence[Terms],
    index: postings.Segments,
    packed: Packed | None = None,
) -> int:
    """Add chunks (each with its place in its document) to ``chunks`` and the word index; ``packed`` are their inverted
    lists when they were made already. Row ids are consecutive and were never used before; returns the first.
    """
    first = int(fetch(connection, "SELECT value FROM meta WHERE key = 'next_row'")[0][0])
    connection.executemany(_INSERT, _values(first, chunks, terms))
    if packed is None:
        packed = pack([label for label, _ in terms], [body for _, body in terms])
    index.add(first, packed)
    connection.execute("UPDATE meta SET value = ? WHERE key = 'next_row'", (str(first + len(chunks)),))
    return first


def _values(
    first: int, chunks: Sequence[tuple[int, Chunk]], terms: Sequence[Terms]
) -> Iterator[tuple[str | int | None, ...]]:
    for row, ((ordinal, c), made) in enumerate(zip(chunks, terms, strict=True), start=first):
        yield (
            row, ordinal, c.id, c.document_id, c.version, c.text, c.start, c.end, c.digest, c.title, c.heading, c.page,
            made[0], made[1], length(made),
        )  # fmt: skip


def insert_vectors(connection: apsw.Connection, space: int, rows: Sequence[int], vectors: NDArray[Any]) -> None:
    """Add a vector per row to a space."""
    values = memoryview(to_blob(vectors))
    size = len(values) // len(rows)
    pairs = ((key(space, row), values[place * size : (place + 1) * size]) for place, row in enumerate(rows))
    connection.executemany("INSERT INTO vectors (key, vector) VALUES (?, ?)", pairs)


def remove_chunks(connection: apsw.Connection, documents: Sequence[str]) -> None:
    """Remove all chunks of some documents from every table."""
    query = "SELECT c.rowid FROM json_each(?) AS d CROSS JOIN chunks AS c ON c.document_id = d.value"
    rows = [row[0] for row in fetch(connection, query, (json.dumps(list(documents)),))]
    if not rows:
        return
    postings.bury(connection, rows)
    for (space,) in fetch(connection, "SELECT id FROM spaces"):
        connection.executemany("DELETE FROM vectors WHERE key = ?", ((key(space, row),) for row in rows))
    connection.executemany("DELETE FROM chunks WHERE rowid = ?", ((row,) for row in rows))


def rebuild_index(connection: apsw.Connection, batch: int = 5_000) -> None:
    """Terms of every chunk from its text, then the whole word index from the terms; stray vectors go."""
    connection.execute("DELETE FROM postings; DELETE FROM segments; DELETE FROM graves")
    seen = fetch(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'graves'")
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('graves_from', ?)", (str(seen[0][0] if seen else 0),))
    last = 0
    while True:
        query = "SELECT rowid, text, title, heading FROM chunks WHERE rowid > ? ORDER BY rowid LIMIT ?"
        found = fetch(connection, query, (last, batch))
        if not found:
            break
        last = int(found[-1][0])
        made = [(label_terms(title, heading), body_terms(text, title)) for _, text, title, heading in found]
        connection.executemany(
            "UPDATE chunks SET label_terms = ?, body_terms = ?, length = ? WHERE rowid = ?",
            ((*terms, length(terms), row[0]) for row, terms in zip(found, made, strict=True)),
        )
        rows = np.array([row[0] for row in found], dtype=np.int64)
        postings.write(connection, rows, pack([label for label, _ in made], [body for _, body in made]))
    connection.execute(
        "DELETE FROM vectors WHERE chunk NOT IN (SELECT rowid FROM chunks) OR space NOT IN (SELECT id FROM spaces)"
    )
    connection.execute(
        "INSERT OR REPLACE INTO meta SELECT 'next_row', max(coalesce((SELECT CAST(value AS INTEGER) FROM meta"
        " WHERE key = 'next_row'), 1), (SELECT coalesce(max(rowid), 0) + 1 FROM chunks))"
    )
