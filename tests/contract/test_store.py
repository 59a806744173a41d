"""What every store must do, whatever is behind it."""

import numpy as np
import pytest

from groundtune import registry
from groundtune.types import Chunk, Document, digest


@pytest.fixture(params=["sqlite"])
def store(request, tmp_path):
    made = registry.load("store", f"{request.param}:{tmp_path / 'kb'}")
    yield made
    made.close()


def pieces(document, *texts):
    out = []
    for number, text in enumerate(texts):
        start = document.text.index(text)
        name = f"{document.id}#{number}"
        out.append(
            Chunk(
                name, document.id, document.version, text, start, start + len(text), digest(text), document.title, "§ 1"
            )
        )
    return out


def test_upsert_then_search_returns_the_same_chunks(store):
    document = Document("d", "Annual leave is 20 days. Parking costs 40 euros.", {"title": "Handbook"})
    chunks = pieces(document, "Annual leave is 20 days.", "Parking costs 40 euros.")
    store.upsert(document, chunks, None)
    hits = store.search("parking costs", None, 5)
    assert hits[0].chunk == chunks[1]
    assert hits == sorted(hits, key=lambda hit: -hit.score)
    assert store.digests() == {"d": document.version}


def test_upsert_replaces_all_chunks(store):
    old = Document("d", "alpha beta")
    store.upsert(old, pieces(old, "alpha", "beta"), None)
    new = Document("d", "gamma")
    store.upsert(new, pieces(new, "gamma"), None)
    assert store.search("alpha beta", None, 5) == []
    assert [hit.chunk.text for hit in store.search("gamma", None, 5)] == ["gamma"]


def test_upsert_is_idempotent(store):
    document = Document("d", "alpha beta")
    for _ in range(3):
        store.upsert(document, pieces(document, "alpha beta"), None)
    assert len(store.search("alpha", None, 5)) == 1


def test_delete_says_how_many_were_there(store):
    document = Document("d", "alpha")
    store.upsert(document, pieces(document, "alpha"), None)
    assert store.delete(["d", "missing"]) == 1
    assert store.delete(["d"]) == 0
    assert store.search("alpha", None, 5) == []
    assert store.digests() == {}


def test_vectors_find_what_words_do_not(store):
    document = Document("d", "alpha beta")
    store.upsert(document, pieces(document, "alpha", "beta"), np.array([[1, 0], [0, 1]], dtype=np.float32))
    hits = store.search("unrelated", np.array([0.0, 1.0], dtype=np.float32), 1)
    assert hits[0].chunk.text == "beta"


def test_k_limits_and_filter_narrows(store):
    for number in range(5):
        document = Document(f"d{number}", f"alpha {number}", {"part": number % 2})
        store.upsert(document, pieces(document, document.text), None)
    assert len(store.search("alpha", None, 3)) == 3
    found = store.search("alpha", None, 5, {"part": 1})
    assert sorted(hit.chunk.document_id for hit in found) == ["d1", "d3"]
