"""``pgvector:postgresql://host/db#name``: PostgreSQL with the pgvector extension as the search index.

Words are our own search terms in a ``tsvector`` (GIN), ranked by inverse document frequencies that are counted in a table;
vectors have an HNSW index once there are many. Filters and access labels are SQL conditions. A change is one transaction.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import StoreError
from groundtune.store import pgtables as tables
from groundtune.store.binding import shown
from groundtune.store.outer import Found, Held, OuterStore, Outgoing, Place, check_vectors
from groundtune.store.payload import ACCESS_FIELDS, Needs
from groundtune.store.pgtables import BODY, number, tsquery
from groundtune.types import Chunk

if TYPE_CHECKING:
    from psycopg import Connection

_CONNECT_SECONDS = 15
# As in the embedded store: so many of the most telling terms bring candidates, very frequent ones only when there are
# few others, and rarer ones first until this many places in the lists were read.
_SEARCHED, _FREQUENT_SHARE, _FREQUENT_FLOOR, _READ = 16, 0.1, 2_000, 20_000
_K1, _B = 1.2, 0.75
# A filter that lets fewer vectors through is answered exactly: an index looks at neighbours and may lose all of them.
_EXACT = 20_000


class PgvectorStore(OuterStore):
    """A search index in one schema of a database. Safe to use from several threads and processes."""

    def __init__(self, address: str, name: str) -> None:
        """Connect; makes schema and tables when missing. Raises ``StoreError`` or ``MissingExtra``."""
        self._address, self._schema = address, f"groundtune_{name}"
        self._place = shown(f"pgvector:{address}#{name}")
        self._idle: list[Connection[Any]] = []
        self._lock = threading.Lock()
        self._closed = False
        weakref.finalize(self, _close_all, self._idle)  # whoever forgets to close it leaves nothing open
        with self._session() as connection:
            self._iterative = tables.prepare(connection, self._schema)

    # -- writing ---------------------------------------------------------------------------------------------------

    def apply(self, entries: Sequence[Outgoing], deleted: Sequence[str] = ()) -> int:
        """Replace and remove in one transaction."""
        size = check_vectors(entries)
        with self._session() as connection:
            with connection.transaction():
                tables.lock(connection, self._schema)
                removed = tables.remove(connection, self._schema, list(dict.fromkeys(deleted)))
                if entries:
                    tables.remove(connection, self._schema, [entry.document.id for entry in entries])
                    if size:
                        tables.fit(connection, self._schema, size)
                    tables.insert(connection, self._schema, entries)
                tables.index_vectors(connection, self._schema)
            tables.tidy(connection, self._schema, sum(len(entry.chunks) for entry in entries))
        return removed

    # -- reading ---------------------------------------------------------------------------------------------------

    def listing(self) -> Iterable[Held]:
        """Everything that is held, by id."""
        query = (
            "SELECT d.id, d.version, d.stamp, count(c.key), count(v.key) FROM {s}.documents AS d"
            " LEFT JOIN {s}.chunks AS c ON c.document_id = d.id LEFT JOIN {s}.vectors AS v ON v.key = c.key"
            ' GROUP BY d.id ORDER BY d.id COLLATE "C"'
        )
        return [Held(*row) for row in self._rows(query)]

    def lexical(self, terms: Mapping[str, float], count: int, wanted: Needs) -> list[Found]:
        """Best chunks by the inverse document frequencies of the terms that they hold, longer chunks counting less."""
        chosen, spare, mean = self._worth(terms)
        found = self._by_terms(chosen, mean, count, wanted)
        if spare and len(found) < count:
            found = self._by_terms({**chosen, **spare}, mean, count, wanted)
        return found

    def _worth(self, terms: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float], float]:
        """The terms that bring candidates with their worth, the others, and the mean length of a chunk."""
        query = (
            "SELECT t.term, t.df, n.chunks, n.length FROM {s}.totals AS n LEFT JOIN {s}.terms AS t"
            " ON t.term = ANY(%s) AND t.df > 0"
        )
        rows = self._rows(query, (list(terms),))
        chunks, length = max(int(rows[0][2]), 1), float(rows[0][3])
        frequency = {row[0]: int(row[1]) for row in rows if row[0] is not None}
        worth = {t: terms[t] * float(np.log(1 + (chunks - df + 0.5) / (df + 0.5))) for t, df in frequency.items()}
        telling = sorted(worth, key=lambda term: -worth[term])[:_SEARCHED]
        rare = [term for term in telling if frequency[term] <= max(_FREQUENT_FLOOR, _FREQUENT_SHARE * chunks)]
        kept: list[str] = []
        read = 0
        for term in sorted(rare if len(rare) >= min(3, len(telling)) else telling, key=lambda one: frequency[one]):
            if kept and read + frequency[term] > _READ:
                break
            kept.append(term)
            read += frequency[term]
        spare = {term: value for term, value in worth.items() if term not in kept}
        return {term: worth[term] for term in kept}, spare, length / chunks

    def _by_terms(self, worth: Mapping[str, float], mean: float, count: int, wanted: Needs) -> list[Found]:
        if not worth:
            return []
        clause, bindings = _condition(wanted)
        one = (
            f"SELECT c.key, c.length, %s::float8 AS worth FROM {{s}}.chunks AS c WHERE c.terms @@ %s::tsquery {clause}"
        )
        lists = " UNION ALL ".join([one] * len(worth))
        per_length = f"(1 + {_K1} * (1 - {_B} + {_B} * min(u.length) / {max(mean, 1.0)}))"
        query = (
            f"SELECT {BODY}, s.score FROM (SELECT u.key, sum(u.worth) * {_K1 + 1} / {per_length} AS score"
            f" FROM ({lists}) AS u GROUP BY u.key ORDER BY score DESC, u.key LIMIT %s) AS s"
            " JOIN {s}.chunks AS c ON c.key = s.key ORDER BY s.score DESC, s.key"
        )
        values = [value for term, weight in worth.items() for value in (weight, tsquery(term), *bindings)]
        return [_found(row) for row in self._rows(query, (*values, count))]

    def dense(self, vector: NDArray[Any], count: int, wanted: Needs) -> list[Found]:
        """Nearest by cosine: exactly for few vectors, by the HNSW index for many."""
        held = self._rows("SELECT size, indexed FROM {s}.totals")
        if not held or held[0][0] != len(vector):
            return []
        literal = "[" + ",".join(map(repr, np.asarray(vector, dtype=np.float64).tolist())) + "]"
        if held[0][1] and self._is_wide(wanted):
            found = self._nearest(literal, count, wanted, exact=False)
            if len(found) >= count or not wanted.asked:
                return found
        return self._nearest(literal, count, wanted, exact=True)

    def _is_wide(self, wanted: Needs) -> bool:
        """True when a filter lets many chunks through."""
        if not wanted.asked:
            return True
        clause, bindings = _condition(wanted)
        query = f"SELECT count(*) FROM (SELECT 1 FROM {{s}}.chunks AS c WHERE true {clause} LIMIT %s) AS few"
        return int(self._rows(query, (*bindings, _EXACT + 1))[0][0]) > _EXACT

    def _nearest(self, literal: str, count: int, wanted: Needs, *, exact: bool) -> list[Found]:
        clause, bindings = _condition(wanted)
        # An expression that the index does not know makes PostgreSQL compute every distance.
        distance = "(v.vector <=> %s::vector) + 0" if exact else "v.vector <=> %s::vector"
        chosen = f"JOIN {{s}}.chunks AS c ON c.key = v.key WHERE true {clause}" if clause else ""
        query = (
            f"SELECT {BODY}, 1 - n.far FROM (SELECT v.key, {distance} AS far FROM {{s}}.vectors AS v {chosen}"
            f" ORDER BY {distance} LIMIT %s) AS n JOIN {{s}}.chunks AS c ON c.key = n.key ORDER BY n.far, n.key"
        )
        settings = () if exact else self._wide_search(count)
        return [_found(row) for row in self._rows(query, (literal, *bindings, literal, count), settings)]

    def _wide_search(self, count: int) -> tuple[str, ...]:
        look = f"SET LOCAL hnsw.ef_search = {min(1000, max(100, 2 * count))}"
        return (look, "SET LOCAL hnsw.iterative_scan = strict_order") if self._iterative else (look,)

    def close(self) -> None:
        """Close the connections. Closing twice is allowed."""
        with self._lock:
            self._closed = True
            _close_all(self._idle)

    # -- connections -----------------------------------------------------------------------------------------------

    def _rows(self, query: str, bindings: Sequence[Any] = (), settings: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        text = query.replace("{s}", f'"{self._schema}"')
        with self._session() as connection, connection.transaction() if settings else nullcontext():
            for setting in settings:
                connection.execute(setting)
            rows: list[tuple[Any, ...]] = connection.execute(text, tuple(bindings) or None).fetchall()
        return rows

    @contextmanager
    def _session(self) -> Iterator[Connection[Any]]:
        """A connection of our own for as long as it is needed. Errors of the server become ``StoreError``."""
        import psycopg

        connection = self._take()
        try:
            yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise StoreError("store.unreachable", place=self._place, reason=_line(error)) from error
        except psycopg.Error as error:
            raise StoreError("store.refused", place=self._place, reason=_line(error)) from error
        finally:
            with self._lock:
                keep = not self._closed and not connection.closed and not connection.broken
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()

    def _take(self) -> Connection[Any]:
        import psycopg

        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if not connection.closed and not connection.broken:
                    return connection
        try:
            # statements that are prepared on the server break poolers that share connections between transactions
            return psycopg.connect(
                self._address, autocommit=True, connect_timeout=_CONNECT_SECONDS, prepare_threshold=None
            )
        except psycopg.Error as error:
            raise StoreError("store.unreachable", place=self._place, reason=_line(error)) from error


def _condition(wanted: Needs) -> tuple[str, list[Any]]:
    """``AND …`` over columns of ``chunks AS c``."""
    parts: list[str] = []
    bindings: list[Any] = []
    if wanted.documents is not None:
        parts.append("c.document_id = ANY(%s)")
        bindings.append(list(wanted.documents))
    for group in wanted.every:
        parts.append("c.facets && %s::bigint[]")
        bindings.append([number(one) for one in group])
    if wanted.absent:
        parts.append("NOT c.facets && %s::bigint[]")
        bindings.append([number(one) for one in wanted.absent])
    if wanted.reader is not None:
        for place in range(1, ACCESS_FIELDS + 1):
            parts.append(f"c.access_{place} && %s::text[]")
            bindings.append(list(wanted.reader))
    return "".join(f" AND {part}" for part in parts), bindings


def _close_all(connections: list[Connection[Any]]) -> None:
    while connections:
        connections.pop().close()


def _found(row: tuple[Any, ...]) -> Found:
    return Found(Chunk(*row[:-1]), float(row[-1]))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def open_store(place: str) -> PgvectorStore:
    """Factory of the ``pgvector:`` provider."""
    read = Place.read(place)
    return PgvectorStore(read.address, read.name)
