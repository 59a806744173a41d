"""Pinecone beyond the store contract: limits, rate limits, late visibility, crashes in the middle, keys."""

import json
import logging

import numpy as np
import pytest

pytest.importorskip("pinecone")

import pinecone
from vendor_servers.pinecone_server import KEY, PineconeServer

from groundtune.errors import StoreError
from groundtune.store import pinecone_records
from groundtune.store.outer import Outgoing
from groundtune.store.payload import Needs
from groundtune.store.pinecone import PineconeStore, open_store
from groundtune.testing import chunks_of
from groundtune.types import Chunk, Document, digest

EYE = np.eye(8, dtype=np.float32)


@pytest.fixture
def server():
    with PineconeServer() as running:
        yield running


@pytest.fixture
def store(server, monkeypatch):
    monkeypatch.setenv("PINECONE_API_KEY", KEY)
    monkeypatch.setenv("PINECONE_CONTROLLER_HOST", server.url)
    made = open_store("handbook#main")
    yield made
    made.close()


def outgoing(document, vectors=None, stamp="s"):
    return Outgoing(document, chunks_of(document), vectors, None, stamp)


def paths(server, part):
    return [body for _, path, body in server.seen if part in path]


def test_requests_stay_below_two_megabytes_and_a_thousand_records(store, server):
    texts = [f"{number} " + "長" * 12_000 for number in range(80)]
    document = Document("big", "\n".join(texts))
    store.apply([Outgoing(document, chunks_of(document, *texts), np.tile(EYE[:1], (80, 1)))])
    sent = [len(body["vectors"]) for body in paths(server, "handbook-words/vectors/upsert")]
    assert sum(sent) >= 80 and max(sent) < 80
    assert [(held.chunks, held.vectors) for held in store.listing()] == [(80, 80)]


def test_a_rate_limit_is_waited_for(store, server):
    server.failures = [("/vectors/upsert", 429, "0.01"), ("/query", 429, "0.01"), ("/vectors/upsert", 503, "0.01")]
    store.apply([outgoing(Document("d", "alpha"))])
    assert server.failures == []
    assert [hit.chunk.document_id for hit in store.search("alpha", None, 3)] == ["d"]


def test_a_rate_limit_that_stays_is_a_sentence(store, server):
    server.failures = [("/vectors/upsert", 429, "0.01")] * 20
    with pytest.raises(StoreError) as caught:
        store.apply([outgoing(Document("d", "alpha"))])
    assert caught.value.key == "store.unreachable"
    assert "pinecone:handbook#main" in str(caught.value)


def test_what_is_not_visible_in_time_is_said_and_done_again(server, monkeypatch):
    monkeypatch.setenv("PINECONE_CONTROLLER_HOST", server.url)
    server.lag = 1.0
    store = PineconeStore("handbook", "main", KEY, visible_within=0.1)
    with pytest.raises(StoreError) as caught:
        store.apply([outgoing(Document("d", "alpha"))])
    assert caught.value.key == "store.not_yet_visible"
    store.visible_within = 20.0
    store.apply([outgoing(Document("d", "alpha"))])
    assert [(held.id, held.stamp, held.chunks) for held in store.listing()] == [("d", "s", 1)]
    assert len(store.search("alpha", None, 3)) == 1
    store.close()


def test_a_crash_in_the_middle_leaves_nothing_unknown(store, server):
    document = Document("d", "alpha beta")
    server.failures = [("handbook-v8/vectors/upsert", 400, "")]
    with pytest.raises(StoreError):
        store.apply([Outgoing(document, chunks_of(document, "alpha", "beta"), EYE[:2], None, "s1")])
    held = list(store.listing())
    assert [(one.id, one.stamp) for one in held] == [("d", "")], "a head says that the document is unfinished"
    shorter = Document("d", "gamma")
    store.apply([Outgoing(shorter, chunks_of(shorter), EYE[:1], None, "s2")])
    assert [(one.stamp, one.chunks, one.vectors) for one in store.listing()] == [("s2", 1, 1)]
    assert store.search("alpha beta", None, 5) == []


def test_a_passage_that_is_too_large_changes_nothing(store, server):
    text = "字" * 15_000
    document = Document("d", text)
    with pytest.raises(StoreError) as caught:
        store.apply([outgoing(Document("a", "alpha")), outgoing(document)])
    assert caught.value.key == "store.record_large"
    assert "d" in str(caught.value) and "40960" in str(caught.value)
    assert paths(server, "/vectors/upsert") == []


def test_a_chunk_of_very_many_terms_is_sent_with_the_heaviest(store):
    body = " ".join(["often often often", *(f"term{number}" for number in range(3_000))])
    vector = pinecone_records.sparse("", body)
    assert len(vector["indices"]) == 1000
    assert pinecone_records.place_of("often") in vector["indices"]
    document = Document("d", "x" * 40)
    chunk = chunks_of(document)
    store.apply([Outgoing(document, chunk, None, [("", body)])])
    assert len(store.lexical({"often": 1.0}, 5, Needs())) == 1


def test_vectors_of_another_length_are_refused_before_anything_changes(store):
    store.apply([outgoing(Document("d", "alpha"), EYE[:1])])
    with pytest.raises(StoreError) as caught:
        store.apply([outgoing(Document("e", "beta"), np.eye(4, dtype=np.float32)[:1])])
    assert caught.value.key == "store.dimension"
    assert dict(store.digests()) == {"d": digest("alpha")}
    assert store.dense(np.eye(4, dtype=np.float32)[0], 5, Needs()) == []


def test_another_namespace_may_hold_vectors_of_another_length(store):
    store.apply([outgoing(Document("d", "alpha"), EYE[:1])])
    other = open_store("handbook#other")
    other.apply([outgoing(Document("d", "beta"), np.eye(4, dtype=np.float32)[:1])])
    assert len(other.dense(np.eye(4, dtype=np.float32)[0], 5, Needs())) == 1
    other.close()


def test_telling_terms_count_more_when_somebody_knows_them(store):
    for name, text in (("a", "usual words"), ("b", "rare words")):
        store.apply([outgoing(Document(name, text))])
    terms = {"usual": 1.0, "rare": 1.0}
    store.weigh = lambda asked: {"usual": 0.1, "rare": 3.0}
    assert [found.chunk.document_id for found in store.lexical(terms, 5, Needs())] == ["b", "a"]
    store.weigh = lambda asked: {"usual": 3.0, "rare": 0.1}
    assert [found.chunk.document_id for found in store.lexical(terms, 5, Needs())] == ["a", "b"]


def test_marks_go_away_when_the_store_is_closed(server, monkeypatch):
    monkeypatch.setenv("PINECONE_CONTROLLER_HOST", server.url)
    store = PineconeStore("handbook", "main", KEY)
    store.apply([outgoing(Document("d", "alpha"), EYE[:1])])
    store.close()
    store.close()
    for index in server.indexes.values():
        index.stats()
        assert not [name for name in index.namespaces["main"].records if name.startswith("~")]


def test_a_page_number_survives_floating_point(store):
    chunk = Chunk("c", "d", digest("alpha"), "alpha", 0, 5, digest("alpha"), "T", "H", 12)
    store.apply([Outgoing(Document("d", "alpha"), [chunk])])
    assert store.search("alpha", None, 1)[0].chunk == chunk


# -- keys --------------------------------------------------------------------------------------------------------------


def test_no_key_is_a_sentence(monkeypatch):
    monkeypatch.delenv("PINECONE_API_KEY", raising=False)
    with pytest.raises(StoreError) as caught:
        open_store("handbook#main")
    assert caught.value.key == "store.key_missing"
    assert "PINECONE_API_KEY" in str(caught.value)


def test_a_key_stands_in_no_error_no_log_and_no_repr(server, monkeypatch, caplog):
    wrong = "pcsk_wrong_key_98765432100"
    monkeypatch.setenv("PINECONE_CONTROLLER_HOST", server.url)
    monkeypatch.setenv("PINECONE_DEBUG_CURL", "1")
    with caplog.at_level(logging.DEBUG):
        monkeypatch.setenv("PINECONE_API_KEY", wrong)
        with pytest.raises(StoreError) as caught:
            open_store("handbook#main")
        monkeypatch.setenv("PINECONE_API_KEY", KEY)
        store = open_store("handbook#main")
        store.apply([outgoing(Document("d", "alpha"), EYE[:1])])
        shown = f"{store!r} {store._link!r} {vars(store)!r}"
        store.close()
    assert caught.value.key == "store.key_refused"
    assert len(caplog.records) > 5
    for key in (wrong, KEY):
        assert key not in caplog.text
        assert key not in f"{caught.value} {caught.value.params!r} {shown}"


def test_nobody_there_is_a_sentence(monkeypatch):
    from local_server import closed_port_url

    monkeypatch.setenv("PINECONE_API_KEY", KEY)
    monkeypatch.setenv("PINECONE_CONTROLLER_HOST", closed_port_url())
    monkeypatch.setattr(pinecone, "RetryConfig", lambda tries: None)
    with pytest.raises(StoreError) as caught:
        open_store("handbook#main")
    assert caught.value.key == "store.unreachable"


# -- the server itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"vectors": [{"id": "名", "values": [1.0] * 8}]}, "ASCII"),
        ({"vectors": [{"id": "a", "values": [0.0] * 8}]}, "non-zero"),
        ({"vectors": [{"id": "a", "values": [1.0]}]}, "dimension"),
        ({"vectors": [{"id": "a", "values": [1.0] * 8, "metadata": {"a": None}}]}, "must be"),
        ({"vectors": [{"id": "a", "values": [1.0] * 8, "metadata": {"a": {"b": 1}}}]}, "must be"),
        ({"vectors": [{"id": "a", "values": [1.0] * 8, "metadata": {"a": "x" * 41_000}}]}, "exceeds"),
        ({"vectors": [{"id": str(n), "values": [1.0] * 8} for n in range(1001)]}, "exceeds"),
    ],
)
def test_the_server_refuses_what_pinecone_refuses(store, server, request_, sentence):
    store.apply([outgoing(Document("d", "alpha"), EYE[:1])])
    headers = {"Api-Key": KEY, "X-Pinecone-Api-Version": "2026-07"}
    status, body, _ = server.answer(
        "POST",
        "/at/handbook-v8/vectors/upsert",
        {k.lower(): v for k, v in headers.items()},
        json.dumps(request_).encode(),
    )
    assert status == 400 and sentence in body["message"]
