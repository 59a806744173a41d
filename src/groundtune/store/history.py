"""Every version of every document: who may see which, what can be dropped, and a copy to look back from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from groundtune.store.filters import Condition, visible_to
from groundtune.store.schema import BUSY_MILLISECONDS, fetch, guarded

Session = Callable[[], AbstractContextManager[apsw.Connection]]
_COLUMNS = "v.seq, v.document_id, v.version, v.metadata, v.since, v.until, length(v.text)"


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A stored version without its text. ``since`` and ``until`` are Unix seconds of when it became and ceased to be
    the current one (None: it still is); ``characters`` is the length of its text.
    """

    seq: int
    document_id: str
    version: str
    metadata: Mapping[str, Any]
    since: float
    until: float | None
    characters: int


class History:
    """The ``versions`` table of one store. ``labels`` None means a reader who may see everything."""

    def __init__(self, path: Path, read: Session, write: Session) -> None:
        self._path = path
        self._read = read
        self._write = write

    def rows(self, document_id: str | None = None, labels: Sequence[str] | None = None) -> list[VersionRow]:
        """Versions of one document (or all), oldest first. A reader must be let in by the labels of the version and
        by those of the document's last version: what is restricted today is restricted in its past.
        """
        clause, bindings = _seen(labels)
        one, which = ("AND v.document_id = ?", (document_id,)) if document_id is not None else ("", ())
        query = f"SELECT {_COLUMNS} FROM versions AS v WHERE true {one} {clause} ORDER BY v.seq"
        with self._read() as connection:
            return [_row(values) for values in fetch(connection, query, (*which, *bindings))]

    def text(self, document_id: str, version: str | None, labels: Sequence[str] | None = None) -> str | None:
        """Text of the current version (``version`` None) or of any stored one, None when there is none or when it is
        not for this reader.
        """
        which, values = ("v.until IS NULL", ()) if version is None else ("v.version = ?", (version,))
        clause, bindings = _seen(labels)
        newest = "v.seq = (SELECT max(seq) FROM versions WHERE document_id = v.document_id AND version = v.version)"
        query = f"SELECT v.text FROM versions AS v WHERE v.document_id = ? AND {which} AND {newest} {clause}"
        with self._read() as connection:
            rows = fetch(connection, query, (document_id, *values, *bindings))
        return str(rows[0][0]) if rows else None

    def text_at(self, seq: int) -> str:
        """Text of one row."""
        with self._read() as connection:
            return str(fetch(connection, "SELECT text FROM versions WHERE seq = ?", (seq,))[0][0])

    def visible(self, labels: Sequence[str]) -> frozenset[str]:
        """Ids of the current documents that a reader may see."""
        clause, bindings = visible_to(labels)
        with self._read() as connection:
            return frozenset(row[0] for row in fetch(connection, f"SELECT id FROM documents WHERE {clause}", bindings))

    def drop(self, rows: Sequence[VersionRow]) -> int:
        """Remove superseded versions; a row that is current is left alone. Returns how many went."""
        with self._write() as connection:
            before = connection.total_changes()
            query = "DELETE FROM versions WHERE seq = ? AND until IS NOT NULL"
            connection.executemany(query, [(row.seq,) for row in rows])
            return int(connection.total_changes()) - int(before)

    def shrink(self) -> None:
        """Give the space of dropped versions back to the disk; leaves the file as it is while others use it."""
        with guarded(self._path), closing(self._open()) as connection:
            try:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except (apsw.BusyError, apsw.LockedError):
                return

    def copy_to(self, folder: Path) -> None:
        """A consistent copy of the whole file in another folder, taken while others may go on reading and writing."""
        path = folder / self._path.name
        with guarded(path), closing(self._open()) as source, closing(apsw.Connection(str(path))) as target:
            with target.backup("main", source, "main") as backup:
                while not backup.done:
                    backup.step(-1)
            target.execute("PRAGMA journal_mode = DELETE")

    def _open(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path))
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        return connection


def _seen(labels: Sequence[str] | None) -> Condition:
    if labels is None:
        return "", ()
    own, first = visible_to(labels, "v.document_id", "v.metadata")
    last, second = visible_to(labels, "n.document_id", "n.metadata")
    newest = "SELECT max(seq) FROM versions WHERE document_id = v.document_id"
    clause = f"AND {own} AND EXISTS (SELECT 1 FROM versions AS n WHERE n.seq = ({newest}) AND {last})"
    return clause, (*first, *second)


def _row(values: tuple[Any, ...]) -> VersionRow:
    seq, document_id, version, metadata, since, until, characters = values
    return VersionRow(seq, document_id, version, json.loads(metadata), since, until, characters)
