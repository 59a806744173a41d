"""The embedded store: one SQLite file (apsw, WAL, ``synchronous=FULL``) that holds documents, every version of their
text, chunks, search terms and vectors. One transaction changes all of them or none.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.errors import DataError, StoreError
from groundtune.ports import Filter
from groundtune.store.filters import allowed_rows, condition
from groundtune.store.fusion import fuse
from groundtune.store.inspect import Inspection, inspect, rebuild_lexical
from groundtune.store.lexical import LexicalSearch
from groundtune.store.rows import CHUNK_COLUMNS, TERMS, insert_chunk, remove_chunks, to_chunk
from groundtune.store.schema import connect, fetch, guarded
from groundtune.store.vectors import Generation, VectorScan
from groundtune.types import Chunk, Document, Hit

FILE_NAME = "knowledge.db"
DENSE_CANDIDATES = 100


class Entry(Protocol):
    """One document with everything that is stored for it. ``vectors`` has one row per chunk. ``root`` and
    ``file_digest`` say which synchronised folder it came from; root ``""`` means none, None leaves it as it was.
    """

    @property
    def document(self) -> Document: ...
    @property
    def chunks(self) -> Sequence[Chunk]: ...
    @property
    def vectors(self) -> NDArray[Any] | None: ...
    @property
    def root(self) -> str | None: ...
    @property
    def file_digest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Plain:
    document: Document
    chunks: Sequence[Chunk]
    vectors: NDArray[Any] | None
    root: str | None = None
    file_digest: str = ""


class SqliteStore:
    """Implements ``ports.Store``. Safe to use from several threads and several processes."""

    def __init__(self, folder: str | Path) -> None:
        """Open the store in ``folder``; makes both when missing. Raises ``StoreError``."""
        self.path = Path(folder) / FILE_NAME
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError("store.unwritable", path=self.path, reason=error) from error
        with guarded(self.path):
            self._connection = connect(self.path)
        self._lock = threading.RLock()
        self._writes = 0
        self._lexical = LexicalSearch()
        self._dense = VectorScan()
        self._follow_terms()

    # -- writing ---------------------------------------------------------------------------------------------------

    def upsert(self, document: Document, chunks: Sequence[Chunk], vectors: NDArray[Any] | None) -> None:
        """Replace the current version of a document, its chunks and vectors; visible when this returns."""
        self.apply([_Plain(document, chunks, vectors)])

    def apply(self, entries: Sequence[Entry], deleted: Sequence[str] = ()) -> int:
        """Write ``entries`` and remove ``deleted`` in one transaction; returns how many of ``deleted`` were there."""
        now = time.time()
        with self._write() as connection:
            removed = sum(self._remove(connection, document_id, now) for document_id in dict.fromkeys(deleted))
            for entry in entries:
                self._put(connection, entry, now)
        return removed

    def delete(self, ids: Sequence[str]) -> int:
        """Remove documents from the current view (their versions stay); returns how many were there."""
        return self.apply((), ids)

    def set_meta(self, key: str, value: str) -> None:
        with self._write() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def set_sources(self, root: str, digests: Mapping[str, str]) -> None:
        """Record that documents came from files under ``root`` (for documents whose text did not change)."""
        with self._write() as connection:
            rows = ((document_id, root, value) for document_id, value in digests.items())
            connection.executemany("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", rows)

    def _put(self, connection: apsw.Connection, entry: Entry, now: float) -> None:
        document, chunks = entry.document, entry.chunks
        version, metadata = document.version, _to_json(document)
        if entry.vectors is not None and len(entry.vectors) != len(chunks):
            raise ValueError(f"{len(entry.vectors)} vectors for {len(chunks)} chunks of {document.id}")
        held = fetch(connection, "SELECT version, metadata FROM documents WHERE id = ?", (document.id,))
        if held != [(version, metadata)]:
            close = "UPDATE versions SET until = ? WHERE document_id = ? AND until IS NULL"
            connection.execute(close, (now, document.id))
            connection.execute(
                "INSERT INTO versions (document_id, version, text, metadata, since) VALUES (?, ?, ?, ?, ?)",
                (document.id, version, document.text, metadata, now),
            )
        row = (document.id, version, metadata, len(chunks))
        connection.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", row)
        remove_chunks(connection, document.id)
        for ordinal, chunk in enumerate(chunks):
            vector = None if entry.vectors is None else np.asarray(entry.vectors[ordinal])
            insert_chunk(connection, chunk, ordinal, vector)
        if entry.root:
            source = (document.id, entry.root, entry.file_digest)
            connection.execute("INSERT OR REPLACE INTO sources VALUES (?, ?, ?)", source)
        elif entry.root is not None:
            connection.execute("DELETE FROM sources WHERE document_id = ?", (document.id,))

    def _remove(self, connection: apsw.Connection, document_id: str, now: float) -> int:
        connection.execute("DELETE FROM documents WHERE id = ?", (document_id,))
        found = connection.changes()
        remove_chunks(connection, document_id)
        connection.execute("DELETE FROM sources WHERE document_id = ?", (document_id,))
        close = "UPDATE versions SET until = ? WHERE document_id = ? AND until IS NULL"
        connection.execute(close, (now, document_id))
        return found

    # -- reading ---------------------------------------------------------------------------------------------------

    def search(self, text: str, vector: NDArray[Any] | None, k: int, filter: Filter | None = None) -> list[Hit]:
        """Best ``k`` chunks of current versions, best first. With a vector, the lexical and the dense order are
        fused (reciprocal ranks). ``filter`` compares metadata values; the key ``document_id`` compares the id.
        """
        if k <= 0:
            return []
        with self._read() as connection:
            generation = self._generation(connection)
            wanted = condition(filter)
            if vector is None:
                lexical = self._lexical.best(connection, generation, text, k, wanted)
                return self._hits(connection, [(row, score, score, None) for row, score in lexical])
            rows = allowed_rows(connection, wanted)
            count = max(DENSE_CANDIDATES, 2 * k)
            lexical = self._lexical.best(connection, generation, text, count, wanted)
            dense = self._dense.best(connection, generation, vector, count, rows)
            return self._hits(connection, fuse(lexical, dense)[:k])

    def digests(self) -> dict[str, str]:
        """Current version by document id."""
        with self._read() as connection:
            return dict(fetch(connection, "SELECT id, version FROM documents ORDER BY id"))

    def document_ids(self) -> list[str]:
        """Ids of all current documents, sorted."""
        return list(self.digests())

    def document(self, document_id: str) -> Document | None:
        """The current version of a document, None when there is none."""
        with self._read() as connection:
            rows = fetch(
                connection,
                "SELECT text, metadata FROM versions WHERE document_id = ? AND until IS NULL",
                (document_id,),
            )
        return Document(document_id, rows[0][0], json.loads(rows[0][1])) if rows else None

    def text(self, document_id: str, version: str | None = None) -> str | None:
        """Text of the current version, or of any version that was ever stored; None when there is none."""
        with self._read() as connection:
            which, values = ("until IS NULL", ()) if version is None else ("version = ?", (version,))
            query = f"SELECT text FROM versions WHERE document_id = ? AND {which} ORDER BY seq DESC LIMIT 1"
            rows = fetch(connection, query, (document_id, *values))
        return str(rows[0][0]) if rows else None

    def chunks(self, document_id: str) -> list[Chunk]:
        """Chunks of the current version in the order of the text."""
        with self._read() as connection:
            query = f"SELECT {CHUNK_COLUMNS} FROM chunks WHERE document_id = ? ORDER BY ordinal"
            return [to_chunk(row) for row in fetch(connection, query, (document_id,))]

    def vectors(self, document_id: str) -> dict[str, NDArray[np.float32]]:
        """Stored vectors of a document's chunks by chunk id."""
        with self._read() as connection:
            query = (
                "SELECT c.id, v.vector FROM chunks AS c JOIN vectors AS v ON v.chunk = c.rowid WHERE document_id = ?"
            )
            return {row[0]: np.frombuffer(row[1], dtype="<f4") for row in fetch(connection, query, (document_id,))}

    def get_meta(self, key: str, default: str = "") -> str:
        with self._read() as connection:
            rows = fetch(connection, "SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else default

    def sources(self, root: str) -> dict[str, str]:
        """File digest by document id, of the documents that were synchronised from ``root``."""
        with self._read() as connection:
            query = "SELECT document_id, file_digest FROM sources WHERE root = ?"
            return dict(fetch(connection, query, (root,)))

    def inspect(self) -> Inspection:
        """Check the tables against each other (see ``Inspection``). Reads everything; writers wait meanwhile."""
        with self._write() as connection:
            return inspect(connection)

    def rebuild_lexical(self) -> None:
        """Make the lexical index and the stored terms again from the stored chunks."""
        with self._write() as connection:
            rebuild_lexical(connection)

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        with self._lock, guarded(self.path):
            self._connection.close()

    def _follow_terms(self) -> None:
        """Terms that an older tokeniser made are made again: a query would not find them."""
        held = self.get_meta("terms")
        if held == TERMS:
            return
        if held:
            self.rebuild_lexical()
        self.set_meta("terms", TERMS)

    def _hits(
        self, connection: apsw.Connection, ranked: Sequence[tuple[int, float, float | None, float | None]]
    ) -> list[Hit]:
        marks = ",".join("?" * len(ranked))
        query = f"SELECT rowid, {CHUNK_COLUMNS} FROM chunks WHERE rowid IN ({marks})"
        found = {row[0]: to_chunk(row[1:]) for row in fetch(connection, query, tuple(row for row, *_ in ranked))}
        return [Hit(found[row], score, lexical, dense) for row, score, lexical, dense in ranked]

    def _generation(self, connection: apsw.Connection) -> Generation:
        """Changes whenever this or any other connection has committed: in-memory copies are made again then."""
        return int(connection.pragma("data_version")), self._writes

    @contextmanager
    def _read(self) -> Iterator[apsw.Connection]:
        """One consistent snapshot over several statements."""
        with self._lock, guarded(self.path):
            connection = self._connection
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def _write(self) -> Iterator[apsw.Connection]:
        """One transaction: everything or nothing."""
        with self._lock, guarded(self.path):
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            finally:
                self._writes += 1


def _to_json(document: Document) -> str:
    try:
        return json.dumps(dict(document.metadata), ensure_ascii=False, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError("store.metadata", document=document.id, reason=error) from error


def open_store(path: str | Path) -> SqliteStore:
    """Factory of the ``sqlite:`` provider: the store in a folder."""
    return SqliteStore(path)
