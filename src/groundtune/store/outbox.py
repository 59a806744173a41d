"""Which documents the outer store has not heard of yet: a table of the record, written in the same transaction as the
documents themselves.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from groundtune.errors import StoreError
from groundtune.store.schema import fetch

LOCK_NAME = "sending.lock"
# One process sends at a time: otherwise an older state could overtake a newer one. Others wait this long.
_WAIT_MILLISECONDS = 120_000
_DOCUMENTS, _CHUNKS = 200, 2_000

Session = Callable[[], AbstractContextManager[apsw.Connection]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents to be sent together, with the numbers of their notes."""

    seqs: tuple[int, ...]
    ids: tuple[str, ...]


class Outbox:
    """The notes of one record."""

    def __init__(self, folder: Path, read: Session, write: Session) -> None:
        self._lock = folder / LOCK_NAME
        self._read, self._write = read, write
        self._thread, self._held = threading.RLock(), 0
        with write() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE)"
            )

    def note(self, connection: apsw.Connection, ids: Sequence[str]) -> None:
        """These documents have changed or gone; call it in the transaction that changes them. A newer note takes the
        place of an older one.
        """
        connection.executemany("INSERT OR REPLACE INTO outbox (id) VALUES (?)", ((one,) for one in ids))

    def note_all(self, connection: apsw.Connection) -> None:
        """Every document must be sent."""
        connection.execute("INSERT OR REPLACE INTO outbox (id) SELECT id FROM documents ORDER BY id")

    def next(self) -> Batch | None:
        """The oldest notes, about as many as make one request; None when there are none."""
        query = (
            "SELECT o.seq, o.id, (SELECT chunk_count FROM documents AS d WHERE d.id = o.id) FROM outbox AS o"
            " ORDER BY o.seq LIMIT ?"
        )
        with self._read() as connection:
            rows = fetch(connection, query, (_DOCUMENTS,))
        seqs: list[int] = []
        ids: list[str] = []
        chunks = 0
        for seq, document_id, count in rows:
            chunks += count or 0
            if ids and chunks > _CHUNKS:
                break
            seqs.append(seq)
            ids.append(document_id)
        return Batch(tuple(seqs), tuple(ids)) if ids else None

    def done(self, batch: Batch) -> None:
        """Forget notes whose documents were sent; what was noted again meanwhile stays."""
        with self._write() as connection:
            query = "DELETE FROM outbox WHERE seq IN (SELECT value FROM json_each(?))"
            connection.execute(query, (json.dumps(list(batch.seqs)),))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only sender, among all processes; it may be asked for again inside. A lock of SQLite goes with the
        process that holds it, however it ends. Raises ``StoreError`` when another one sends for too long.
        """
        with self._thread:
            if self._held:
                yield
                return
            with closing(apsw.Connection(str(self._lock))) as connection:
                connection.set_busy_timeout(_WAIT_MILLISECONDS)
                try:
                    connection.execute("BEGIN EXCLUSIVE")
                except (apsw.BusyError, apsw.LockedError) as error:
                    raise StoreError("store.busy", path=self._lock) from error
                self._held += 1
                try:
                    yield
                finally:
                    self._held -= 1
                    connection.execute("ROLLBACK")


def pending(connection: apsw.Connection) -> int:
    """How many documents the outer store has not heard of."""
    return int(fetch(connection, "SELECT count(*) FROM outbox")[0][0])
