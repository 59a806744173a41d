"""Weaviate as a search index (``weaviate:http://localhost:8080#name``; Python client 4.18 or newer, server 1.33 or newer).

Two collections with multi-tenancy; each knowledge base is a tenant with an index and word statistics of its own. Chunks
carry their vectors and our search terms, which Weaviate cuts at white space and ranks by its BM25: its own tokenisers for
Chinese and Japanese must be switched on in the server. A head per document says which state is held.
"""

from __future__ import annotations

import threading
import uuid
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import StoreError
from groundtune.store.outer import Found, Held, OuterStore, Outgoing, Place, check_vectors
from groundtune.store.payload import Needs, access_fields, facets
from groundtune.store.waiting import wait_for
from groundtune.store.weaviate_link import ACCESS, CHUNKS, HEADS, Link, pieces
from groundtune.types import Chunk

VISIBLE_WITHIN = 60.0  # seconds
_MOST, _LARGEST = 200, 4_000_000  # objects and about how many bytes of one request
_ANY = "-"  # so that the list of facets is never empty
# Weaviate counts a word of the question that is repeated that many times as much.
_REPEATS = 4
_SHOWN = ("chunk_id", "document_id", "version", "text", "start", "end", "digest", "title", "heading", "page")


class WeaviateStore(OuterStore):
    """Implements ``ports.Store``. ``visible_within`` in seconds is how long ``apply`` waits for the vector index, which a
    server with ASYNC_INDEXING fills in the background.
    """

    def __init__(self, address: str, name: str, *, visible_within: float = VISIBLE_WITHIN) -> None:
        self.place = f"weaviate:{address}#{name}"
        self.visible_within = visible_within
        self._name = name
        self._lock = threading.RLock()
        self._tenants: dict[str, Any] = {}
        self._link: Link | None = Link(address)
        # also when the store is forgotten and when the program ends
        self._finish = weakref.finalize(self, self._link.client.close)

    def __repr__(self) -> str:
        return f"WeaviateStore({self.place!r})"

    # -- writing -------------------------------------------------------------------------------------------------------

    def apply(self, entries: Sequence[Outgoing], deleted: Sequence[str] = ()) -> int:
        """See ``OuterStore.apply``."""
        dimension = check_vectors(entries)
        with self._lock:
            chunks, heads = self._tenant(CHUNKS, bool(entries)), self._tenant(HEADS, bool(entries))
            if chunks is None or heads is None:
                return 0
            held = self._dimension(chunks) if dimension else 0
            if held and held != dimension:
                raise StoreError("store.dimension", place=self.place, held=held, given=dimension)
            made = [_objects(entry) for entry in entries]
            gone = [head_id(document_id) for document_id in dict.fromkeys(deleted)]
            known = self._known(heads, gone) if gone else set()
            mark = uuid.uuid4().hex
            # a document whose first chunks are being written is known by its unfinished head
            new = self._new(heads, entries)
            self._insert(heads, [_head(entry, unfinished=True) for entry in new])
            self._insert(chunks, [self._object(mark, *one) for objects in made for one in objects])
            self._insert(heads, [_head(entry) for entry in entries])
            self._remove(chunks, [entry.document.id for entry in entries], mark)
            self._remove(chunks, [document_id for document_id in deleted if head_id(document_id) in known], "")
            self._remove_heads(heads, sorted(known))
            self._wait(chunks, entries, mark)
            return len(known)

    def _new(self, heads: Any, entries: Sequence[Outgoing]) -> list[Outgoing]:  # noqa: ANN401
        held = self._known(heads, [head_id(entry.document.id) for entry in entries])
        return [entry for entry in entries if entry.chunks and head_id(entry.document.id) not in held]

    def _known(self, heads: Any, ids: Sequence[str]) -> set[str]:  # noqa: ANN401
        from weaviate.classes.query import Filter

        found: set[str] = set()
        for start in range(0, len(ids), _MOST):
            part = list(ids[start : start + _MOST])
            reply = self._call(
                lambda part=part: heads.query.fetch_objects(
                    filters=Filter.by_id().contains_any(part), limit=len(part), return_properties=[]
                )
            )
            found.update(str(one.uuid) for one in reply.objects)
        return found

    def _object(self, mark: str, properties: dict[str, Any], vector: list[float] | None) -> Any:  # noqa: ANN401
        from weaviate.classes.data import DataObject

        named = chunk_uuid(properties["document_id"], properties["chunk_id"])
        return DataObject(properties={**properties, "written": mark}, uuid=named, vector=vector)

    def _insert(self, collection: Any, objects: Sequence[Any]) -> None:  # noqa: ANN401
        """Objects with an id that is there are replaced. Every failure of a single object counts."""
        weights = [len(str(one.properties.get("text", ""))) * 6 + 12 * len(one.vector or ()) + 500 for one in objects]
        for batch in pieces(objects, weights, _MOST, _LARGEST):
            reply = self._call(lambda batch=batch: collection.data.insert_many(batch))
            if reply.has_errors:
                first = next(iter(reply.errors.values()))
                assert self._link is not None
                raise self._link.refused(f"{len(reply.errors)} / {len(batch)}: {first.message}")

    def _remove(self, chunks: Any, documents: Sequence[str], mark: str) -> None:  # noqa: ANN401
        """Chunks of documents but those of this change."""
        from weaviate.classes.query import Filter

        for start in range(0, len(documents), _MOST):
            where = Filter.by_property("document_id").contains_any(list(documents[start : start + _MOST]))
            if mark:
                where = where & Filter.by_property("written").not_equal(mark)
            self._delete(chunks, where)

    def _remove_heads(self, heads: Any, ids: Sequence[str]) -> None:  # noqa: ANN401
        from weaviate.classes.query import Filter

        for start in range(0, len(ids), _MOST):
            self._delete(heads, Filter.by_id().contains_any(list(ids[start : start + _MOST])))

    def _delete(self, collection: Any, where: Any) -> None:  # noqa: ANN401
        """Everything that a filter lets through. A server deletes at most so many at once (10,000)."""
        while True:
            reply = self._call(lambda: collection.data.delete_many(where=where))
            if reply.failed:
                assert self._link is not None
                raise self._link.refused(f"{reply.failed} objects were not deleted")
            if not reply.successful:
                return

    def _wait(self, chunks: Any, entries: Sequence[Outgoing], mark: str) -> None:  # noqa: ANN401
        """Vectors come into the index in order: the last one stands for all."""
        from weaviate.classes.query import Filter

        last = next((e for e in reversed(entries) if e.vectors is not None and len(e.vectors)), None)
        if last is None or last.vectors is None:
            return
        vector, chunk = _as_list(last.vectors[-1]), last.chunks[-1]
        named = chunk_uuid(chunk.document_id, chunk.id)
        where = Filter.by_id().equal(named) & Filter.by_property("written").equal(mark)

        def seen() -> bool:
            reply = self._call(
                lambda: chunks.query.near_vector(near_vector=vector, limit=1, filters=where, return_properties=[])
            )
            return bool(reply.objects)

        if not wait_for([seen], self.visible_within):
            raise StoreError("store.not_yet_visible", place=self.place, seconds=f"{self.visible_within:g}")

    # -- reading -------------------------------------------------------------------------------------------------------

    def listing(self) -> Iterable[Held]:
        """See ``OuterStore.listing``: reads the id and the vector of every object."""
        chunks, heads = self._tenant(CHUNKS, False), self._tenant(HEADS, False)
        if chunks is None or heads is None:
            return
        count: Counter[str] = Counter()
        vectors: Counter[str] = Counter()
        objects = self._call(lambda: list(chunks.iterator(include_vector=True, return_properties=["document_id"])))
        for one in objects:
            count[one.properties["document_id"]] += 1
            vectors[one.properties["document_id"]] += any(len(vector) for vector in one.vector.values())
        known = self._call(lambda: list(heads.iterator(return_properties=["document_id", "version", "stamp"])))
        for one in known:
            name = str(one.properties["document_id"])
            yield Held(name, str(one.properties["version"]), str(one.properties["stamp"]), count[name], vectors[name])

    def lexical(self, terms: Mapping[str, float], count: int, wanted: Needs) -> list[Found]:
        """See ``OuterStore.lexical``: Weaviate's BM25 over our terms."""
        from weaviate.classes.query import MetadataQuery

        chunks = self._tenant(CHUNKS, False)
        if chunks is None or not terms:
            return []
        words = " ".join(term for term, worth in terms.items() for _ in range(max(1, round(_REPEATS * worth))))
        reply = self._call(
            lambda: chunks.query.bm25(
                query=words, query_properties=["terms", "label_terms^0.5"], limit=count, filters=to_filter(wanted),
                return_metadata=MetadataQuery(score=True), return_properties=list(_SHOWN),
            )
        )  # fmt: skip
        return [Found(_chunk(one.properties), float(one.metadata.score or 0.0)) for one in reply.objects]

    def dense(self, vector: NDArray[Any], count: int, wanted: Needs) -> list[Found]:
        """See ``OuterStore.dense``."""
        from weaviate.classes.query import MetadataQuery

        chunks = self._tenant(CHUNKS, False)
        if chunks is None or self._dimension(chunks) != len(vector):
            return []
        reply = self._call(
            lambda: chunks.query.near_vector(
                near_vector=_as_list(vector), limit=count, filters=to_filter(wanted),
                return_metadata=MetadataQuery(distance=True), return_properties=list(_SHOWN),
            )
        )  # fmt: skip
        return [Found(_chunk(one.properties), 1.0 - float(one.metadata.distance or 0.0)) for one in reply.objects]

    def _dimension(self, chunks: Any) -> int:  # noqa: ANN401
        """Length of the vectors that are held, 0 without any."""
        from weaviate.classes.query import Filter

        where = Filter.by_property("dimension").greater_than(0)
        reply = self._call(lambda: chunks.query.fetch_objects(filters=where, limit=1, return_properties=["dimension"]))
        return int(reply.objects[0].properties["dimension"]) if reply.objects else 0

    def _tenant(self, collection: str, make: bool) -> Any:  # noqa: ANN401
        with self._lock:
            if self._link is None:
                raise StoreError("store.unreachable", place=self.place, reason="closed")
            if self._tenants.get(collection) is None:
                self._tenants[collection] = self._link.tenant(collection, self._name, make)
            return self._tenants[collection]

    def _call(self, request: Any) -> Any:  # noqa: ANN401
        if self._link is None:
            raise StoreError("store.unreachable", place=self.place, reason="closed")
        return self._link.call(request)

    def close(self) -> None:
        """See ``OuterStore.close``."""
        with self._lock:
            self._tenants = {}
            self._link = None
            self._finish()


def chunk_uuid(document_id: str, chunk_id: str) -> str:
    """Any ids as the UUID that Weaviate wants."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"chunk\n{document_id}\n{chunk_id}"))


def head_id(document_id: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"head\n{document_id}"))


def _head(entry: Outgoing, unfinished: bool = False) -> Any:  # noqa: ANN401 - DataObject
    from weaviate.classes.data import DataObject

    version = entry.chunks[0].version if entry.chunks else entry.document.version
    properties = {
        "document_id": entry.document.id,
        "version": "" if unfinished else version,
        "stamp": "" if unfinished else entry.stamp,
    }
    return DataObject(properties=properties, uuid=head_id(entry.document.id))


def _objects(entry: Outgoing) -> list[tuple[dict[str, Any], list[float] | None]]:
    """Properties and vector of each chunk."""
    metadata = entry.document.metadata
    rights = dict(zip(ACCESS, map(list, access_fields(metadata)), strict=True))
    shared = {"facets": [_ANY, *facets(metadata)], **rights}
    vectors = [None] * len(entry.chunks) if entry.vectors is None else [_as_list(row) for row in entry.vectors]
    return [
        (
            {
                "chunk_id": chunk.id, "document_id": chunk.document_id, "version": chunk.version, "text": chunk.text,
                "start": chunk.start, "end": chunk.end, "digest": chunk.digest, "title": chunk.title,
                "heading": chunk.heading, "page": -1 if chunk.page is None else chunk.page,
                "terms": body, "label_terms": label, "dimension": len(vector or ()), **shared,
            },
            vector,
        )
        for chunk, (label, body), vector in zip(entry.chunks, entry.search_terms(), vectors, strict=True)
    ]  # fmt: skip


def _chunk(properties: Mapping[str, Any]) -> Chunk:
    values = {name: properties[name] for name in _SHOWN}
    page = int(values.pop("page"))
    start, end = int(values.pop("start")), int(values.pop("end"))
    named = {name.removeprefix("chunk_") if name == "chunk_id" else name: str(text) for name, text in values.items()}
    return Chunk(**named, start=start, end=end, page=None if page < 0 else page)


def to_filter(wanted: Needs) -> Any:  # noqa: ANN401 - a filter of the client, None when nothing is asked
    """The same question in Weaviate's filter language."""
    from weaviate.classes.query import Filter

    parts: list[Any] = []
    if wanted.documents is not None:
        parts.append(Filter.by_property("document_id").contains_any(list(wanted.documents)))
    parts.extend(Filter.by_property("facets").contains_any(list(group)) for group in wanted.every)
    if wanted.absent:
        parts.append(Filter.by_property("facets").contains_none(list(wanted.absent)))
    if wanted.reader is not None:
        parts.extend(Filter.by_property(name).contains_any(list(wanted.reader)) for name in ACCESS)
    return Filter.all_of(parts) if len(parts) > 1 else parts[0] if parts else None


def _as_list(vector: NDArray[Any]) -> list[float]:
    return [float(value) for value in np.asarray(vector, dtype=np.float32)]


def open_store(place: str) -> WeaviateStore:
    """Factory of the ``weaviate:`` provider. A key is read from WEAVIATE_API_KEY only; a server without keys needs none.

    Raises ``StoreError`` when the server cannot be reached or refuses the key, ``MissingExtra``.
    """
    where = Place.read(place)
    return WeaviateStore(where.address, where.name)
