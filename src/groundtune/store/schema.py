"""The tables of the embedded store and the numbered functions that bring an older file up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import apsw

from groundtune.errors import StoreError

BUSY_MILLISECONDS = 30_000
CACHE_KIBIBYTES = 32_768
# Of new files. A chunk with its terms takes two to three kibibytes: pages of four would stay half empty.
PAGE = 8_192
CHECKPOINT_BYTES = 16_000_000


def _to_1(connection: apsw.Connection) -> None:
    """First tables. ``chunks`` keeps its search terms, so that the lexical index can be checked against them and
    deleted from exactly; ``versions`` keeps every text that was ever current.
    """
    connection.execute(
        """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE documents (
            id TEXT PRIMARY KEY, version TEXT NOT NULL, metadata TEXT NOT NULL, chunk_count INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE versions (
            seq INTEGER PRIMARY KEY, document_id TEXT NOT NULL, version TEXT NOT NULL, text TEXT NOT NULL,
            metadata TEXT NOT NULL, since REAL NOT NULL, until REAL
        );
        CREATE INDEX versions_by_document ON versions (document_id, version);
        CREATE TABLE chunks (
            rowid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, document_id TEXT NOT NULL, ordinal INTEGER NOT NULL,
            version TEXT NOT NULL, text TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
            digest TEXT NOT NULL, title TEXT NOT NULL, heading TEXT NOT NULL, page INTEGER,
            label_terms TEXT NOT NULL, body_terms TEXT NOT NULL, length INTEGER NOT NULL
        );
        CREATE INDEX chunks_by_document ON chunks (document_id, ordinal);
        CREATE TABLE vectors (chunk INTEGER PRIMARY KEY, vector BLOB NOT NULL);
        CREATE TABLE sources (
            document_id TEXT PRIMARY KEY, root TEXT NOT NULL, file_digest TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX sources_by_root ON sources (root);
        CREATE VIRTUAL TABLE lexical USING fts5(
            label_terms, body_terms, content='chunks', content_rowid='rowid', tokenize='ascii'
        );
        CREATE VIRTUAL TABLE lexical_terms USING fts5vocab(lexical, col);
        """
    )


def _to_2(connection: apsw.Connection) -> None:
    """Our own word index instead of FTS5 (writing was slow, ranking frequent terms slower), one table of vectors per
    embedder, and row numbers of chunks that are never used twice. The index is filled by the store when it opens.
    """
    connection.execute(
        """
        DROP TABLE lexical_terms;
        DROP TABLE lexical;
        CREATE TABLE segments (
            id INTEGER PRIMARY KEY AUTOINCREMENT, chunks INTEGER NOT NULL, rows BLOB NOT NULL, lengths BLOB NOT NULL
        );
        CREATE TABLE postings (
            segment INTEGER NOT NULL, term TEXT NOT NULL, packed BLOB NOT NULL, PRIMARY KEY (segment, term)
        ) WITHOUT ROWID;
        CREATE TABLE graves (seq INTEGER PRIMARY KEY AUTOINCREMENT, chunk INTEGER NOT NULL);
        CREATE INDEX graves_by_chunk ON graves (chunk);
        CREATE TABLE spaces (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, whole INTEGER NOT NULL);
        ALTER TABLE vectors RENAME TO old_vectors;
        CREATE TABLE vectors (
            key INTEGER PRIMARY KEY, vector BLOB NOT NULL,
            space INTEGER GENERATED ALWAYS AS (key >> 40) VIRTUAL,
            chunk INTEGER GENERATED ALWAYS AS (key & 1099511627775) VIRTUAL
        );
        """
    )
    held = fetch(connection, "SELECT value FROM meta WHERE key = 'recipe'")
    name = str(held[0][0]).rpartition("|")[2] if held else ""
    connection.execute("INSERT INTO spaces (name, whole) SELECT ?, 1 WHERE EXISTS (SELECT * FROM old_vectors)", (name,))
    connection.execute("INSERT INTO vectors (key, vector) SELECT (1 << 40) | chunk, vector FROM old_vectors")
    connection.execute("DROP TABLE old_vectors")
    connection.execute("INSERT INTO meta SELECT 'next_row', coalesce(max(rowid), 0) + 1 FROM chunks")


# Position n holds the step from schema n to n + 1. Never edit a published step; append one.
MIGRATIONS: tuple[Callable[[apsw.Connection], None], ...] = (_to_1, _to_2)


def fetch(connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return cast("list[tuple[Any, ...]]", connection.execute(sql, tuple(bindings)).fetchall())


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Database errors become ``StoreError`` sentences that name the file."""
    try:
        yield
    except (apsw.CorruptError, apsw.NotADBError, apsw.FormatError) as error:
        raise StoreError("store.damaged", path=path, reason=error) from error
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreError("store.busy", path=path) from error
    except apsw.FullError as error:
        raise StoreError("store.full", path=path) from error
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, apsw.IOError) as error:
        raise StoreError("store.unwritable", path=path, reason=error) from error
    except apsw.Error as error:
        raise StoreError("store.damaged", path=path, reason=error) from error


def connect(path: Path) -> apsw.Connection:
    """Open (and create or migrate) the database file. Call inside ``guarded``.

    Raises ``StoreError`` when the file was made by a newer version.
    """
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        connection.execute(
            f"PRAGMA page_size = {PAGE}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            f"PRAGMA cache_size = -{CACHE_KIBIBYTES}; PRAGMA wal_autocheckpoint = {CHECKPOINT_BYTES // PAGE}"
        )
        if _version(connection) < len(MIGRATIONS):
            migrate(connection)
        found = _version(connection)
        if found > len(MIGRATIONS):
            raise StoreError("store.newer", path=path, found=found, known=len(MIGRATIONS))
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: apsw.Connection) -> None:
    """Run the missing steps in one transaction; a crash leaves the old schema whole."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(_version(connection), len(MIGRATIONS)):
            MIGRATIONS[number](connection)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: apsw.Connection) -> int:
    return int(fetch(connection, "PRAGMA user_version")[0][0])
