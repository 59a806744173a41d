"""The store contract over Weaviate: the real client against a server on this computer that speaks its gRPC protocol."""

import pytest

pytest.importorskip("weaviate")

from vendor_servers.weaviate_server import WeaviateServer

from groundtune import registry, testing
from groundtune.testing import STORE_CHECKS

_BY_MEANING = (
    testing.an_update_replaces_everything,
    testing.a_change_is_seen_by_others_at_once,
    testing.many_changes_end_where_they_should,
)


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
def test_weaviate(check):
    with WeaviateServer() as server:
        check(lambda name: registry.load("store", f"weaviate:{server.address}#{name}"))


@pytest.mark.parametrize("check", _BY_MEANING, ids=lambda check: check.__name__)
def test_weaviate_that_indexes_vectors_late(check):
    with WeaviateServer(vector_lag=0.05) as server:
        check(lambda name: registry.load("store", f"weaviate:{server.address}#{name}"))
