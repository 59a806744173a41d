"""The connection to Pinecone: two indexes of one name, requests with the SDK's errors turned into ours, and waiting until
what was written can be read.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from groundtune.errors import StoreError
from groundtune.registry import missing
from groundtune.store.pinecone_records import NO_TERM, Record, batches, no_terms

Result = TypeVar("Result")
READY_WITHIN = 300  # seconds until a new index must be ready
_FETCH = 100  # ids in one request: they travel in its address
_DELETE = 1000
_TRIES = 5


class Link:
    """Holds the key; no error and no ``repr`` of it does. Raises ``StoreError`` for everything that goes wrong."""

    def __init__(self, place: str, key: str) -> None:
        self.place = place
        self._key = key
        try:
            import pinecone
        except ModuleNotFoundError as error:
            raise missing(error, place) from error
        self._sdk = pinecone
        self._client = self.call(lambda: pinecone.Pinecone(api_key=key, retry_config=pinecone.RetryConfig(_TRIES)))

    def __repr__(self) -> str:
        return f"Link({self.place!r})"

    def call(self, request: Callable[[], Result]) -> Result:
        """``request()``; the SDK itself tries again after 429 (as long as it is told to wait) and 5xx."""
        sdk = self._sdk
        try:
            return request()
        except (sdk.UnauthorizedError, sdk.ForbiddenError) as error:
            reason = self._clean(error)
            raise StoreError("store.key_refused", place=self.place, variable=VARIABLE, reason=reason) from None
        except sdk.ApiError as error:
            if error.status_code in (408, 429) or error.status_code >= 500:
                raise StoreError("store.unreachable", place=self.place, reason=self._clean(error)) from None
            raise StoreError("store.refused", place=self.place, reason=self._clean(error)) from None
        except sdk.PineconeError as error:
            kinds = {kind.__name__ for kind in type(error).__mro__}
            away = kinds & {"PineconeConnectionError", "PineconeTimeoutError"}
            key = "store.unreachable" if away else "store.refused"
            raise StoreError(key, place=self.place, reason=self._clean(error)) from None

    def _clean(self, error: object) -> str:
        return " ".join(str(error).replace(self._key, "***").split())[:300]

    def tables(self, base: str, known: Mapping[int, Table]) -> dict[int, Table]:
        """The indexes of a name by the length of their vectors (0: words). Those that are ``known`` are kept."""
        found: dict[int, Table] = {}
        for described in self.call(lambda: list(self._client.indexes.list())):
            dimension = dimension_of(described)
            if described.name == index_name(base, dimension) and described.host:
                found[dimension] = known.get(dimension) or self._opened(str(described.host), dimension)
        return found

    def _opened(self, host: str, dimension: int) -> Table:
        return Table(self, self.call(lambda: self._client.index(host=host)), dimension)

    def made(self, base: str, dimension: int) -> Table:
        """A new index; dimension 0: of sparse vectors. Somebody else may have made it meanwhile."""
        name = index_name(base, dimension)
        spec = self._sdk.ServerlessSpec(
            cloud=os.environ.get("PINECONE_CLOUD", "aws"), region=os.environ.get("PINECONE_REGION", "us-east-1")
        )
        kind: dict[str, Any] = {"dimension": dimension, "metric": "cosine"}
        if not dimension:
            kind = {"vector_type": "sparse", "metric": "dotproduct"}
        try:
            self.call(lambda: self._client.indexes.create(name=name, spec=spec, timeout=READY_WITHIN, **kind))
        except StoreError:
            if not self.call(lambda: self._client.indexes.exists(name)):
                raise
        described = self.call(lambda: self._client.indexes.describe(name))
        return self._opened(str(described.host), dimension)

    def close(self) -> None:
        close = getattr(self._client, "close", None)
        if close is not None:
            close()


VARIABLE = "PINECONE_API_KEY"


def index_name(base: str, dimension: int) -> str:
    """``base-words`` or ``base-v256``."""
    return f"{base}-v{dimension}" if dimension else f"{base}-words"


def dimension_of(described: Any) -> int:  # noqa: ANN401 - IndexModel of SDK 9 or 10
    """Length of an index's vectors, 0 for sparse ones."""
    if hasattr(described, "schema") and described.schema is not None:
        lengths = [getattr(field, "dimension", 0) or 0 for field in described.schema.fields.values()]
        return max(lengths, default=0)
    return int(described.dimension or 0)


class Table:
    """One index. ``dimension`` 0: it holds sparse vectors."""

    def __init__(self, link: Link, index: Any, dimension: int) -> None:  # noqa: ANN401
        self.link, self.dimension = link, dimension
        self._index = index
        self._fence = f"~{uuid.uuid4().hex}"
        self._fenced: set[str] = set()

    def upsert(self, records: Sequence[Record], namespace: str) -> None:
        for batch in batches(records):
            self.link.call(lambda batch=batch: self._index.upsert(vectors=batch, namespace=namespace))  # type: ignore[misc]

    def delete(self, ids: Sequence[str], namespace: str) -> None:
        for start in range(0, len(ids), _DELETE):
            part = list(ids[start : start + _DELETE])
            self.link.call(lambda part=part: self._index.delete(ids=part, namespace=namespace))  # type: ignore[misc]

    def fetch(self, ids: Sequence[str], namespace: str) -> dict[str, Mapping[str, Any]]:
        """Metadata by id of those that are there."""
        found: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(ids), _FETCH):
            part = list(ids[start : start + _FETCH])
            reply = self.link.call(lambda part=part: self._index.fetch(ids=part, namespace=namespace))  # type: ignore[misc]
            found.update({name: vector.metadata or {} for name, vector in reply.vectors.items()})
        return found

    def ids(self, namespace: str, prefix: str = "") -> Iterator[str]:
        """Ids of records, without fences."""
        token: str | None = None
        while True:
            page = self.link.call(
                lambda token=token: self._index.list_paginated(  # type: ignore[misc]
                    prefix=prefix or None, pagination_token=token, namespace=namespace
                )
            )
            yield from (item.id for item in page.vectors if not item.id.startswith("~"))
            token = page.pagination.next if page.pagination is not None else None
            if not token:
                return

    def query(self, values: Record, count: int, filter: Record | None, namespace: str) -> list[tuple[str, float, Any]]:
        """``(id, score, metadata)``, best first, without fences."""
        reply = self.link.call(
            lambda: self._index.query(
                top_k=min(count + 1, 10_000), namespace=namespace, filter=filter, include_metadata=True, **values
            )
        )
        found = [(one.id, float(one.score), one.metadata or {}) for one in reply.matches]
        return [one for one in found if not one[0].startswith("~")][:count]

    def count(self, namespace: str) -> int:
        """Records of a namespace, about."""
        stats = self.link.call(self._index.describe_index_stats)
        held = stats.namespaces.get(namespace)
        return int(held.vector_count) if held is not None else 0

    # -- visible -------------------------------------------------------------------------------------------------------

    def fence(self, namespace: str) -> Callable[[], bool]:
        """Write a mark after everything that was written so far; the function says whether searches see it. Writes of a
        namespace become visible in their order, so that what went before is visible too.
        """
        mark = uuid.uuid4().hex
        values = {"values": _first_axis(self.dimension)} if self.dimension else {"sparse_values": no_terms()}
        self.upsert([{"id": self._fence, "metadata": {"fence": mark}, **values}], namespace)
        self._fenced.add(namespace)
        asked: Record = {"vector": _first_axis(self.dimension)}
        if not self.dimension:
            asked = {"sparse_vector": {"indices": [NO_TERM], "values": [1.0]}}

        def seen() -> bool:
            reply = self.link.call(
                lambda: self._index.query(top_k=1, namespace=namespace, filter={"fence": {"$eq": mark}}, **asked)
            )
            return bool(reply.matches)

        return seen

    def close(self) -> None:
        """Take the marks away again."""
        try:
            for namespace in self._fenced:
                self.delete([self._fence], namespace)
        finally:
            self._fenced.clear()
            self._index.close()


def _first_axis(dimension: int) -> list[float]:
    return [1.0] + [0.0] * (dimension - 1)
