"""A Weaviate of this computer for the real client (v4): its REST schema API and its gRPC service, with the messages that
the client package ships. ``vector_lag`` seconds pass until the vector index has an object, as with ASYNC_INDEXING.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import numpy as np
from weaviate.proto.v1 import (
    batch_delete_pb2,
    batch_pb2,
    health_weaviate_pb2,
    properties_pb2,
    search_get_pb2,
    tenants_pb2,
    weaviate_pb2_grpc,
)

from vendor_servers.weaviate_data import Collection, Object, Refused

KEY = "weaviate-test-key-0123456789"
VERSION = "1.33.0"
MOST_DELETED = 10_000  # QUERY_MAXIMUM_RESULTS
_KNOWN = (
    "class",
    "properties",
    "multiTenancyConfig",
    "invertedIndexConfig",
    "vectorConfig",
    "vectorizer",
    "replicationConfig",
    "moduleConfig",
)  # noqa: E501


class WeaviateServer:
    """``failures``: (method, gRPC status or sentence) that the next calls of that method get. ``refuse`` is a text: an
    object whose text holds it is refused alone, the others of its batch are taken. ``calls``: names of gRPC calls.
    """

    def __init__(self, *, key: str = "", vector_lag: float = 0.0, most_deleted: int = MOST_DELETED) -> None:
        self.key, self.vector_lag, self.most_deleted = key, vector_lag, most_deleted
        self.collections: dict[str, Collection] = {}
        self.failures: list[tuple[str, Any]] = []
        self.refuse = ""
        self.calls: list[str] = []
        self.batches: list[int] = []
        self.lock = threading.RLock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._grpc = grpc.server(ThreadPoolExecutor(4))
        weaviate_pb2_grpc.add_WeaviateServicer_to_server(_Service(self), self._grpc)
        self._grpc.add_generic_rpc_handlers((_health(),))
        self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}?grpc={self.grpc_port}"

    def __enter__(self) -> WeaviateServer:
        self._thread.start()
        self._grpc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._grpc.stop(None).wait()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    # -- REST ----------------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> tuple[int, Any]:
        with self.lock:
            if path.endswith("/.well-known/openid-configuration"):
                return 404, None
            if self.key and headers.get("authorization") != f"Bearer {self.key}":
                return 401, {"error": [{"message": "anonymous access not enabled"}]}
            try:
                return self._route(method, path.removeprefix("/v1"), json.loads(raw) if raw else None)
            except Refused as error:
                return 422, {"error": [{"message": str(error)}]}

    def _route(self, method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: ANN401
        if path == "/meta":
            return 200, {"hostname": "http://[::]:8080", "version": VERSION, "modules": {}, "grpcMaxMessageSize": 10**8}
        if path.startswith("/.well-known/"):
            return 200, None
        if (method, path) == ("POST", "/schema"):
            unknown = set(body) - set(_KNOWN)
            if unknown or body["class"] in self.collections:
                raise Refused(f"unknown field {unknown}" if unknown else f"class name {body['class']} already exists")
            self.collections[body["class"]] = Collection(body)
            return 200, body
        name, _, rest = path.removeprefix("/schema/").partition("/")
        if not path.startswith("/schema/") or name not in self.collections:
            return 404, None
        if (method, rest) == ("POST", "tenants"):
            for tenant in body:
                self.collections[name].tenants.setdefault(tenant["name"], _shard())
            return 200, body
        if method == "HEAD" and rest.startswith("tenants/"):
            return (200 if rest.removeprefix("tenants/") in self.collections[name].tenants else 404), None
        if (method, rest) == ("GET", ""):
            return 200, self.collections[name].definition
        return 404, None


def _shard() -> Any:  # noqa: ANN401
    from vendor_servers.weaviate_data import Shard

    return Shard()


class _Service(weaviate_pb2_grpc.WeaviateServicer):
    def __init__(self, server: WeaviateServer) -> None:
        self.server = server

    def _guard(self, method: str, context: Any, run: Any) -> Any:  # noqa: ANN401
        server = self.server
        with server.lock:
            server.calls.append(method)
            given = dict(context.invocation_metadata()).get("authorization", "")
            if server.key and given != f"Bearer {server.key}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "unauthorized: invalid api key")
            for place, (name, status) in enumerate(server.failures):
                if name == method:
                    del server.failures[place]
                    code = status if isinstance(status, grpc.StatusCode) else grpc.StatusCode.UNKNOWN
                    context.abort(code, "try again" if code is status else str(status))
            try:
                return run()
            except Refused as error:
                context.abort(grpc.StatusCode.UNKNOWN, str(error))

    def _collection(self, name: str) -> Collection:
        if name not in self.server.collections:
            raise Refused(f"could not find class {name} in schema")
        return self.server.collections[name]

    def TenantsGet(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        def run() -> Any:  # noqa: ANN401
            held = self._collection(request.collection).tenants
            names = [name for name in held if not request.names.values or name in request.names.values]
            hot = tenants_pb2.TENANT_ACTIVITY_STATUS_HOT
            return tenants_pb2.TenantsGetReply(
                tenants=[tenants_pb2.Tenant(name=name, activity_status=hot) for name in names]
            )

        return self._guard("TenantsGet", context, run)

    def BatchObjects(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        def run() -> Any:  # noqa: ANN401
            self.server.batches.append(len(request.objects))
            reply = batch_pb2.BatchObjectsReply()
            for index, one in enumerate(request.objects):
                try:
                    self._put(one)
                except (Refused, ValueError) as error:
                    reply.errors.append(batch_pb2.BatchObjectsReply.BatchError(index=index, error=str(error)))
            return reply

        return self._guard("BatchObjects", context, run)

    def _put(self, one: Any) -> None:  # noqa: ANN401 - BatchObject
        collection = self._collection(one.collection)
        shard = collection.shard(one.tenant)
        properties: dict[str, Any] = dict(one.properties.non_ref_properties.items())
        properties.update({array.prop_name: list(array.values) for array in one.properties.text_array_properties})
        raw = one.vector_bytes or (one.vectors[0].vector_bytes if one.vectors else b"")
        vector = np.frombuffer(raw, "<f4") if raw else None
        collection.check(one.uuid, properties, vector, shard)
        if self.server.refuse and self.server.refuse in str(properties.get("text", "")):
            raise Refused("store: put: shard is read-only")
        if vector is not None:
            shard.dimension = len(vector)
        shard.objects[one.uuid] = Object(one.uuid, properties, vector, time.monotonic() + self.server.vector_lag)

    def BatchDelete(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        def run() -> Any:  # noqa: ANN401
            collection = self._collection(request.collection)
            shard = collection.shard(request.tenant)
            found = [name for name, one in shard.objects.items() if collection.passes(one, request.filters)]
            gone = found[: self.server.most_deleted]
            for name in gone if not request.dry_run else []:
                del shard.objects[name]
            return batch_delete_pb2.BatchDeleteReply(matches=len(found), successful=len(gone))

        return self._guard("BatchDelete", context, run)

    def Search(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802
        return self._guard("Search", context, lambda: self._search(request))

    def _search(self, request: Any) -> Any:  # noqa: ANN401
        collection = self._collection(request.collection)
        shard = collection.shard(request.tenant)
        filtered = request.HasField("filters")
        allowed = [one for one in shard.objects.values() if not filtered or collection.passes(one, request.filters)]
        if request.HasField("bm25_search"):
            asked = request.bm25_search
            found = collection.bm25(shard, asked.query, list(asked.properties), allowed)
        elif request.HasField("near_vector"):
            raw = request.near_vector.vector_bytes or request.near_vector.vectors[0].vector_bytes
            found = collection.nearest(shard, np.frombuffer(raw, "<f4"), allowed)
        else:
            found = [(0.0, one) for one in sorted(allowed, key=lambda one: one.id) if one.id > request.after]
        reply = search_get_pb2.SearchReply()
        for score, one in found[: request.limit or 100]:
            reply.results.append(_result(collection, request, score, one))
        return reply


def _result(collection: Collection, request: Any, score: float, one: Object) -> Any:  # noqa: ANN401
    result = search_get_pb2.SearchResult()
    result.metadata.id = one.id
    result.metadata.id_as_bytes = uuid.UUID(one.id).bytes
    if request.HasField("bm25_search"):
        result.metadata.score, result.metadata.score_present = score, True
    elif request.HasField("near_vector"):
        result.metadata.distance, result.metadata.distance_present = score, True
    if (request.metadata.vector or request.metadata.vectors) and one.vector is not None:
        result.metadata.vector_bytes = one.vector.astype("<f4").tobytes()
    wanted = list(request.properties.non_ref_properties)
    if request.properties.return_all_nonref_properties:
        wanted = list(collection.properties)
    for name in wanted:
        if name in one.properties:
            result.properties.non_ref_props.fields[name].CopyFrom(_field(collection, name, one.properties[name]))
    return result


def _field(collection: Collection, name: str, value: Any) -> Any:  # noqa: ANN401
    kind = collection.properties[name]["dataType"][0]
    if kind == "int":
        return properties_pb2.Value(int_value=int(value))
    if kind == "text[]":
        texts = properties_pb2.TextValues(values=value)
        return properties_pb2.Value(list_value=properties_pb2.ListValue(text_values=texts))
    return properties_pb2.Value(text_value=value)


def _health() -> Any:  # noqa: ANN401
    serving = health_weaviate_pb2.WeaviateHealthCheckResponse.SERVING

    def check(request: Any, context: Any) -> Any:  # noqa: ANN401
        return health_weaviate_pb2.WeaviateHealthCheckResponse(status=serving)

    handler = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=health_weaviate_pb2.WeaviateHealthCheckRequest.FromString,
        response_serializer=health_weaviate_pb2.WeaviateHealthCheckResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})


def _handler(server: WeaviateServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {key.lower(): value for key, value in self.headers.items()}
            status, body = server.answer(self.command, self.path.partition("?")[0], headers, raw)
            data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8")
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = _answer

        def log_message(self, *_: object) -> None:
            return

    return Handler
