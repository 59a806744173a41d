"""A server that speaks Qdrant's HTTP protocol: each request must fit the models that the vendor's client generates from its
OpenAPI description, and is carried out by the client's own local mode.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local_server import LocalServer, Reply, Seen
from pydantic import BaseModel, ValidationError
from qdrant_client import QdrantClient
from qdrant_client.http import models


class QdrantServer:
    """``with QdrantServer() as server: server.url``; ``key`` is what clients must send when given."""

    def __init__(self, key: str = "") -> None:
        self._local = QdrantClient(":memory:")
        self._lock = threading.Lock()
        self._key = key
        self._server = LocalServer(self._answer)
        self.indexes: set[tuple[str, str]] = set()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def seen(self) -> list[Seen]:
        return self._server.seen

    def __enter__(self) -> QdrantServer:
        self._server.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._server.__exit__(*error)
        self._local.close()

    def _answer(self, seen: Seen) -> Reply:
        path = urlsplit(seen.path)
        if self._key and seen.headers.get("api-key") != self._key:
            return Reply({"status": {"error": "Must provide an API key"}, "time": 0.0}, 401)
        for method, pattern, action in _ROUTES:
            found = re.fullmatch(pattern, path.path)
            if found and method == seen.method:
                try:
                    with self._lock:
                        result = action(self, found.group("name"), seen.body)
                except ValidationError as error:
                    return Reply({"status": {"error": f"Format error in JSON body: {error}"}, "time": 0.0}, 400)
                except ValueError as error:
                    status = 404 if "not found" in str(error) else 400
                    return Reply({"status": {"error": str(error)}, "time": 0.0}, status)
                if method != "GET" and "/points" in path.path and parse_qs(path.query).get("wait") == ["false"]:
                    return Reply({"status": {"error": "these tests want acknowledged writes"}, "time": 0.0}, 400)
                return Reply({"result": _plain(result), "status": "ok", "time": 0.001})
        return Reply({"status": {"error": f"no such route {seen.method} {path.path}"}, "time": 0.0}, 404)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, dict) else value


def _read(kind: type[BaseModel], body: Any) -> Any:
    """Unknown fields are refused too, so that a misspelt one cannot go unnoticed."""
    unknown = set(body or {}) - {field.alias or name for name, field in kind.model_fields.items()}
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    return kind.model_validate(body or {})


def _exists(server: QdrantServer, name: str, body: Any) -> Any:
    return {"exists": server._local.collection_exists(name)}


def _create(server: QdrantServer, name: str, body: Any) -> Any:
    asked = _read(models.CreateCollection, body)
    if server._local.collection_exists(name):
        raise ValueError(f"Collection `{name}` already exists!")
    return server._local.create_collection(
        name, vectors_config=asked.vectors or {}, sparse_vectors_config=asked.sparse_vectors
    )


def _info(server: QdrantServer, name: str, body: Any) -> Any:
    return server._local.get_collection(name)


def _drop(server: QdrantServer, name: str, body: Any) -> Any:
    server.indexes = {pair for pair in server.indexes if pair[0] != name}
    return server._local.delete_collection(name)


def _index(server: QdrantServer, name: str, body: Any) -> Any:
    asked = _read(models.CreateFieldIndex, body)
    server.indexes.add((name, asked.field_name))
    return models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)


def _upsert(server: QdrantServer, name: str, body: Any) -> Any:
    asked = _read(models.PointsList, body)
    return server._local.upsert(name, points=asked.points)


def _retrieve(server: QdrantServer, name: str, body: Any) -> Any:
    asked = _read(models.PointRequest, body)
    return server._local.retrieve(name, asked.ids, with_payload=asked.with_payload, with_vectors=asked.with_vector)


def _scroll(server: QdrantServer, name: str, body: Any) -> Any:
    asked = _read(models.ScrollRequest, body)
    points, offset = server._local.scroll(
        name,
        scroll_filter=asked.filter,
        limit=asked.limit or 10,
        offset=asked.offset,
        with_payload=asked.with_payload,
        with_vectors=asked.with_vector,
    )
    return {"points": points, "next_page_offset": offset}


def _delete(server: QdrantServer, name: str, body: Any) -> Any:
    asked = _read(models.FilterSelector, body)
    _must_be_indexed(server, name, asked.filter)
    return server._local.delete(name, points_selector=asked)


def _query(server: QdrantServer, name: str, body: Any) -> Any:
    asked = _read(models.QueryRequest, body)
    _must_be_indexed(server, name, asked.filter)
    return server._local.query_points(
        name,
        query=asked.query.nearest if isinstance(asked.query, models.NearestQuery) else asked.query,
        using=asked.using,
        query_filter=asked.filter,
        limit=asked.limit or 10,
        with_payload=asked.with_payload,
    )


def _must_be_indexed(server: QdrantServer, name: str, filter: models.Filter | None) -> None:
    """As a server in strict mode: filters only over indexed keys."""
    if filter is None:
        return
    for part in (*(filter.must or []), *(filter.must_not or [])):
        if (name, part.key) not in server.indexes:
            raise ValueError(f"Index required but not found for {part.key}")


_ROUTES: tuple[tuple[str, str, Callable[[QdrantServer, str, Any], Any]], ...] = (
    ("GET", r"/collections/(?P<name>[^/]+)/exists", _exists),
    ("PUT", r"/collections/(?P<name>[^/]+)", _create),
    ("GET", r"/collections/(?P<name>[^/]+)", _info),
    ("DELETE", r"/collections/(?P<name>[^/]+)", _drop),
    ("PUT", r"/collections/(?P<name>[^/]+)/index", _index),
    ("PUT", r"/collections/(?P<name>[^/]+)/points", _upsert),
    ("POST", r"/collections/(?P<name>[^/]+)/points", _retrieve),
    ("POST", r"/collections/(?P<name>[^/]+)/points/scroll", _scroll),
    ("POST", r"/collections/(?P<name>[^/]+)/points/delete", _delete),
    ("POST", r"/collections/(?P<name>[^/]+)/points/query", _query),
)
