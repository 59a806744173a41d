"""The connection to Weaviate: collections, the tenant of one knowledge base, and the client's errors turned into ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from groundtune.errors import StoreError
from groundtune.registry import missing
from groundtune.store.payload import ACCESS_FIELDS

Result = TypeVar("Result")
VARIABLE = "WEAVIATE_API_KEY"
CHUNKS, HEADS = "GroundtuneChunks", "GroundtuneHeads"
ACCESS = tuple(f"access_{number}" for number in range(ACCESS_FIELDS))
_HTTP_PORT, _GRPC_PORT = 8080, 50051
_INIT, _QUERY, _INSERT = 10, 30, 120  # seconds


class Link:
    """One open client. Raises ``StoreError`` for everything that goes wrong; the key stands in none of them."""

    def __init__(self, address: str) -> None:
        self.place = f"weaviate:{address}"
        self._key = os.environ.get(VARIABLE, "").strip()
        try:
            import weaviate
        except ModuleNotFoundError as error:
            raise missing(error, self.place) from error
        self._sdk = weaviate
        self.client = self.call(lambda: self._connected(address))

    def __repr__(self) -> str:
        return f"Link({self.place!r})"

    def _connected(self, address: str) -> Any:  # noqa: ANN401 - weaviate.WeaviateClient
        from weaviate.classes.init import AdditionalConfig, Auth, Timeout

        secure, host, port, grpc_port = taken_apart(address)
        options: dict[str, Any] = {
            "auth_credentials": Auth.api_key(self._key) if self._key else None,
            # the client's own checks ask a package index on the internet for its newest version
            "skip_init_checks": True,
            "additional_config": AdditionalConfig(timeout=Timeout(init=_INIT, query=_QUERY, insert=_INSERT)),
        }
        if host.endswith((".weaviate.cloud", ".weaviate.network")):
            return self._sdk.connect_to_weaviate_cloud(cluster_url=f"https://{host}", **options)
        return self._sdk.connect_to_custom(
            http_host=host, http_port=port, http_secure=secure,
            grpc_host=host, grpc_port=grpc_port, grpc_secure=secure, **options,
        )  # fmt: skip

    def call(self, request: Callable[[], Result]) -> Result:
        """``request()``; gRPC calls are tried again by the client while the server is not available."""
        from weaviate import exceptions

        away = (
            exceptions.WeaviateConnectionError, exceptions.WeaviateStartUpError, exceptions.WeaviateGRPCUnavailableError,
            exceptions.WeaviateTimeoutError, exceptions.WeaviateClosedClientError,
        )  # fmt: skip
        try:
            return request()
        except (exceptions.AuthenticationFailedError, exceptions.InsufficientPermissionsError) as error:
            raise self._key_refused(error) from None
        except exceptions.UnexpectedStatusCodeError as error:
            if error.status_code in (401, 403):
                raise self._key_refused(error) from None
            raise self.refused(error) from None
        except away as error:
            raise StoreError("store.unreachable", place=self.place, reason=self.clean(error)) from None
        except exceptions.WeaviateBaseError as error:
            if "UNAVAILABLE" in str(error) or "DEADLINE_EXCEEDED" in str(error):
                raise StoreError("store.unreachable", place=self.place, reason=self.clean(error)) from None
            raise self.refused(error) from None

    def _key_refused(self, error: object) -> StoreError:
        return StoreError("store.key_refused", place=self.place, variable=VARIABLE, reason=self.clean(error))

    def refused(self, reason: object) -> StoreError:
        return StoreError("store.refused", place=self.place, reason=self.clean(reason))

    def clean(self, error: object) -> str:
        text = str(error)
        if self._key:
            text = text.replace(self._key, "***")
        return " ".join(text.split())[:300]

    def tenant(self, collection: str, name: str, make: bool) -> Any:  # noqa: ANN401 - Collection of one tenant
        """A collection as one knowledge base sees it, None when it is not there and is not to be made. Writes are
        acknowledged by all replicas, so that any of them shows them.
        """
        from weaviate.classes.config import ConsistencyLevel

        if not self.call(lambda: self.client.collections.exists(collection)):
            if not make:
                return None
            self._create(collection)
        whole = self.client.collections.use(collection)
        if not self.call(lambda: whole.tenants.exists(name)):
            if not make:
                return None
            self.call(lambda: whole.tenants.create([name]))
        return whole.with_tenant(name).with_consistency_level(ConsistencyLevel.ALL)

    def _create(self, collection: str) -> None:
        try:
            self.call(lambda: self.client.collections.create(**_definition(collection)))
        except StoreError:  # somebody else may have made it meanwhile
            if not self.call(lambda: self.client.collections.exists(collection)):
                raise


def taken_apart(address: str) -> tuple[bool, str, int, int]:
    """Whether TLS is used, host, HTTP port and gRPC port of ``http://host:8080?grpc=50051``."""
    text = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(text)
        secure = {"http": False, "https": True}[parts.scheme]
        asked = parse_qs(parts.query).get("grpc", [""])[0]
        port = parts.port or (443 if secure else _HTTP_PORT)
        if not parts.hostname or parts.username or parts.password:
            raise ValueError(address)
        return secure, parts.hostname, port, int(asked or (443 if secure else _GRPC_PORT))
    except (ValueError, KeyError) as error:
        raise StoreError("store.bad_address", address=text.rpartition("@")[2]) from error


def _definition(collection: str) -> dict[str, Any]:
    """Arguments of ``collections.create``. Only our own terms are searched, cut at white space and nowhere else."""
    from weaviate.classes.config import Configure, DataType, Property, StopwordsPreset, Tokenization, VectorDistances

    def text(name: str, **options: Any) -> Any:  # noqa: ANN401
        chosen = {"tokenization": Tokenization.FIELD, "index_filterable": True, "index_searchable": False, **options}
        return Property(
            name=name,
            data_type=options.pop("data_type", DataType.TEXT),
            **{key: value for key, value in chosen.items() if key != "data_type"},
        )

    def shown(name: str) -> Any:  # noqa: ANN401
        return text(name, index_filterable=False)

    def number(name: str, filterable: bool = False) -> Any:  # noqa: ANN401
        return Property(name=name, data_type=DataType.INT, index_filterable=filterable)

    if collection == HEADS:
        properties = [text("document_id"), shown("version"), shown("stamp")]
        vectors = Configure.Vectors.self_provided(vector_index_config=Configure.VectorIndex.flat())
    else:
        words = {"tokenization": Tokenization.WHITESPACE, "index_filterable": False, "index_searchable": True}
        properties = [
            text("document_id"), text("written"), text("facets", data_type=DataType.TEXT_ARRAY),
            *(text(name, data_type=DataType.TEXT_ARRAY) for name in ACCESS),
            text("terms", **words), text("label_terms", **words), number("dimension", filterable=True),
            *map(shown, ("chunk_id", "version", "text", "digest", "title", "heading")),
            *map(number, ("start", "end", "page")),
        ]  # fmt: skip
        cosine = Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
        vectors = Configure.Vectors.self_provided(vector_index_config=cosine)
    return {
        "name": collection,
        "properties": properties,
        "vector_config": vectors,
        "multi_tenancy_config": Configure.multi_tenancy(enabled=True),
        "inverted_index_config": Configure.inverted_index(stopwords_preset=StopwordsPreset.NONE),
    }


def pieces(objects: Sequence[Any], weights: Sequence[int], most: int, largest: int) -> list[list[Any]]:
    """Cut into requests of at most ``most`` objects that weigh at most ``largest`` together."""
    made: list[list[Any]] = []
    size = 0
    for one, weight in zip(objects, weights, strict=True):
        if not made or len(made[-1]) == most or size + weight > largest:
            made.append([])
            size = 0
        made[-1].append(one)
        size += weight
    return made
