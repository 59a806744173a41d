"""Compares the tables of a store with each other and with the stored text: finds drift, names the documents."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from groundtune.store.rows import body_terms, label_terms
from groundtune.store.schema import fetch
from groundtune.types import digest


@dataclass(frozen=True, slots=True)
class Inspection:
    """Document ids by kind of drift; all empty when the store is sound.

    ``text``: the current text is missing or does not have the recorded version (cannot be rebuilt).
    ``chunks``: rows that are missing, left over, out of date or not ``text[start:end]``.
    ``terms``: stored search terms that the current tokeniser would not make.
    ``vectors``: some chunks of a document have vectors and some do not, or a vector without a chunk (id ``""``).
    ``lexical``: the FTS5 index does not hold exactly the stored terms. ``file``: damage that SQLite itself reports.
    """

    documents: int = 0
    chunk_count: int = 0
    text: tuple[str, ...] = ()
    chunks: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()
    lexical: bool = False
    file: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return not (self.text or self.chunks or self.terms or self.vectors or self.lexical or self.file)


def inspect(connection: apsw.Connection) -> Inspection:
    """Read everything and report. Changes nothing."""
    damage = [str(row[0]) for row in fetch(connection, "PRAGMA integrity_check") if row[0] != "ok"]
    text: set[str] = set()
    chunks: set[str] = set()
    terms: set[str] = set()
    documents = fetch(connection, "SELECT id, version, chunk_count FROM documents")
    for document_id, version, count in documents:
        rows = fetch(connection, "SELECT text FROM versions WHERE document_id = ? AND until IS NULL", (document_id,))
        if len(rows) != 1 or digest(rows[0][0]) != version:
            text.add(document_id)
            continue
        _check_chunks(connection, document_id, version, count, rows[0][0], chunks, terms)
    known = {row[0] for row in documents}
    stray = {row[0] for row in fetch(connection, "SELECT DISTINCT document_id FROM chunks")} - known
    return Inspection(
        documents=len(documents),
        chunk_count=int(fetch(connection, "SELECT count(*) FROM chunks")[0][0]),
        text=tuple(sorted(text)),
        chunks=tuple(sorted(chunks | stray)),
        terms=tuple(sorted(terms)),
        vectors=tuple(sorted(_vector_drift(connection))),
        lexical=_lexical_drift(connection),
        file=tuple(damage),
    )


def _check_chunks(
    connection: apsw.Connection,
    document_id: str,
    version: str,
    count: int,
    text: str,
    chunks: set[str],
    terms: set[str],
) -> None:
    rows = fetch(
        connection,
        "SELECT version, text, start, end, digest, title, heading, label_terms, body_terms FROM chunks"
        " WHERE document_id = ?",
        (document_id,),
    )
    if len(rows) != count:
        chunks.add(document_id)
    for held, body, start, end, fingerprint, title, heading, label, words in rows:
        if held != version or text[start:end] != body or digest(body) != fingerprint:
            chunks.add(document_id)
        elif words != body_terms(body, title) or label != label_terms(title, heading):
            terms.add(document_id)


def _vector_drift(connection: apsw.Connection) -> set[str]:
    """Documents with some vectors missing while the store holds vectors at all."""
    drift: set[str] = set()
    if not fetch(connection, "SELECT count(*) FROM vectors")[0][0]:
        return drift
    missing = "SELECT DISTINCT document_id FROM chunks WHERE rowid NOT IN (SELECT chunk FROM vectors)"
    drift.update(row[0] for row in fetch(connection, missing))
    stray = "SELECT count(*) FROM vectors WHERE chunk NOT IN (SELECT rowid FROM chunks)"
    if fetch(connection, stray)[0][0]:
        drift.add("")
    return drift


def _lexical_drift(connection: apsw.Connection) -> bool:
    """FTS5's own check of its index against the table it indexes (rank 1: compare with the content)."""
    connection.execute("SAVEPOINT lexical_check")
    try:
        connection.execute("INSERT INTO lexical (lexical, rank) VALUES ('integrity-check', 1)")
    except apsw.CorruptError:
        return True
    finally:
        connection.execute("ROLLBACK TO lexical_check")
        connection.execute("RELEASE lexical_check")
    return False


def rebuild_lexical(connection: apsw.Connection) -> None:
    """Terms of every chunk from its text, then the whole index from the terms; stray vectors go."""
    rows = fetch(connection, "SELECT rowid, text, title, heading FROM chunks")
    for row, text, title, heading in rows:
        body = body_terms(text, title)
        values = (label_terms(title, heading), body, body.count(" ") + 1 if body else 0, row)
        connection.execute("UPDATE chunks SET label_terms = ?, body_terms = ?, length = ? WHERE rowid = ?", values)
    connection.execute("INSERT INTO lexical (lexical) VALUES ('rebuild')")
    connection.execute("DELETE FROM vectors WHERE chunk NOT IN (SELECT rowid FROM chunks)")
