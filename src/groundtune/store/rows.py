"""Chunks as rows: how they go into the tables and the lexical index and come back."""

from __future__ import annotations

from typing import Any

import apsw
from numpy.typing import NDArray

from groundtune.store.schema import fetch
from groundtune.store.vectors import to_blob
from groundtune.text.normalise import squeeze
from groundtune.text.tokenise import search_terms
from groundtune.types import Chunk

# Raise the number whenever ``search_terms`` makes other terms: stores rebuild their index when they are opened.
TERMS = "1"
CHUNK_COLUMNS = "id, document_id, version, text, start, end, digest, title, heading, page"


def to_chunk(row: tuple[Any, ...]) -> Chunk:
    """A ``Chunk`` from the values of ``CHUNK_COLUMNS``."""
    return Chunk(*row)


def body_terms(text: str, title: str) -> str:
    """Search terms of a chunk's text, joined by spaces. A first line that is the document's title is left out: every
    chunk has the title in its label, and the opening chunk would win each query that names the document.
    """
    first, _, rest = text.partition("\n")
    repeats = first.startswith("#") and squeeze(first.lstrip("#")) == title
    return " ".join(search_terms(rest if repeats else text))


def label_terms(title: str, heading: str) -> str:
    """Search terms of title and heading, joined by spaces."""
    return " ".join(search_terms(f"{title} {heading}" if heading != title else title))


def insert_chunk(connection: apsw.Connection, chunk: Chunk, ordinal: int, vector: NDArray[Any] | None) -> None:
    """Add a chunk to ``chunks``, ``lexical`` and ``vectors``."""
    label, body = label_terms(chunk.title, chunk.heading), body_terms(chunk.text, chunk.title)
    connection.execute(
        "INSERT INTO chunks (id, document_id, ordinal, version, text, start, end, digest, title, heading, page,"
        " label_terms, body_terms, length) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            chunk.id, chunk.document_id, ordinal, chunk.version, chunk.text, chunk.start, chunk.end, chunk.digest,
            chunk.title, chunk.heading, chunk.page, label, body, body.count(" ") + 1 if body else 0,
        ),
    )  # fmt: skip
    row = connection.last_insert_rowid()
    connection.execute("INSERT INTO lexical (rowid, label_terms, body_terms) VALUES (?, ?, ?)", (row, label, body))
    if vector is not None:
        connection.execute("INSERT INTO vectors VALUES (?, ?)", (row, to_blob(vector)))


def remove_chunks(connection: apsw.Connection, document_id: str) -> None:
    """Remove all chunks of a document from every table. FTS5 needs the indexed values to delete from its index."""
    query = "SELECT rowid, label_terms, body_terms FROM chunks WHERE document_id = ?"
    for row, label, body in fetch(connection, query, (document_id,)):
        forget = "INSERT INTO lexical (lexical, rowid, label_terms, body_terms) VALUES ('delete', ?, ?, ?)"
        connection.execute(forget, (row, label, body))
        connection.execute("DELETE FROM vectors WHERE chunk = ?", (row,))
    connection.execute("DELETE FROM chunks WHERE document_id = ?", (document_id,))
