"""``qdrant:http://host:6333#name`` (a server) or ``qdrant:folder#name`` (inside this process, for trying things out).

Two collections: ``name`` holds the chunks with their search terms as sparse vectors, under Qdrant's own inverse document
frequencies, and one entry per document; ``name-vectors`` holds the vectors of an embedder.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import StoreError
from groundtune.store.outer import Found, Held, OuterStore, Outgoing, Place, check_vectors
from groundtune.store.payload import ACCESS_FIELDS, Needs, access_fields, facets
from groundtune.store.sparse import of_chunk, of_question
from groundtune.types import Chunk

VARIABLE = "QDRANT_API_KEY"
_WORDS, _MEANING = "words", "meaning"
_BODY = ("id", "document_id", "version", "text", "start", "end", "digest", "title", "heading", "page")
_SPACE = uuid.UUID("6f1c3c1e-9a2b-5d55-8f0e-2b7a1f6b7d11")
_BATCH, _PAGE, _SECONDS = 200, 1_000, 120


@dataclass
class _Folder:
    """A client inside this process: only one may have a folder open, and one thread at a time may use it."""

    client: Any
    users: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)


_FOLDERS: dict[str, _Folder] = {}
_FOLDERS_LOCK = threading.Lock()


class QdrantStore(OuterStore):
    """A search index in two collections. Safe to use from several threads; a server also from several processes."""

    def __init__(self, address: str, name: str) -> None:
        """Connect; makes the collections when missing. Raises ``StoreError`` or ``MissingExtra``."""
        import qdrant_client

        self._place, self._name, self._vectors = f"qdrant:{address}#{name}", name, f"{name}-vectors"
        self._folder: _Folder | None = None
        self._open = True
        if "://" in address:
            key = os.environ.get(VARIABLE) or None
            self._client: Any = qdrant_client.QdrantClient(
                url=address, api_key=key, timeout=_SECONDS, check_compatibility=False
            )
        else:
            self._folder = _shared(address, lambda: qdrant_client.QdrantClient(path=address), self._place)
            self._client = self._folder.client
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        from qdrant_client import models

        with self._asking() as client:
            if client.collection_exists(self._name):
                return
            words = models.SparseVectorParams(modifier=models.Modifier.IDF)
            client.create_collection(self._name, vectors_config={}, sparse_vectors_config={_WORDS: words})
            self._index(client, self._name)

    def _index(self, client: Any, name: str) -> None:  # noqa: ANN401 - the package's client
        """Let the server find chunks by what filters ask for; inside this process everything is looked at anyway."""
        if self._folder is not None:
            return
        for key in ("document_id", "run", "facets", *_access_keys(), *(("kind",) if name == self._name else ())):
            client.create_payload_index(name, field_name=key, field_schema="keyword", wait=True)

    # -- writing ---------------------------------------------------------------------------------------------------

    def apply(self, entries: Sequence[Outgoing], deleted: Sequence[str] = ()) -> int:
        """New chunks are written and the entry of their document, then what an earlier run wrote goes."""
        size = check_vectors(entries)
        gone, run = list(dict.fromkeys(deleted)), uuid.uuid4().hex
        words = [point for entry in entries for point in _word_points(entry, run)]
        replaced = [entry.document.id for entry in entries]
        with self._asking() as client:
            with_vectors = self._fit(client, size)
            there = len(client.retrieve(self._name, [_head_id(one) for one in gone], with_payload=False)) if gone else 0
            if with_vectors:
                _put(client, self._vectors, [point for entry in entries for point in _vector_points(entry, run)])
            _put(client, self._name, words)
            for name in (self._name, self._vectors) if with_vectors else (self._name,):
                if gone:
                    client.delete(name, _selector(gone, None), wait=True)
                if replaced:
                    client.delete(name, _selector(replaced, run), wait=True)
        return there

    def _fit(self, client: Any, size: int) -> bool:  # noqa: ANN401
        """Make room for vectors of this many numbers; those of another length go. True when there are vectors."""
        from qdrant_client import models

        held = self._size(client)
        if not size or held == size:
            return bool(held)
        if held:
            client.delete_collection(self._vectors)
        params = models.VectorParams(size=size, distance=models.Distance.COSINE)
        client.create_collection(self._vectors, vectors_config={_MEANING: params})
        self._index(client, self._vectors)
        return True

    def _size(self, client: Any) -> int:  # noqa: ANN401
        if not client.collection_exists(self._vectors):
            return 0
        return int(client.get_collection(self._vectors).config.params.vectors[_MEANING].size)

    # -- reading ---------------------------------------------------------------------------------------------------

    def listing(self) -> Iterable[Held]:
        """Everything that is held, by id."""
        heads: dict[str, Mapping[str, Any]] = {}
        chunks: Counter[str] = Counter()
        vectors: Counter[str] = Counter()
        with self._asking() as client:
            for payload in _scroll(client, self._name, ["document_id", "kind", "version", "stamp"]):
                if payload["kind"] == "document":
                    heads[payload["document_id"]] = payload
                else:
                    chunks[payload["document_id"]] += 1
            if self._size(client):
                vectors.update(one["document_id"] for one in _scroll(client, self._vectors, ["document_id"]))
        ids = sorted({*heads, *chunks, *vectors})  # what lost its entry is still there to be found and repaired
        missing: dict[str, Any] = {"version": "", "stamp": ""}
        found = [(one, heads.get(one, missing)) for one in ids]
        return [Held(one, head["version"], head["stamp"], chunks[one], vectors[one]) for one, head in found]

    def lexical(self, terms: Mapping[str, float], count: int, wanted: Needs) -> list[Found]:
        """Chunks by the dot product of sparse vectors."""
        from qdrant_client import models

        asked = of_question(terms)
        query = models.SparseVector(indices=list(asked.indices), values=list(asked.values))
        with self._asking() as client:
            points = client.query_points(
                self._name,
                query=query,
                using=_WORDS,
                limit=count,
                query_filter=_filter(wanted),
                with_payload=list(_BODY),
            ).points
        return _sorted(Found(_chunk(point.payload), float(point.score)) for point in points if point.score > 0)

    def dense(self, vector: NDArray[Any], count: int, wanted: Needs) -> list[Found]:
        """Nearest by cosine."""
        with self._asking() as client:
            if self._size(client) != len(vector):
                return []
            query = np.asarray(vector, dtype=np.float32).tolist()
            points = client.query_points(
                self._vectors,
                query=query,
                using=_MEANING,
                limit=count,
                query_filter=_filter(wanted),
                with_payload=False,
            ).points
            ids = [point.id for point in points]
            held = client.retrieve(self._name, ids, with_payload=list(_BODY)) if ids else []
        chunks = {point.id: _chunk(point.payload) for point in held}
        return _sorted(Found(chunks[p.id], float(p.score)) for p in points if p.id in chunks)

    def close(self) -> None:
        """Let go of the client. Closing twice is allowed."""
        if not self._open:
            return
        self._open = False
        if self._folder is None:
            self._client.close()
            return
        with _FOLDERS_LOCK:
            self._folder.users -= 1
            if not self._folder.users:
                self._client.close()
                _FOLDERS.pop(next(key for key, one in _FOLDERS.items() if one is self._folder))

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        """The client; what it raises becomes ``StoreError``."""
        from qdrant_client.http.exceptions import ApiException, ResponseHandlingException

        lock = self._folder.lock if self._folder else threading.RLock()
        with lock:
            try:
                yield self._client
            except ResponseHandlingException as error:
                raise StoreError("store.unreachable", place=self._place, reason=_line(error)) from error
            except (ApiException, OSError) as error:
                raise StoreError("store.refused", place=self._place, reason=_line(error)) from error


def _shared(address: str, made: Callable[[], Any], place: str) -> _Folder:
    """The one client of a folder in this process."""
    key = os.path.abspath(address)
    with _FOLDERS_LOCK:
        held = _FOLDERS.get(key)
        if held is None:
            try:
                os.makedirs(key, exist_ok=True)
                held = _FOLDERS[key] = _Folder(made())
            except (RuntimeError, OSError) as error:  # another process has it open
                raise StoreError("store.unreachable", place=place, reason=_line(error)) from error
        held.users += 1
        return held


def _word_points(entry: Outgoing, run: str) -> Iterator[Any]:
    from qdrant_client import models

    about = _about(entry, run)
    for chunk, terms in zip(entry.chunks, entry.search_terms(), strict=True):
        made = of_chunk(terms)
        vector = {_WORDS: models.SparseVector(indices=list(made.indices), values=list(made.values))}
        payload = {name: getattr(chunk, name) for name in _BODY} | about | {"kind": "chunk"}
        yield models.PointStruct(id=_id(chunk.id), vector=vector, payload=payload)
    document = {"document_id": entry.document.id, "version": entry.document.version, "stamp": entry.stamp}
    yield models.PointStruct(
        id=_head_id(entry.document.id), vector={}, payload=document | {"kind": "document", "run": run}
    )


def _vector_points(entry: Outgoing, run: str) -> Iterator[Any]:
    from qdrant_client import models

    if entry.vectors is None:
        return
    payload = {"document_id": entry.document.id} | _about(entry, run)
    for chunk, row in zip(entry.chunks, np.asarray(entry.vectors, dtype=np.float32), strict=True):
        yield models.PointStruct(id=_id(chunk.id), vector={_MEANING: row.tolist()}, payload=payload)


def _about(entry: Outgoing, run: str) -> dict[str, Any]:
    metadata = entry.document.metadata
    fields = zip(_access_keys(), map(list, access_fields(metadata)), strict=True)
    return {"facets": facets(metadata), "run": run, **dict(fields)}


def _access_keys() -> tuple[str, ...]:
    return tuple(f"access_{place}" for place in range(1, ACCESS_FIELDS + 1))


def _put(client: Any, name: str, points: Sequence[Any]) -> None:  # noqa: ANN401
    for start in range(0, len(points), _BATCH):
        client.upsert(name, points=list(points[start : start + _BATCH]), wait=True)


def _selector(documents: Sequence[str], run: str | None) -> Any:  # noqa: ANN401
    """Everything of these documents, except what ``run`` wrote."""
    from qdrant_client import models

    kept = [models.FieldCondition(key="run", match=models.MatchValue(value=run))] if run else None
    return models.FilterSelector(filter=models.Filter(must=[_any("document_id", documents)], must_not=kept))


def _filter(wanted: Needs) -> Any:  # noqa: ANN401
    from qdrant_client import models

    must = [] if wanted.documents is None else [_any("document_id", wanted.documents)]
    must += [_any("facets", group) for group in wanted.every]
    if wanted.reader is not None:
        must += [_any(key, wanted.reader) for key in _access_keys()]
    absent = [_any("facets", wanted.absent)] if wanted.absent else []
    return models.Filter(must=must or None, must_not=absent or None) if must or absent else None


def _any(key: str, values: Sequence[str]) -> Any:  # noqa: ANN401
    from qdrant_client import models

    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


def _scroll(client: Any, name: str, keys: list[str]) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401
    offset = None
    while True:
        points, offset = client.scroll(name, limit=_PAGE, offset=offset, with_payload=keys)
        yield from (point.payload for point in points)
        if offset is None:
            return


def _id(name: str) -> str:
    return str(uuid.uuid5(_SPACE, f"chunk:{name}"))


def _head_id(document_id: str) -> str:
    return str(uuid.uuid5(_SPACE, f"document:{document_id}"))


def _chunk(payload: Mapping[str, Any]) -> Chunk:
    return Chunk(**{name: payload[name] for name in _BODY})


def _sorted(found: Iterable[Found]) -> list[Found]:
    return sorted(found, key=lambda one: (-one.score, one.chunk.id))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def open_store(place: str) -> QdrantStore:
    """Factory of the ``qdrant:`` provider."""
    read = Place.read(place)
    return QdrantStore(read.address, read.name)
