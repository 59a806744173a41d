"""Nearest vectors: exact in a small store, nearly so by codes in a large one, always up to date."""

import numpy as np
import pytest

from groundtune.store.sqlite import open_store
from groundtune.store.vectors import VectorScan, _sign_codes
from groundtune.types import Chunk, Document, digest


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def put(store, name, vectors):
    text = " ".join(f"w{n}" for n in range(len(vectors)))
    document = Document(name, text)
    chunks = []
    for n in range(len(vectors)):
        start = text.index(f"w{n}")
        piece = f"w{n}"
        chunks.append(
            Chunk(f"{name}#{n}", name, document.version, piece, start, start + len(piece), digest(piece), name)
        )
    store.upsert(document, chunks, vectors)


def nearest(store, vector, k):
    with store._read() as connection:
        found = store._dense.best(connection, store._generation(connection), 1, vector, k, None)
        names = dict(connection.execute("SELECT rowid, id FROM chunks"))
    return [names[row] for row, _ in found], [score for _, score in found]


@pytest.mark.parametrize("dimension", [5, 64, 256, 300])
def test_codes_find_nearly_what_a_full_scan_finds(store, dimension):
    random = np.random.default_rng(dimension)
    centres = random.standard_normal((40, dimension))
    values = unit(centres[random.integers(0, 40, 6000)] + 0.7 * random.standard_normal((6000, dimension)))
    put(store, "d", values)
    queries = unit(values[:50] + 0.3 * unit(random.standard_normal((50, dimension))))
    exact = [nearest(store, query, 10) for query in queries]
    for query, (names, scores) in zip(queries[:5], exact, strict=False):
        order = np.argsort(-(values @ query), kind="stable")[:10]
        assert names == [f"d#{place}" for place in order]
        assert scores == pytest.approx((values @ query)[order].tolist(), abs=1e-5)
    store._dense = VectorScan(exact=100)
    shared = sum(
        len(set(nearest(store, query, 10)[0]) & set(names)) for query, (names, _) in zip(queries, exact, strict=True)
    )
    assert shared >= 0.95 * 500
    assert store._dense._values is None and len(store._dense._codes) >= 6000


def test_sparse_vectors_have_telling_codes():
    """A hashed bag of words has mostly zeros: without the rotation most bits would say nothing."""
    random = np.random.default_rng(0)
    rows = np.zeros((500, 256), dtype=np.float32)
    for row in rows:
        row[random.integers(0, 256, 6)] = 1
    codes = _sign_codes(unit(rows))
    shares = np.unpackbits(codes.view(np.uint8), axis=1).mean(axis=0)
    assert codes.shape == (500, 4) and shares.min() > 0.3 and shares.max() < 0.7


@pytest.mark.parametrize("exact", [10_000, 50])
def test_additions_changes_and_deletions_are_followed(store, exact):
    store._dense = VectorScan(exact=exact)
    random = np.random.default_rng(1)
    axis = np.eye(32, dtype=np.float32)
    for number in range(30):
        put(store, f"d{number}", unit(random.standard_normal((4, 32))))
    put(store, "target", axis[:1])
    assert nearest(store, axis[0], 1)[0] == ["target#0"]
    put(store, "target", axis[1:2])
    assert nearest(store, axis[0], 1)[0] != ["target#0"] and nearest(store, axis[1], 1)[0] == ["target#0"]
    store.delete(["target"])
    assert "target#0" not in nearest(store, axis[1], 121)[0]
    assert len(nearest(store, axis[1], 500)[0]) == 120
    for number in range(30):
        put(store, f"d{number}", unit(random.standard_normal((4, 32))))
    names, scores = nearest(store, axis[2], 500)
    assert len(names) == len(set(names)) == 120 and scores == sorted(scores, reverse=True)


def test_a_vector_of_another_size_is_left_alone(store):
    put(store, "a", np.eye(8, dtype=np.float32)[:1])
    put(store, "b", np.eye(4, dtype=np.float32)[:1])
    assert nearest(store, np.eye(4, dtype=np.float32)[0], 5)[0] == ["b#0"]
    assert nearest(store, np.eye(8, dtype=np.float32)[0], 5)[0] == ["a#0"]
    assert not store.inspect().sound


def test_many_deletions_do_not_pile_up(store):
    for number in range(6):
        put(store, "big", unit(np.random.default_rng(number).standard_normal((400, 16))))
        nearest(store, np.eye(16, dtype=np.float32)[0], 3)
    assert store._dense._used <= 2400 and len(nearest(store, np.eye(16, dtype=np.float32)[0], 900)[0]) == 400
