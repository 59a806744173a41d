"""Documents into the tables, many in one transaction: versions, chunks, word index, vectors, sources."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.errors import DataError
from groundtune.store import postings
from groundtune.store.rows import Terms, insert_chunks, insert_vectors, remove_chunks, terms_of
from groundtune.store.schema import fetch
from groundtune.store.spaces import opened, spaces
from groundtune.text.inverted import Packed
from groundtune.types import Chunk, Document


class Entry(Protocol):
    """One document with everything that is stored for it. ``vectors`` has one row per chunk. ``terms`` are the search
    terms per chunk when they were made already, ``space`` names the embedder of the vectors. ``root`` and ``file_digest``
    say which synchronised folder it came from; root ``""`` means none, None leaves it as it was.
    """

    @property
    def document(self) -> Document: ...
    @property
    def chunks(self) -> Sequence[Chunk]: ...
    @property
    def vectors(self) -> NDArray[Any] | None: ...
    @property
    def terms(self) -> Sequence[Terms] | None: ...
    @property
    def space(self) -> str: ...
    @property
    def root(self) -> str | None: ...
    @property
    def file_digest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Plain:
    """A document of which nothing else is known."""

    document: Document
    chunks: Sequence[Chunk]
    vectors: NDArray[Any] | None
    terms: Sequence[Terms] | None = None
    space: str = ""
    root: str | None = None
    file_digest: str = ""


def put(
    connection: apsw.Connection,
    entries: Sequence[Entry],
    now: float,
    index: postings.Segments,
    packed: Packed | None = None,
) -> None:
    """Replace the current versions of documents. ``packed`` are the inverted lists of all their chunks, when made. The
    words are found when ``index`` is closed.

    Raises ``DataError`` for metadata that is not JSON, ``ValueError`` for a number of vectors that is not that of chunks.
    """
    if not entries:
        return
    for entry in entries:
        if entry.vectors is not None and len(entry.vectors) != len(entry.chunks):
            raise ValueError(f"{len(entry.vectors)} vectors for {len(entry.chunks)} chunks of {entry.document.id}")
    ids = [entry.document.id for entry in entries]
    query = "SELECT d.id, d.version, d.metadata FROM json_each(?) AS w CROSS JOIN documents AS d ON d.id = w.value"
    held = {row[0]: (row[1], row[2]) for row in fetch(connection, query, (json.dumps(ids),))}
    _put_versions(connection, entries, held, now)
    remove_chunks(connection, ids)
    # before there are chunks that a new space would lack
    numbers = {name: opened(connection, name).id for name in {e.space for e in entries if e.vectors is not None}}
    chunks = [(ordinal, chunk) for entry in entries for ordinal, chunk in enumerate(entry.chunks)]
    if chunks:
        _lose_wholeness(connection, entries)
        terms: list[Terms] = []
        for entry in entries:
            terms.extend(entry.terms if entry.terms is not None else map(terms_of, entry.chunks))
        first = insert_chunks(connection, chunks, terms, index, packed)
        for name, number in numbers.items():
            _put_vectors(connection, entries, name, number, first)
    _put_sources(connection, entries)


def _lose_wholeness(connection: apsw.Connection, entries: Sequence[Entry]) -> None:
    """A space of which a written chunk has no vector must be filled before it can be relied on."""
    for space in spaces(connection):
        if space.whole and any(
            entry.chunks and (entry.vectors is None or entry.space != space.name) for entry in entries
        ):
            connection.execute("UPDATE spaces SET whole = 0 WHERE id = ?", (space.id,))


def _put_vectors(connection: apsw.Connection, entries: Sequence[Entry], name: str, space: int, first: int) -> None:
    rows: list[int] = []
    values: list[NDArray[Any]] = []
    for entry in entries:
        if entry.vectors is not None and entry.space == name and len(entry.vectors):
            rows.extend(range(first, first + len(entry.chunks)))
            values.append(np.asarray(entry.vectors, dtype=np.float32))
        first += len(entry.chunks)
    if rows:
        insert_vectors(connection, space, rows, np.concatenate(values))


def _put_versions(
    connection: apsw.Connection, entries: Sequence[Entry], held: dict[str, tuple[str, str]], now: float
) -> None:
    documents: list[tuple[str, str, str, int]] = []
    versions: list[tuple[str, str, str, str, float]] = []
    for entry in entries:
        document = entry.document
        version, metadata = _version(entry), to_json(document)
        documents.append((document.id, version, metadata, len(entry.chunks)))
        if held.get(document.id) != (version, metadata):
            versions.append((document.id, version, document.text, metadata, now))
    close = "UPDATE versions SET until = ? WHERE document_id = ? AND until IS NULL"
    connection.executemany(close, ((now, row[0]) for row in versions))
    columns = "(document_id, version, text, metadata, since)"
    connection.executemany(f"INSERT INTO versions {columns} VALUES (?, ?, ?, ?, ?)", versions)
    connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", documents)


def _version(entry: Entry) -> str:
    """Hashing a text again is what the chunks spare us."""
    return entry.chunks[0].version if entry.chunks else entry.document.version


def _put_sources(connection: apsw.Connection, entries: Sequence[Entry]) -> None:
    rows = [(entry.document.id, entry.root, entry.file_digest) for entry in entries if entry.root]
    connection.executemany("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", rows)
    by_hand = [(entry.document.id,) for entry in entries if entry.root == ""]
    connection.executemany("DELETE FROM sources WHERE document_id = ?", by_hand)


def remove(connection: apsw.Connection, ids: Sequence[str], now: float) -> int:
    """Remove documents from the current view; returns how many were there."""
    given = [(document_id,) for document_id in dict.fromkeys(ids)]
    if not given:
        return 0
    before = connection.total_changes()
    connection.executemany("DELETE FROM documents WHERE id = ?", given)
    removed = int(connection.total_changes()) - int(before)
    remove_chunks(connection, [row[0] for row in given])
    connection.executemany("DELETE FROM sources WHERE document_id = ?", given)
    close = "UPDATE versions SET until = ? WHERE document_id = ? AND until IS NULL"
    connection.executemany(close, ((now, *row) for row in given))
    return removed


def to_json(document: Document) -> str:
    """Metadata as it is stored. Raises ``DataError`` for what is not JSON."""
    try:
        return json.dumps(dict(document.metadata), ensure_ascii=False, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError("store.metadata", document=document.id, reason=error) from error
