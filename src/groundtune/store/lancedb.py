"""``lancedb:folder#name``: LanceDB, an embedded engine whose files may also lie in an object store (``lancedb:s3://…``).

Words are our own search terms, separated by spaces, under Lance's BM25; vectors are compared one by one until there are many.
Chunks of a document are exchanged in one commit, its entry in ``documents`` in a second one.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import StoreError
from groundtune.store.outer import Found, Held, OuterStore, Outgoing, Place, check_vectors
from groundtune.store.payload import ACCESS_FIELDS, Needs, access_fields, facets
from groundtune.types import Chunk

if TYPE_CHECKING:
    import pyarrow

_BODY = ("id", "document_id", "version", "text", "start", "end", "digest", "title", "heading", "page")
_TEXT, _NUMBER = (
    ("id", "document_id", "version", "text", "digest", "title", "heading", "terms"),
    ("start", "end", "page"),
)
_LISTS = ("facets", *(f"access_{place}" for place in range(1, ACCESS_FIELDS + 1)))
# From so many vectors on, an index of them makes up for the accuracy that it costs; filters get theirs then, too.
INDEXED_FROM = 50_000
_WORDS = {
    "base_tokenizer": "whitespace", "lower_case": False, "stem": False, "remove_stop_words": False, "ascii_folding": False,
    "max_token_length": None, "with_position": False,
}  # fmt: skip
# Each change adds small files, which slow every search down until they are put together.
_TIDY_FILES = 60
_TIDY_ROWS = 20_000
_OLD = timedelta(hours=1)


class LanceStore(OuterStore):
    """A search index in two tables. Safe to use from several threads and processes; one of them should write."""

    def __init__(self, address: str, name: str) -> None:
        """Open; makes the tables when missing. Raises ``StoreError`` or ``MissingExtra``."""
        import lancedb

        self._place = f"lancedb:{address}#{name}"
        self._waiting = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._database = self._try(
                lambda: lancedb.connect(address, read_consistency_interval=timedelta(0))  # see what others write
            )
            self._chunks = self._try(lambda: self._opened(name))
            self._documents = self._try(lambda: self._table(f"{name}-documents", _documents()))

    def _opened(self, name: str) -> Any:  # noqa: ANN401 - the package has no types
        from lancedb.index import FTS

        table = self._table(name, _chunks())
        if not table.list_indices():
            table.create_index("terms", config=FTS(**_WORDS))
        return table

    def _table(self, name: str, schema: pyarrow.Schema) -> Any:  # noqa: ANN401
        try:
            return self._database.open_table(name)
        except ValueError:  # there is none yet; somebody else may make it at the same time
            return self._database.create_table(name, schema=schema, exist_ok=True)

    # -- writing ---------------------------------------------------------------------------------------------------

    def apply(self, entries: Sequence[Outgoing], deleted: Sequence[str] = ()) -> int:
        """New chunks take the place of old ones in one commit; then the list of documents follows."""
        import pyarrow as pa

        size = check_vectors(entries)
        rows = [row for entry in entries for row in _rows(entry)]
        replaced = [entry.document.id for entry in entries]
        gone = list(dict.fromkeys(deleted))
        if not gone and not replaced:
            return 0
        self._try(lambda: self._fit(size))
        there = self._try(lambda: self._documents.count_rows(_any("id", gone))) if gone else 0
        table = pa.Table.from_pylist(rows, schema=self._chunks.schema)
        self._try(lambda: _exchange(self._chunks, table, _any("document_id", [*gone, *replaced])))
        heads = [{"id": e.document.id, "version": e.document.version, "stamp": e.stamp} for e in entries]
        listed = pa.Table.from_pylist(heads, schema=_documents())
        self._try(lambda: _exchange(self._documents, listed, _any("id", [*gone, *replaced])))
        self._waiting += len(rows)
        self._try(self._tidy)
        return int(there)

    def _fit(self, size: int) -> None:
        """Make room for vectors of this many numbers; those of another length go."""
        import pyarrow as pa

        held = _size(self._chunks.schema)
        if not size or held == size:
            return
        if held:
            self._chunks.drop_columns(["vector"])
        self._chunks.add_columns(pa.field("vector", pa.list_(pa.float32(), size)))

    def _tidy(self) -> None:
        """Put small files together and take new rows into the indexes."""
        files = self._chunks.stats()["fragment_stats"]["num_fragments"]
        if files < _TIDY_FILES and self._waiting < _TIDY_ROWS:
            return
        self._waiting = 0
        self._chunks.optimize(cleanup_older_than=_OLD)
        self._documents.optimize(cleanup_older_than=_OLD)
        if self._chunks.count_rows() < INDEXED_FROM:
            return
        from lancedb.index import IvfFlat, LabelList

        indexed = {index.columns[0] for index in self._chunks.list_indices()}
        for name in _LISTS:
            if name not in indexed:
                self._chunks.create_index(name, config=LabelList())
        if "vector" not in indexed and self._with_vectors() >= INDEXED_FROM:
            self._chunks.create_index("vector", config=IvfFlat(distance_type="cosine"))

    def _with_vectors(self) -> int:
        return int(self._chunks.count_rows("vector IS NOT NULL")) if _size(self._chunks.schema) else 0

    # -- reading ---------------------------------------------------------------------------------------------------

    def listing(self) -> Iterable[Held]:
        """Everything that is held, by id."""
        chunks = Counter(self._column("true"))
        vectors = Counter(self._column("vector IS NOT NULL")) if _size(self._chunks.schema) else Counter()
        rows = self._try(lambda: self._documents.search().to_arrow().to_pylist())
        return [
            Held(row["id"], row["version"], row["stamp"], chunks[row["id"]], vectors[row["id"]])
            for row in sorted(rows, key=lambda row: str(row["id"]))
        ]

    def _column(self, condition: str) -> list[str]:
        query = self._chunks.search().where(condition).select(["document_id"])
        return [str(one) for one in self._try(lambda: query.to_arrow())["document_id"].to_pylist()]

    def lexical(self, terms: Mapping[str, float], count: int, wanted: Needs) -> list[Found]:
        """Lance's BM25 over our terms. Terms of about the same worth are asked for together: each part costs time."""
        from lancedb.query import BooleanQuery, MatchQuery, Occur

        groups: dict[float, list[str]] = {}
        for term, worth in terms.items():
            groups.setdefault(max(round(worth, 1), 0.1), []).append(term)
        asked = [MatchQuery(" ".join(group), "terms", boost=worth) for worth, group in groups.items()]
        query = asked[0] if len(asked) == 1 else BooleanQuery([(Occur.SHOULD, one) for one in asked])
        search = self._chunks.search(query, query_type="fts").select([*_BODY, "_score"])
        condition = " AND ".join(_conditions(wanted))
        if condition:
            search = search.where(condition, prefilter=True)
        rows = self._try(lambda: search.limit(count).to_arrow().to_pylist())
        return _sorted([Found(_chunk(row), float(row["_score"])) for row in rows])

    def dense(self, vector: NDArray[Any], count: int, wanted: Needs) -> list[Found]:
        """Nearest by cosine."""
        if _size(self._try(lambda: self._chunks.schema)) != len(vector):
            return []
        condition = " AND ".join(["vector IS NOT NULL", *_conditions(wanted)])
        search = self._chunks.search(np.asarray(vector, dtype=np.float32), vector_column_name="vector")
        search = search.distance_type("cosine").select([*_BODY, "_distance"]).where(condition, prefilter=True)
        # with an index: as many parts of it as it takes to find enough chunks that pass
        rows = self._try(lambda: search.minimum_nprobes(20).maximum_nprobes(0).limit(count).to_arrow().to_pylist())
        return _sorted([Found(_chunk(row), 1.0 - float(row["_distance"])) for row in rows])

    def close(self) -> None:
        """Nothing is kept open."""

    def _try(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401
        """What Lance raises (in several kinds) becomes ``StoreError``."""
        try:
            return ask()
        except (OSError, RuntimeError, ValueError) as error:
            raise StoreError("store.refused", place=self._place, reason=" ".join(str(error).split())[:300]) from error


def _documents() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema([pa.field(name, pa.string()) for name in ("id", "version", "stamp")])


def _chunks() -> pyarrow.Schema:
    import pyarrow as pa

    fields = [pa.field(name, pa.string()) for name in _TEXT] + [pa.field(name, pa.int64()) for name in _NUMBER]
    return pa.schema(fields + [pa.field(name, pa.list_(pa.string())) for name in _LISTS])


def _size(schema: pyarrow.Schema) -> int:
    """Numbers per vector, 0 when there are no vectors."""
    place = schema.get_field_index("vector")
    return 0 if place < 0 else int(schema.field(place).type.list_size)


def _rows(entry: Outgoing) -> list[dict[str, Any]]:
    held = facets(entry.document.metadata)
    access = {f"access_{n}": list(f) for n, f in enumerate(access_fields(entry.document.metadata), start=1)}
    made: list[dict[str, Any]] = []
    for number, (chunk, (label, body)) in enumerate(zip(entry.chunks, entry.search_terms(), strict=True)):
        row: dict[str, Any] = {name: getattr(chunk, name) for name in _BODY}
        row |= {"terms": f"{label} {body}", "facets": held, **access}
        if entry.vectors is not None:
            row["vector"] = entry.vectors[number]
        made.append(row)
    return made


def _exchange(table: Any, rows: pyarrow.Table, old: str) -> None:  # noqa: ANN401
    """One commit: these rows are there, and no others that meet the condition ``old``."""
    merge = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
    merge.when_not_matched_by_source_delete(old).execute(rows, on_bad_vectors="null")


def _conditions(wanted: Needs) -> list[str]:
    parts = [] if wanted.documents is None else [_any("document_id", wanted.documents)]
    parts += [f"array_has_any(facets, {_list(group)})" for group in wanted.every]
    if wanted.absent:
        parts.append(f"NOT array_has_any(facets, {_list(wanted.absent)})")
    if wanted.reader is not None:
        places = range(1, ACCESS_FIELDS + 1)
        parts += [f"array_has_any(access_{place}, {_list(wanted.reader)})" for place in places]
    return parts


def _any(column: str, values: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(map(_quoted, values))})"


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _chunk(row: Mapping[str, Any]) -> Chunk:
    return Chunk(**{name: row[name] for name in _BODY})


def _sorted(found: list[Found]) -> list[Found]:
    return sorted(found, key=lambda one: (-one.score, one.chunk.id))


def open_store(place: str) -> LanceStore:
    """Factory of the ``lancedb:`` provider."""
    read = Place.read(place)
    return LanceStore(read.address, read.name)
