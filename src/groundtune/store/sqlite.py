"""The embedded store: one SQLite file (apsw, WAL, ``synchronous=FULL``) that holds documents, every version of their
text, chunks, search terms and vectors. One transaction changes all of them or none.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.errors import StoreError
from groundtune.ports import Filter
from groundtune.store.filters import AllowedRows, condition
from groundtune.store.fusion import EVEN, fuse
from groundtune.store.history import History
from groundtune.store.inspect import Inspection, inspect
from groundtune.store.lexical import LexicalSearch
from groundtune.store.listing import Listed, listed
from groundtune.store.live import Generation
from groundtune.store.postings import Segments
from groundtune.store.rows import CHUNK_COLUMNS, TERMS, rebuild_index, to_chunk
from groundtune.store.schema import connect, fetch, guarded
from groundtune.store.spaces import Space, Wanted, fill, find, missing, opened, spaces, take_over, wanted
from groundtune.store.vectors import VectorScan
from groundtune.store.writing import Entry, Plain, put, remove
from groundtune.text.inverted import Packed
from groundtune.types import Chunk, Document, Fusion, Hit

FILE_NAME = "knowledge.db"
BOUND = "outer"  # key of the setting that names the store which is kept up to date
DENSE_CANDIDATES = 100
_QUALIFIED = ", ".join(f"c.{name}" for name in CHUNK_COLUMNS.split(", "))


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
        self.history = History(self.path, self._read, self._write)
        self._allowed = AllowedRows()
        self._follow_terms()

    # -- writing ---------------------------------------------------------------------------------------------------

    def upsert(self, document: Document, chunks: Sequence[Chunk], vectors: NDArray[Any] | None) -> None:
        """Replace the current version of a document, its chunks and vectors; visible when this returns."""
        self.apply([Plain(document, chunks, vectors)])

    def apply(self, entries: Sequence[Entry], deleted: Sequence[str] = (), packed: Packed | None = None) -> int:
        """Write ``entries`` and remove ``deleted`` in one transaction; returns how many of ``deleted`` were there.
        ``packed`` are the inverted lists of all chunks of ``entries``, when they were made already.
        """
        return self.apply_all([(entries, packed)], deleted)

    def apply_all(self, batches: Iterable[tuple[Sequence[Entry], Packed | None]], deleted: Sequence[str] = ()) -> int:
        """``apply`` for more than should be in memory at once: each batch is written when it comes, all in one
        transaction. Nothing is changed when ``batches`` raises.
        """
        now = time.time()
        with self._write() as connection:
            index = Segments(connection)
            removed = remove(connection, deleted, now)
            for entries, packed in batches:
                put(connection, entries, now, index, packed)
            index.close()
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

    # -- reading ---------------------------------------------------------------------------------------------------

    def search(
        self,
        text: str,
        vector: NDArray[Any] | None,
        k: int,
        filter: Filter | None = None,
        *,
        space: str = "",
        fusion: Fusion = EVEN,
    ) -> list[Hit]:
        """Best ``k`` chunks of current versions, best first. With a vector (of the embedder that ``space`` names), the
        lexical and the dense order are fused (weighted reciprocal ranks). ``filter`` compares metadata values; the key
        ``document_id`` compares the id.
        """
        if k <= 0:
            return []
        with self._read() as connection:
            generation = self._generation(connection)
            rows = self._allowed.of(connection, generation, condition(filter))
            found = None if vector is None or not fusion.dense else find(connection, space)
            if found is None or vector is None:
                lexical = self._lexical.best(connection, generation, text, k, rows)
                return self._hits(connection, [(row, score, score, None) for row, score in lexical])
            count = max(DENSE_CANDIDATES, 2 * k)
            lexical = []
            if fusion.lexical:
                lexical = self._lexical.best(connection, generation, text, count, rows, look=2 * k)
            dense = self._dense.best(connection, generation, found.id, vector, count, rows)
            return self._hits(connection, fuse(lexical, dense, fusion)[:k])

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

    def vectors(self, document_id: str, space: str = "") -> dict[str, NDArray[np.float32]]:
        """Stored vectors of a document's chunks by chunk id."""
        with self._read() as connection:
            query = (
                "SELECT c.id, v.vector FROM spaces AS s CROSS JOIN chunks AS c"
                " JOIN vectors AS v ON v.key = (s.id << 40 | c.rowid) WHERE c.document_id = ? AND s.name = ?"
            )
            rows = fetch(connection, query, (document_id, space))
            return {row[0]: np.frombuffer(row[1], dtype="<f4") for row in rows}

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
            rebuild_index(connection)

    def listing(self, space: str = "") -> list[Listed]:
        """All current documents by id; with ``space``, how many of their chunks have no vector there."""
        with self._read() as connection:
            return listed(connection, find(connection, space) if space else None, bool(space))

    # -- vector spaces ---------------------------------------------------------------------------------------------

    def spaces(self) -> list[Space]:
        """The embedders that there are vectors of, oldest first."""
        with self._read() as connection:
            return spaces(connection)

    def without_vector(self, space: str, after: int, limit: int) -> list[Wanted]:
        """Up to ``limit`` chunks beyond row ``after`` that have no vector in a space, which is made when missing."""
        with self._write() as connection:
            return wanted(connection, opened(connection, space), after, limit)

    def missing(self, space: str) -> int:
        """How many chunks have no vector in a space."""
        with self._read() as connection:
            held = find(connection, space)
            query = "SELECT count(*) FROM chunks"
            return missing(connection, held) if held else int(fetch(connection, query)[0][0])

    def fill(self, space: str, rows: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Add vectors of chunks (their rows) to a space."""
        with self._write() as connection:
            fill(connection, opened(connection, space), rows, vectors)

    def take_over(self, space: str) -> bool:
        """Make a space the only one; False (and nothing changed) when it lacks vectors."""
        with self._write() as connection:
            return take_over(connection, opened(connection, space))

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
        query = f"SELECT c.rowid, {_QUALIFIED} FROM json_each(?) AS w CROSS JOIN chunks AS c ON c.rowid = w.value"
        rows = fetch(connection, query, (json.dumps([row for row, *_ in ranked]),))
        found = {row[0]: to_chunk(row[1:]) for row in rows}
        return [Hit(found[row], score, lexical, dense) for row, score, lexical, dense in ranked if row in found]

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


def open_store(path: str | Path, outer: str = "", told: Callable[[int, int, str], None] | None = None) -> SqliteStore:
    """Factory of the ``sqlite:`` provider: the store in a folder; with ``outer`` (a spec) searched by that store."""
    if outer:
        from groundtune.store.binding import open_mirrored

        return open_mirrored(path, outer, told)
    store = SqliteStore(path)
    if store.get_meta(BOUND):  # from now on the other store does not hear of changes
        store.set_meta(BOUND, "")
    return store
