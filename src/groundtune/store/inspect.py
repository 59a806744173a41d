"""Compares the tables of a store with each other and with the stored text: finds drift, names the documents."""

from __future__ import annotations

import json
from dataclasses import dataclass

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.store.schema import fetch
from groundtune.store.spaces import spaces
from groundtune.text.inverted import pack
from groundtune.text.tokenise import body_terms, label_terms
from groundtune.types import digest


@dataclass(frozen=True, slots=True)
class Inspection:
    """Document ids by kind of drift; all empty when the store is sound.

    ``manifest``: the tables of documents, versions and sources name different documents or metadata.
    ``text``: the current text is missing or does not have the recorded version (cannot be rebuilt).
    ``chunks``: rows that are missing, left over, out of date or not ``text[start:end]``.
    ``terms``: stored search terms that the current tokeniser would not make.
    ``vectors``: some chunks of a document have vectors and some do not, or a vector without a chunk (id ``""``).
    ``lexical``: the word index does not hold exactly the stored terms. ``file``: damage that SQLite itself reports.
    ``outer``: a store outside holds something else than this one.
    """

    documents: int = 0
    chunk_count: int = 0
    manifest: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    chunks: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()
    lexical: bool = False
    file: tuple[str, ...] = ()
    outer: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        drift = (self.manifest, self.text, self.chunks, self.terms, self.vectors, self.file, self.outer)
        return not (any(drift) or self.lexical)


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
        manifest=tuple(sorted(_manifest_drift(connection))),
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


def _manifest_drift(connection: apsw.Connection) -> set[str]:
    """Documents that only one of the tables knows, or with different metadata in two of them."""
    queries = (
        "SELECT document_id FROM versions WHERE until IS NULL AND document_id NOT IN (SELECT id FROM documents)",
        "SELECT document_id FROM sources WHERE document_id NOT IN (SELECT id FROM documents)",
        "SELECT d.id FROM documents AS d JOIN versions AS v ON v.document_id = d.id AND v.until IS NULL"
        " WHERE v.metadata <> d.metadata",
    )
    return {str(row[0]) for query in queries for row in fetch(connection, query)}


def _vector_drift(connection: apsw.Connection) -> set[str]:
    """Documents with vectors missing in a space that is whole, and broken ones; ``""`` for those without a chunk."""
    drift: set[str] = set()
    for space in spaces(connection):
        if space.whole:
            query = (
                "SELECT DISTINCT document_id FROM chunks WHERE rowid NOT IN (SELECT chunk FROM vectors WHERE space = ?)"
            )
            drift.update(row[0] for row in fetch(connection, query, (space.id,)))
    strays = "SELECT count(*) FROM vectors WHERE chunk NOT IN (SELECT rowid FROM chunks) OR space NOT IN (SELECT id FROM spaces)"
    if fetch(connection, strays)[0][0]:
        drift.add("")
    return drift | _broken_vectors(connection)


def _broken_vectors(connection: apsw.Connection) -> set[str]:
    """Documents with a vector that has another size than most of its space, or that holds what is not a number."""
    broken: set[int] = set()
    sizes = {
        int(space): int(size)
        for space, size, _ in fetch(
            connection, "SELECT space, length(vector), count(*) AS n FROM vectors GROUP BY 1, 2 ORDER BY n"
        )
    }
    for space, chunk, vector in connection.execute("SELECT space, chunk, vector FROM vectors"):
        if (
            not isinstance(vector, bytes)
            or len(vector) != sizes[space]
            or len(vector) % 4
            or not np.isfinite(np.frombuffer(vector, "<f4")).all()
        ):
            broken.add(int(chunk))
    query = "SELECT document_id FROM chunks WHERE rowid = ?"
    return {row[0] for chunk in broken for row in fetch(connection, query, (chunk,))}


def _lexical_drift(connection: apsw.Connection) -> bool:
    """Is the word index another one than the stored terms would give? Every living chunk must be in one segment."""
    dead = {row[0] for row in fetch(connection, "SELECT chunk FROM graves")}
    left = {row[0] for row in fetch(connection, "SELECT rowid FROM chunks")}
    known = {row[0] for row in fetch(connection, "SELECT id FROM segments")}
    if {row[0] for row in fetch(connection, "SELECT DISTINCT segment FROM postings")} - known or left & dead:
        return True
    for segment in sorted(known):
        rows, lengths = fetch(connection, "SELECT rows, lengths FROM segments WHERE id = ?", (segment,))[0]
        if not isinstance(rows, bytes) or not isinstance(lengths, bytes) or len(rows) % 4 or len(lengths) != len(rows):
            return True
        held = np.frombuffer(rows, "<u4").astype(np.int64)
        living = [int(row) for row in held if int(row) not in dead]
        if not left.issuperset(living) or len(set(living)) != len(living):
            return True
        left.difference_update(living)
        if not _same_postings(connection, segment, held, np.frombuffer(lengths, "<u4"), dead):
            return True
    return bool(left)


def _same_postings(
    connection: apsw.Connection,
    segment: int,
    rows: NDArray[np.int64],
    lengths: NDArray[np.uint32],
    dead: set[int],
) -> bool:
    query = (
        "SELECT c.rowid, c.label_terms, c.body_terms FROM json_each(?) AS w CROSS JOIN chunks AS c ON c.rowid = w.value"
    )
    found = {row: (label, body) for row, label, body in fetch(connection, query, (json.dumps(rows.tolist()),))}
    terms = [found.get(int(row), ("", "")) for row in rows]
    expected = pack([label for label, _ in terms], [body for _, body in terms])
    alive = np.array([int(row) not in dead for row in rows], dtype=np.bool_)
    if not np.array_equal(lengths[alive], expected.lengths[alive]):
        return False
    wanted = {
        term: expected.values[start:end].tobytes()
        for term, start, end in zip(expected.terms, expected.bounds[:-1], expected.bounds[1:], strict=True)
    }
    for term, packed in fetch(connection, "SELECT term, packed FROM postings WHERE segment = ?", (segment,)):
        if not isinstance(packed, bytes) or len(packed) % 4:
            return False
        values = np.frombuffer(packed, "<u4")
        places = values >> 8
        if len(places) and int(places.max()) >= len(rows):
            return False
        kept = values[alive[places]]
        if kept.tobytes() != wanted.pop(term, b""):
            return False
    return not wanted
