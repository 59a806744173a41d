"""A Pinecone of this computer for the real SDK (API 2025-10 of SDK 9 and 2026-07 of SDK 10): control plane and data
plane, request checks and limits as documented, 429 with Retry-After, and writes that are readable only after a while.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from vendor_servers.pinecone_filters import BadRequest
from vendor_servers.pinecone_index import LARGEST_BODY, PAGE, PineconeIndex

KEY = "pcsk_test_0123456789abcdefghij"
_VERSIONS = ("2025-10", "2026-07")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?")


class PineconeServer:
    """``lag``: seconds until a write can be read. ``failures``: (path part, status, Retry-After) that the next matching
    requests get. ``seen``: (method, path, body) of every request.
    """

    def __init__(self, *, lag: float = 0.0, lsn: bool = True) -> None:
        self.lag, self.lsn = lag, lsn
        self.indexes: dict[str, PineconeIndex] = {}
        self.failures: list[tuple[str, int, str]] = []
        self.seen: list[tuple[str, str, Any]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> PineconeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> tuple[int, Any, dict[str, str]]:
        with self._lock:
            parts = urlsplit(target)
            try:
                body = json.loads(raw) if raw else None
            except ValueError:
                return 400, _error("INVALID_ARGUMENT", "the body is not JSON"), {}
            self.seen.append((method, parts.path, body))
            if headers.get("api-key") != KEY:
                return 401, _error("UNAUTHENTICATED", "Invalid API Key"), {}
            version = headers.get("x-pinecone-api-version", "")
            if version not in _VERSIONS:
                return 400, _error("INVALID_ARGUMENT", f"unknown API version {version!r}"), {}
            for place, (part, status, wait) in enumerate(self.failures):
                if part in parts.path:
                    del self.failures[place]
                    extra = {"Retry-After": wait} if wait else {}
                    return status, _error("RESOURCE_EXHAUSTED" if status == 429 else "UNKNOWN", "try again"), extra
            try:
                return self._route(method, parts.path, parse_qs(parts.query), body, len(raw), version)
            except BadRequest as error:
                return 400, {"code": 3, "message": str(error), "details": []}, {}
            except LookupError as error:
                return 404, _error("NOT_FOUND", str(error)), {}

    def _route(
        self,
        method: str,
        path: str,
        query: dict[str, list[str]],
        body: Any,
        size: int,
        version: str,  # noqa: ANN401
    ) -> tuple[int, Any, dict[str, str]]:
        if path == "/indexes":
            if method == "GET":
                return 200, {"indexes": [self._described(index, version) for index in self.indexes.values()]}, {}
            return self._create(body, version)
        if path.startswith("/indexes/"):
            name = path.removeprefix("/indexes/")
            if name not in self.indexes:
                raise LookupError(f"Resource {name} not found")
            if method == "DELETE":
                del self.indexes[name]
                return 202, {}, {}
            return 200, self._described(self.indexes[name], version), {}
        match = re.fullmatch(r"/at/([^/]+)(/.*)", path)
        if not match or match[1] not in self.indexes:
            raise LookupError(f"nothing at {path}")
        answer, headers = self._data(self.indexes[match[1]], method, match[2], query, body, size)
        return 200, answer, headers if self.lsn else {}

    @staticmethod
    def _data(
        index: PineconeIndex,
        method: str,
        path: str,
        query: dict[str, list[str]],
        body: Any,
        size: int,  # noqa: ANN401
    ) -> tuple[Any, dict[str, str]]:
        namespace = unquote(query.get("namespace", [""])[0])
        if (method, path) == ("POST", "/vectors/upsert"):
            if size > LARGEST_BODY:
                raise BadRequest(f"Request size {size} exceeds the limit of {LARGEST_BODY} bytes")
            return index.upsert(body)
        if (method, path) == ("POST", "/vectors/delete"):
            return index.delete(body)
        if (method, path) == ("POST", "/query"):
            return index.query(body)
        if (method, path) == ("GET", "/vectors/fetch"):
            return index.fetch(query.get("ids", []), namespace)
        if (method, path) == ("GET", "/vectors/list"):
            limit = int(query.get("limit", [str(PAGE)])[0])
            return index.list(namespace, query.get("prefix", [""])[0], limit, query.get("paginationToken", [""])[0])
        if (method, path) == ("POST", "/describe_index_stats"):
            return index.stats()
        raise LookupError(f"nothing at {path}")

    def _create(self, body: dict[str, Any], version: str) -> tuple[int, Any, dict[str, str]]:
        name = body.get("name", "")
        if not _NAME.fullmatch(name):
            raise BadRequest("Name must consist of lower case alphanumeric characters or '-', 45 at most")
        if name in self.indexes:
            return 409, _error("ALREADY_EXISTS", "Resource already exists"), {}
        dimension, metric = _schema(body) if version == "2026-07" else _spec(body)
        if dimension is not None and not 1 <= dimension <= 20_000:
            raise BadRequest("dimension must be between 1 and 20000")
        self.indexes[name] = PineconeIndex(name, dimension=dimension, metric=metric, lag=self.lag)
        return 201, self._described(self.indexes[name], version), {}

    def _described(self, index: PineconeIndex, version: str) -> dict[str, Any]:
        place = {"cloud": "aws", "region": "us-east-1"}
        host = f"{self.url}/at/{index.name}"
        shown = {"name": index.name, "host": host, "deletion_protection": "disabled"}
        shown["status"] = {"ready": True, "state": "Ready"}  # type: ignore[assignment]
        if version == "2026-07":
            dense = {"type": "dense_vector", "dimension": index.dimension, "metric": index.metric}
            fields = {"_sparse_values": {"type": "sparse_vector"}} if index.sparse else {"_values": dense}
            return {**shown, "schema": {"fields": fields}, "deployment": {"deployment_type": "managed", **place}}
        kind = {"vector_type": "sparse"} if index.sparse else {"vector_type": "dense", "dimension": index.dimension}
        return {**shown, **kind, "metric": index.metric, "spec": {"serverless": place}}


def _schema(body: dict[str, Any]) -> tuple[int | None, str]:
    """Dimension (None: sparse) and metric of a create request of 2026-07; only what the vectors API serves."""
    if unknown := set(body) - {"name", "schema", "deployment", "tags", "deletion_protection", "read_capacity"}:
        raise BadRequest(f"unknown field {sorted(unknown)[0]}")
    fields = body.get("schema", {}).get("fields", {})
    if set(fields) == {"_values"} and fields["_values"].get("type") == "dense_vector":
        return int(fields["_values"]["dimension"]), str(fields["_values"]["metric"])
    if set(fields) == {"_sparse_values"} and fields["_sparse_values"].get("type") == "sparse_vector":
        return None, "dotproduct"
    raise BadRequest("this index would be a document index: the vectors API does not serve it")


def _spec(body: dict[str, Any]) -> tuple[int | None, str]:
    """The same of 2025-10."""
    known = {"name", "spec", "dimension", "metric", "vector_type", "tags", "deletion_protection"}
    if unknown := set(body) - known:
        raise BadRequest(f"unknown field {sorted(unknown)[0]}")
    place = body.get("spec", {}).get("serverless", {})
    if not {"cloud", "region"} <= set(place):
        raise BadRequest("spec.serverless needs cloud and region")
    metric = body.get("metric", "cosine")
    if body.get("vector_type", "dense") == "sparse":
        if "dimension" in body or metric != "dotproduct":
            raise BadRequest("Sparse indexes take no dimension and the metric dotproduct")
        return None, metric
    if metric not in ("cosine", "euclidean", "dotproduct"):
        raise BadRequest(f"unknown metric {metric}")
    return int(body["dimension"]), metric


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}, "status": 0}


def _handler(server: PineconeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: two would wait for each other (delayed acknowledgement)
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {key.lower(): value for key, value in self.headers.items()}
            status, body, extra = server.answer(self.command, self.path, headers, raw)
            data = json.dumps(body, ensure_ascii=False).encode("utf-8")
            self.send_response(status)
            merged = {"Content-Type": "application/json", "Content-Length": str(len(data)), **extra}
            for key, value in merged.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = do_PATCH = _answer

        def log_message(self, *_: object) -> None:
            return

    return Handler
