"""One Pinecone index: namespaces whose writes get a log sequence number and become readable after a while."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from vendor_servers.pinecone_filters import BadRequest, check_filter, check_metadata, matches

MOST_VECTORS = 1000  # per upsert
MOST_IDS = 1000  # per delete and fetch
MOST_SPARSE = 1000  # values of one sparse vector
MOST_RESULTS = 10_000
LARGEST_RESULT = 4 * 1024 * 1024
LARGEST_BODY = 2 * 1024 * 1024  # bytes of an upsert
PAGE = 100


@dataclass
class Namespace:
    """``written`` is the last log sequence number, ``indexed`` the last one that queries see."""

    written: int = 0
    indexed: int = 0
    log: list[tuple[int, float, str, Any]] = field(default_factory=list)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)


class PineconeIndex:
    """``lag`` in seconds is how long a write stays invisible."""

    def __init__(self, name: str, *, dimension: int | None, metric: str, lag: float) -> None:
        self.name, self.dimension, self.metric, self.lag = name, dimension, metric, lag
        self.namespaces: dict[str, Namespace] = {}
        self.deleted_protected = False

    @property
    def sparse(self) -> bool:
        return self.dimension is None

    # -- operations, each answers (body, headers) --------------------------------------------------------------------

    def upsert(self, body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        _only(body, {"vectors", "namespace"}, needed={"vectors"})
        vectors = body["vectors"]
        if not isinstance(vectors, list) or not vectors:
            raise BadRequest("At least one vector must be given")
        if len(vectors) > MOST_VECTORS:
            raise BadRequest(f"Batch size exceeds {MOST_VECTORS}: got {len(vectors)}")
        for vector in vectors:
            self._check_vector(vector)
        headers = self._write(body, "upsert", vectors)
        return {"upsertedCount": len(vectors)}, headers

    def delete(self, body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        _only(body, {"ids", "deleteAll", "namespace", "filter"})
        if sum(name in body for name in ("ids", "deleteAll", "filter")) != 1:
            raise BadRequest("exactly one of ids, deleteAll and filter must be given")
        if "ids" in body:
            self._check_ids(body["ids"])
        elif "filter" in body:
            check_filter(body["filter"])
            if not body["filter"]:
                raise BadRequest("Delete with empty metadata filter is not allowed")
        if body.get("namespace", "") not in self.namespaces:
            if "deleteAll" in body:
                raise LookupError("Namespace not found")
            return {}, {}
        return {}, self._write(body, "delete", body)

    def query(self, body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        known = {"topK", "vector", "sparseVector", "id", "namespace", "filter", "includeValues", "includeMetadata"}
        _only(body, known, needed={"topK"})
        if not isinstance(body["topK"], int) or not 1 <= body["topK"] <= MOST_RESULTS:
            raise BadRequest(f"topK must be between 1 and {MOST_RESULTS}")
        self._check_query(body)
        space = self._caught_up(body.get("namespace", ""))
        scored = [
            (self._score(record, body), name)
            for name, record in space.records.items()
            if matches(record.get("metadata", {}), body.get("filter") or {})
        ]
        # a sparse index returns only records that share a term with the query
        scored = sorted((s for s in scored if not self.sparse or s[0] > 0), key=lambda pair: (-pair[0], pair[1]))
        found = [_shown(name, space.records[name], body, score=score) for score, name in scored[: body["topK"]]]
        answer = {"matches": found, "namespace": body.get("namespace", ""), "usage": {"readUnits": 1}}
        if len(json.dumps(answer).encode()) > LARGEST_RESULT:
            raise BadRequest("The result exceeds 4 MB: lower topK or leave out values and metadata")
        return answer, {"x-pinecone-max-indexed-lsn": str(space.indexed)}

    def fetch(self, ids: list[str], namespace: str) -> tuple[Any, dict[str, str]]:
        self._check_ids(ids)
        space = self._caught_up(namespace)
        asked = {"includeValues": True, "includeMetadata": True}
        found = {name: _shown(name, space.records[name], asked) for name in ids if name in space.records}
        return {"vectors": found, "namespace": namespace, "usage": {"readUnits": 1}}, {}

    def list(self, namespace: str, prefix: str, limit: int, after: str) -> tuple[Any, dict[str, str]]:
        if not 1 <= limit <= PAGE:
            raise BadRequest(f"limit must be between 1 and {PAGE}")
        space = self._caught_up(namespace)
        names = sorted(name for name in space.records if name.startswith(prefix) and name > after)
        page = names[:limit]
        body: dict[str, Any] = {"vectors": [{"id": name} for name in page], "namespace": namespace}
        if len(names) > limit:
            body["pagination"] = {"next": page[-1]}
        return {**body, "usage": {"readUnits": 1}}, {}

    def stats(self) -> tuple[Any, dict[str, str]]:
        spaces = {name: {"vectorCount": len(self._caught_up(name).records)} for name in self.namespaces}
        total = sum(space["vectorCount"] for space in spaces.values())
        body = {"namespaces": spaces, "totalVectorCount": total, "indexFullness": 0.0}
        kind = {"vectorType": "sparse"} if self.sparse else {"vectorType": "dense", "dimension": self.dimension}
        return {**body, **kind, "metric": self.metric}, {}

    # -- checks --------------------------------------------------------------------------------------------------------

    def _check_vector(self, vector: object) -> None:
        if not isinstance(vector, dict):
            raise BadRequest("a vector must be an object")
        _only(vector, {"id", "values", "sparseValues", "metadata"}, needed={"id"})
        self._check_ids([vector["id"]])
        check_metadata(vector.get("metadata") or {})
        values, sparse = vector.get("values"), vector.get("sparseValues")
        if self.sparse:
            if values or sparse is None:
                raise BadRequest("Index configuration does not support dense values. Use sparse_values instead")
            _check_sparse(sparse)
            return
        if sparse is not None:
            raise BadRequest("Index configuration does not support sparse values")
        self._check_dense(values)
        if not any(values or ()):
            raise BadRequest("Dense vectors must contain at least one non-zero value")

    def _check_dense(self, values: object) -> None:
        if not isinstance(values, list) or not all(isinstance(value, int | float) for value in values):
            raise BadRequest("values must be a list of numbers")
        if len(values) != self.dimension:
            raise BadRequest(
                f"Vector dimension {len(values)} does not match the dimension of the index {self.dimension}"
            )

    def _check_query(self, body: dict[str, Any]) -> None:
        check_filter(body.get("filter") or {})
        if self.sparse:
            if body.get("vector") is not None or body.get("sparseVector") is None:
                raise BadRequest("Sparse index queries need a sparse vector and no dense one")
            _check_sparse(body["sparseVector"])
        elif body.get("sparseVector") is not None:
            raise BadRequest("Index configuration does not support sparse values")
        else:
            self._check_dense(body.get("vector"))

    @staticmethod
    def _check_ids(ids: object) -> None:
        if not isinstance(ids, list) or not ids:
            raise BadRequest("ids must be a non-empty list")
        if len(ids) > MOST_IDS:
            raise BadRequest(f"at most {MOST_IDS} ids")
        for name in ids:
            if not isinstance(name, str) or not 1 <= len(name) <= 512 or not name.isascii() or "\0" in name:
                raise BadRequest("Vector ID must be ASCII, 1 to 512 characters long")

    # -- the log -------------------------------------------------------------------------------------------------------

    def _write(self, body: dict[str, Any], kind: str, what: Any) -> dict[str, str]:  # noqa: ANN401
        space = self.namespaces.setdefault(body.get("namespace", ""), Namespace())
        space.written += 1
        space.log.append((space.written, time.monotonic() + self.lag, kind, what))
        return {"x-pinecone-request-lsn": str(space.written)}

    def _caught_up(self, namespace: str) -> Namespace:
        space = self.namespaces.get(namespace, Namespace())
        while space.log and space.log[0][1] <= time.monotonic():
            space.indexed, _, kind, what = space.log.pop(0)
            if kind == "upsert":
                space.records.update({vector["id"]: vector for vector in what})
            else:
                self._remove(space, what)
        return space

    @staticmethod
    def _remove(space: Namespace, body: dict[str, Any]) -> None:
        if body.get("deleteAll"):
            space.records.clear()
            return
        wanted = body.get("ids")
        for name in list(space.records):
            chosen = name in wanted if wanted else matches(space.records[name].get("metadata", {}), body["filter"])
            if chosen:
                del space.records[name]

    def _score(self, record: dict[str, Any], body: dict[str, Any]) -> float:
        if not self.sparse:
            a, b = record["values"], body["vector"]
            dot = sum(x * y for x, y in zip(a, b, strict=True))
            if self.metric == "cosine":
                dot /= max(1e-12, sum(x * x for x in a) ** 0.5 * sum(y * y for y in b) ** 0.5)
            return float(dot)
        held = dict(zip(record["sparseValues"]["indices"], record["sparseValues"]["values"], strict=True))
        asked = body["sparseVector"]
        return sum(held.get(i, 0.0) * v for i, v in zip(asked["indices"], asked["values"], strict=True))


def _shown(name: str, record: dict[str, Any], body: dict[str, Any], score: float | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": name} if score is None else {"id": name, "score": score}
    if body.get("includeValues"):
        shown |= {key: record[key] for key in ("values", "sparseValues") if key in record}
    if body.get("includeMetadata") and record.get("metadata"):
        shown["metadata"] = {k: float(v) if type(v) is int else v for k, v in record["metadata"].items()}
    return shown


def _only(body: object, known: set[str], needed: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    if not isinstance(body, dict):
        raise BadRequest("the body must be an object")
    if unknown := sorted(set(body) - known):
        raise BadRequest(f"unknown field {unknown[0]}")
    if absent := sorted(needed - set(body)):
        raise BadRequest(f"{absent[0]} is missing")


def _check_sparse(sparse: object) -> None:
    _only(sparse, {"indices", "values"}, needed={"indices", "values"})
    indices, values = sparse["indices"], sparse["values"]  # type: ignore[index]
    if len(indices) != len(values) or not indices:
        raise BadRequest("Sparse vectors need as many indices as values, and at least one")
    if len(indices) > MOST_SPARSE:
        raise BadRequest(f"Sparse vector size {len(indices)} exceeds the limit of {MOST_SPARSE}")
    if len(set(indices)) != len(indices):
        raise BadRequest("Sparse vector indices must be unique")
    if not all(isinstance(i, int) and 0 <= i < 2**32 for i in indices):
        raise BadRequest("Sparse vector indices must be unsigned 32-bit integers")
    if not all(isinstance(value, int | float) and value != 0 for value in values):
        raise BadRequest("Sparse vector values must be numbers other than zero")
