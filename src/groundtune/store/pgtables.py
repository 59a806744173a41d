"""The tables of ``pgvector:`` and what is done to them in a transaction.

``chunks`` is kept narrow (long columns are stored beside it), ``vectors`` holds nothing but vectors, ``terms`` counts in how
many chunks each term stands, and ``totals`` is one row about all of them.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from groundtune.store.outer import Outgoing
from groundtune.store.payload import ACCESS_FIELDS, access_fields, facets
from groundtune.store.rows import Terms
from groundtune.types import Chunk, digest

if TYPE_CHECKING:
    from psycopg import Connection

BODY = 'c.id, c.document_id, c.version, c.text, c.start, c."end", c.digest, c.title, c.heading, c.page'
_COLUMNS = (
    'key, id, document_id, version, text, start, "end", digest, title, heading, page, length, terms, facets, '
    + ", ".join(f"access_{place}" for place in range(1, ACCESS_FIELDS + 1))
)
# Below this many vectors looking at all of them is quick, and the index need not be kept.
INDEXED_FROM = 10_000
_MOST_INDEXED = 2_000  # numbers per vector that an HNSW index takes
_LONGEST_TERM = 500  # characters; a lexeme may have 2,046 bytes
_TIDY_FROM = 200  # chunks in one change


def prepare(connection: Connection[Any], schema: str) -> bool:
    """Make extension, schema and tables when missing. True when the extension can search on until a filter is met."""
    made = connection.execute("SELECT to_regclass(%s)", (f'"{schema}".totals',)).fetchone()
    if made is None or made[0] is None:
        with connection.transaction():
            lock(connection, "groundtune")
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            connection.execute(_tables(schema))
    version = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    return version is not None and tuple(int(part) for part in str(version[0]).split(".")[:2]) >= (0, 8)


def _tables(schema: str) -> str:
    access = ", ".join(f"access_{place} text[] NOT NULL" for place in range(1, ACCESS_FIELDS + 1))
    return f"""
        CREATE SCHEMA IF NOT EXISTS "{schema}";
        CREATE TABLE IF NOT EXISTS "{schema}".documents (id text PRIMARY KEY, version text NOT NULL, stamp text NOT NULL);
        CREATE TABLE IF NOT EXISTS "{schema}".chunks (
            key bigint PRIMARY KEY, id text NOT NULL UNIQUE,
            document_id text NOT NULL REFERENCES "{schema}".documents (id),
            version text NOT NULL, text text NOT NULL, start integer NOT NULL, "end" integer NOT NULL,
            digest text NOT NULL, title text NOT NULL, heading text NOT NULL, page integer, length integer NOT NULL,
            terms tsvector NOT NULL, facets bigint[] NOT NULL, {access}
        ) WITH (toast_tuple_target = 512);
        CREATE INDEX IF NOT EXISTS chunks_by_document ON "{schema}".chunks (document_id);
        CREATE INDEX IF NOT EXISTS chunks_by_term ON "{schema}".chunks USING gin (terms) WITH (gin_pending_list_limit = 256);
        CREATE INDEX IF NOT EXISTS chunks_by_facet ON "{schema}".chunks USING gin (facets)
            WITH (gin_pending_list_limit = 256);
        CREATE TABLE IF NOT EXISTS "{schema}".vectors (
            key bigint PRIMARY KEY REFERENCES "{schema}".chunks (key) ON DELETE CASCADE, vector vector NOT NULL
        );
        ALTER TABLE "{schema}".vectors ALTER COLUMN vector SET STORAGE PLAIN;
        CREATE TABLE IF NOT EXISTS "{schema}".terms (term text COLLATE "C" PRIMARY KEY, df bigint NOT NULL)
            WITH (fillfactor = 70);
        CREATE TABLE IF NOT EXISTS "{schema}".totals (
            one boolean PRIMARY KEY DEFAULT true CHECK (one), chunks bigint NOT NULL, length bigint NOT NULL,
            next_key bigint NOT NULL, size integer NOT NULL, indexed boolean NOT NULL, analysed bigint NOT NULL
        );
        INSERT INTO "{schema}".totals VALUES (true, 0, 0, 1, 0, false, 0) ON CONFLICT DO NOTHING;
    """


def lock(connection: Connection[Any], schema: str) -> None:
    """One writer at a time, until the transaction ends; readers do not notice."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (number(digest(f"groundtune {schema}")),))


def remove(connection: Connection[Any], schema: str, ids: Sequence[str]) -> int:
    """Remove documents with their chunks; returns how many were there."""
    if not ids:
        return 0
    connection.execute(
        f"""
        WITH gone AS (DELETE FROM "{schema}".chunks WHERE document_id = ANY(%s) RETURNING terms, length),
        counted AS (SELECT term, count(*) AS n FROM gone, unnest(tsvector_to_array(terms)) AS term GROUP BY term),
        fewer AS (
            UPDATE "{schema}".terms AS t SET df = t.df - c.n FROM counted AS c WHERE t.term = c.term
        )
        UPDATE "{schema}".totals AS n SET chunks = n.chunks - g.chunks, length = n.length - g.length
            FROM (SELECT count(*) AS chunks, coalesce(sum(length), 0) AS length FROM gone) AS g
        """,
        (list(ids),),
    )
    return int(connection.execute(f'DELETE FROM "{schema}".documents WHERE id = ANY(%s)', (list(ids),)).rowcount)


def fit(connection: Connection[Any], schema: str, size: int) -> None:
    """Make room for vectors of this many numbers; those of another length go."""
    row = connection.execute(f'SELECT size FROM "{schema}".totals').fetchone()
    if row is not None and row[0] == size:
        return
    connection.execute(f'DROP INDEX IF EXISTS "{schema}".vectors_nearest')
    connection.execute(f'TRUNCATE "{schema}".vectors')
    connection.execute(f'ALTER TABLE "{schema}".vectors ALTER COLUMN vector TYPE vector({size})')
    connection.execute(f'UPDATE "{schema}".totals SET size = {size}, indexed = false')


def insert(connection: Connection[Any], schema: str, entries: Sequence[Outgoing]) -> None:
    """Add documents that are not there."""
    query = f'INSERT INTO "{schema}".documents VALUES (%s, %s, %s)'
    with connection.cursor() as cursor:
        cursor.executemany(query, [(e.document.id, e.document.version, e.stamp) for e in entries])
    count = sum(len(entry.chunks) for entry in entries)
    if not count:
        return
    made = [entry.search_terms() for entry in entries]
    length = sum(_length(terms) for group in made for terms in group)
    row = connection.execute(
        f'UPDATE "{schema}".totals SET chunks = chunks + %s, length = length + %s, next_key = next_key + %s'
        " RETURNING next_key",
        (count, length, count),
    ).fetchone()
    assert row is not None
    first = int(row[0]) - count
    with connection.cursor() as cursor, cursor.copy(f'COPY "{schema}".chunks ({_COLUMNS}) FROM STDIN') as copy:
        for values in _values(first, entries, made):
            copy.write_row(values)
    _count(connection, schema, made)
    _insert_vectors(connection, schema, first, entries)


def _count(connection: Connection[Any], schema: str, made: Sequence[Sequence[Terms]]) -> None:
    """In how many chunks each term stands. In the order of the index, which is several times faster."""
    more = Counter(term for group in made for terms in group for term in _different(terms))
    names = sorted(more)
    connection.execute(
        f'INSERT INTO "{schema}".terms AS t SELECT * FROM unnest(%s::text[], %s::bigint[])'
        " ON CONFLICT (term) DO UPDATE SET df = t.df + excluded.df",
        (names, [more[name] for name in names]),
    )


def _values(first: int, entries: Sequence[Outgoing], made: Sequence[Sequence[Terms]]) -> Iterator[tuple[Any, ...]]:
    key = first
    for entry, terms in zip(entries, made, strict=True):
        metadata = entry.document.metadata
        about = ([number(one) for one in facets(metadata)], *(list(field) for field in access_fields(metadata)))
        for chunk, words in zip(entry.chunks, terms, strict=True):
            yield (key, *_plain(chunk), _length(words), _lexemes(words), *about)
            key += 1


def _plain(c: Chunk) -> tuple[Any, ...]:
    texts = (c.id, c.document_id, c.version, _text(c.text))
    return (*texts, c.start, c.end, c.digest, _text(c.title), _text(c.heading), c.page)


def _text(text: str) -> str:
    """PostgreSQL takes every character but one."""
    return text.replace("\x00", "\u2400")


def _insert_vectors(connection: Connection[Any], schema: str, first: int, entries: Sequence[Outgoing]) -> None:
    """In the binary form of COPY: two fields per row, each with its length before it."""
    keys: list[int] = []
    values = []
    for entry in entries:
        if entry.vectors is not None and len(entry.vectors):
            keys.extend(range(first, first + len(entry.chunks)))
            values.append(np.asarray(entry.vectors, dtype=np.float32))
        first += len(entry.chunks)
    if not keys:
        return
    rows = np.concatenate(values)
    size = rows.shape[1]
    form = [
        ("fields", ">i2"), ("key_length", ">i4"), ("key", ">i8"), ("vector_length", ">i4"), ("size", ">i2"),
        ("unused", ">i2"), ("vector", ">f4", (size,)),
    ]  # fmt: skip
    packed = np.zeros(len(keys), dtype=form)
    packed["fields"], packed["key_length"], packed["key"] = 2, 8, keys
    packed["vector_length"], packed["size"], packed["vector"] = 4 + 4 * size, size, rows
    statement = f'COPY "{schema}".vectors (key, vector) FROM STDIN (FORMAT BINARY)'
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(b"PGCOPY\n\xff\r\n\x00" + bytes(8) + packed.tobytes() + struct.pack(">h", -1))


def index_vectors(connection: Connection[Any], schema: str) -> None:
    """Make the HNSW index when there are enough vectors for it to pay."""
    row = connection.execute(f'SELECT chunks, size, indexed FROM "{schema}".totals').fetchone()
    assert row is not None
    chunks, size, indexed = row
    if indexed or chunks < INDEXED_FROM or not 0 < size <= _MOST_INDEXED:
        return
    held = connection.execute(f'SELECT count(*) FROM "{schema}".vectors').fetchone()
    if held is None or held[0] < INDEXED_FROM:
        return
    connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
    connection.execute(f'CREATE INDEX vectors_nearest ON "{schema}".vectors USING hnsw (vector vector_cosine_ops)')
    connection.execute(f'UPDATE "{schema}".totals SET indexed = true')


def tidy(connection: Connection[Any], schema: str, written: int) -> None:
    """After much was written: what new rows wait for in the indexes is done now and not by the next search, and the
    planner learns of them.
    """
    if written < _TIDY_FROM:
        return
    for name in ("chunks_by_term", "chunks_by_facet"):
        connection.execute("SELECT gin_clean_pending_list(%s::regclass)", (f'"{schema}".{name}',))
    row = connection.execute(
        f'UPDATE "{schema}".totals SET analysed = chunks WHERE chunks > 1.3 * analysed RETURNING 1'
    ).fetchone()
    if row is not None:
        for name in ("documents", "chunks", "vectors", "terms"):
            connection.execute(f'ANALYZE "{schema}".{name}')


def number(hexadecimal: str) -> int:
    """The first 16 hexadecimal digits as a signed number of 64 bits."""
    value = int(hexadecimal[:16], 16)
    return value - (1 << 64) if value >= 1 << 63 else value


def tsquery(term: str) -> str:
    """A term as a query of its own."""
    return _lexeme(term)


def _lexemes(terms: Terms) -> str:
    return " ".join(map(_lexeme, _different(terms)))


def _different(terms: Terms) -> list[str]:
    return sorted({term[:_LONGEST_TERM] for part in terms for term in part.split(" ") if term})


def _lexeme(term: str) -> str:
    escaped = term[:_LONGEST_TERM].replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _length(terms: Terms) -> int:
    return sum(part.count(" ") + 1 for part in terms if part)
