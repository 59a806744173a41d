"""Weaviate beyond the store contract: single objects that are refused, outages, late vectors, tenants, keys, addresses."""

import logging

import numpy as np
import pytest

pytest.importorskip("weaviate")

import grpc
from local_server import closed_port_url
from vendor_servers.weaviate_server import KEY, WeaviateServer

from groundtune.errors import StoreError
from groundtune.store.outer import Outgoing
from groundtune.store.payload import Needs
from groundtune.store.weaviate import WeaviateStore, open_store
from groundtune.store.weaviate_link import taken_apart
from groundtune.testing import chunks_of
from groundtune.types import Document, digest

EYE = np.eye(8, dtype=np.float32)


@pytest.fixture
def server():
    with WeaviateServer() as running:
        yield running


@pytest.fixture
def store(server):
    made = open_store(f"{server.address}#main")
    yield made
    made.close()


def outgoing(document, vectors=None, stamp="s"):
    return Outgoing(document, chunks_of(document), vectors, None, stamp)


def test_one_refused_object_of_a_batch_is_an_error(store, server):
    server.refuse = "poison"
    good, bad = Document("a", "alpha"), Document("b", "poison beta")
    with pytest.raises(StoreError) as caught:
        store.apply([outgoing(good), outgoing(bad)])
    assert caught.value.key == "store.refused"
    assert "1 / 2" in str(caught.value) and "read-only" in str(caught.value)
    assert {held.id: held.stamp for held in store.listing()} == {"a": "", "b": ""}, "both are unfinished"
    server.refuse = ""
    store.apply([outgoing(good), outgoing(bad)])
    assert {held.id: (held.stamp, held.chunks) for held in store.listing()} == {"a": ("s", 1), "b": ("s", 1)}


def test_a_server_that_is_away_for_a_moment_is_waited_for(store, server):
    store.apply([outgoing(Document("a", "alpha"))])
    server.failures = [("Search", grpc.StatusCode.UNAVAILABLE), ("BatchObjects", grpc.StatusCode.UNAVAILABLE)]
    store.apply([outgoing(Document("b", "alpha"))])
    assert server.failures == []
    assert len(store.search("alpha", None, 5)) == 2


def test_what_the_server_refuses_is_a_sentence(store, server):
    store.apply([outgoing(Document("a", "alpha"))])
    server.failures = [("Search", "store is read-only due to disk usage")]
    with pytest.raises(StoreError) as caught:
        store.search("alpha", None, 5)
    assert caught.value.key == "store.refused" and "disk usage" in str(caught.value)


def test_many_chunks_go_in_several_requests_and_are_deleted_in_several(monkeypatch):
    with WeaviateServer(most_deleted=100) as server:
        store = open_store(f"{server.address}#main")
        words = [f"word{number}" for number in range(450)]
        document = Document("long", " ".join(words))
        store.apply([Outgoing(document, chunks_of(document, *words), None, None, "1")])
        assert max(server.batches) <= 200
        assert next(iter(store.listing())).chunks == 450
        store.apply([Outgoing(Document("long", "short"), chunks_of(Document("long", "short")), None, None, "2")])
        assert [(held.stamp, held.chunks) for held in store.listing()] == [("2", 1)]
        store.close()


def test_vectors_that_come_late_are_waited_for_or_said():
    with WeaviateServer(vector_lag=0.6) as server:
        store = WeaviateStore(server.address, "main", visible_within=0.1)
        with pytest.raises(StoreError) as caught:
            store.apply([outgoing(Document("d", "alpha"), EYE[:1])])
        assert caught.value.key == "store.not_yet_visible"
        store.visible_within = 20.0
        store.apply([outgoing(Document("d", "alpha"), EYE[:1])])
        assert len(store.dense(EYE[0], 3, Needs())) == 1
        store.close()


def test_each_name_is_a_tenant_with_vectors_and_words_of_its_own(store, server):
    store.apply([outgoing(Document("d", "alpha"), EYE[:1])])
    other = open_store(f"{server.address}#other")
    other.apply([outgoing(Document("d", "beta"), np.eye(4, dtype=np.float32)[:1])])
    assert set(server.collections["GroundtuneChunks"].tenants) == {"main", "other"}
    assert store.search("beta", None, 5) == [] and other.search("alpha", None, 5) == []
    assert len(other.dense(np.eye(4, dtype=np.float32)[0], 5, Needs())) == 1
    other.close()


def test_vectors_of_another_length_are_refused_before_anything_changes(store):
    store.apply([outgoing(Document("d", "alpha"), EYE[:1])])
    with pytest.raises(StoreError) as caught:
        store.apply([outgoing(Document("e", "beta"), np.eye(4, dtype=np.float32)[:1])])
    assert caught.value.key == "store.dimension"
    assert dict(store.digests()) == {"d": digest("alpha")}
    assert store.dense(np.eye(4, dtype=np.float32)[0], 5, Needs()) == []


def test_words_that_are_worth_less_count_less(store):
    for name, text in (("a", "first"), ("b", "second")):
        store.apply([outgoing(Document(name, text))])
    found = store.lexical({"first": 0.3, "second": 1.0}, 5, Needs())
    assert [one.chunk.document_id for one in found] == ["b", "a"]


def test_a_closed_store_says_so(store):
    store.close()
    with pytest.raises(StoreError):
        store.search("alpha", None, 3)


# -- addresses and keys ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("http://localhost:8080", (False, "localhost", 8080, 50051)),
        ("localhost", (False, "localhost", 8080, 50051)),
        ("https://search.example.com", (True, "search.example.com", 443, 443)),
        ("https://search.example.com:8443?grpc=50052", (True, "search.example.com", 8443, 50052)),
    ],
)
def test_addresses(address, parts):
    assert taken_apart(address) == parts


@pytest.mark.parametrize("address", ["ftp://host", "http://", "http://name:secret@host", "http://host?grpc=x"])
def test_what_is_no_address_is_a_sentence_without_the_password(address):
    with pytest.raises(StoreError) as caught:
        taken_apart(address)
    assert caught.value.key == "store.bad_address"
    assert "secret" not in str(caught.value)


def test_nobody_there_is_a_sentence():
    with pytest.raises(StoreError) as caught:
        open_store(f"{closed_port_url()}#main")
    assert caught.value.key == "store.unreachable"


def test_a_key_stands_in_no_error_no_log_and_no_repr(monkeypatch, caplog):
    wrong = "weaviate-wrong-key-9876543210"
    with WeaviateServer(key=KEY) as server, caplog.at_level(logging.DEBUG):
        monkeypatch.setenv("WEAVIATE_API_KEY", wrong)
        with pytest.raises(StoreError) as caught:
            open_store(f"{server.address}#main")
        monkeypatch.setenv("WEAVIATE_API_KEY", KEY)
        store = open_store(f"{server.address}#main")
        store.apply([outgoing(Document("d", "alpha"), EYE[:1])])
        assert len(store.search("alpha", None, 3)) == 1
        shown = f"{store!r} {store._link!r} {vars(store)!r}"
        store.close()
    assert caught.value.key == "store.key_refused" and "WEAVIATE_API_KEY" in str(caught.value)
    assert caplog.records
    for key in (wrong, KEY):
        assert key not in caplog.text
        assert key not in f"{caught.value} {caught.value.params!r} {shown}"


def test_nothing_but_the_server_is_contacted(store, server):
    """The client's check for a newer version of itself would ask the internet; the guard of the tests would raise."""
    store.apply([outgoing(Document("d", "alpha"))])
    assert {call for call in server.calls} <= {"Search", "BatchObjects", "BatchDelete", "TenantsGet"}
