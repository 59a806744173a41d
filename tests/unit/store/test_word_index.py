"""The word index: packing, merging, following in memory, against a plain Python index."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.store import postings
from groundtune.store.live import best, grown
from groundtune.store.sqlite import SqliteStore, open_store
from groundtune.store.writing import Plain
from groundtune.text.inverted import pack
from groundtune.types import Chunk, Document, digest

WORD = st.sampled_from(["a", "bb", "ccc", "dddd", "罰", "罰鍰", "が", "𠮷", "𠮷野", "x1", "10"])
TERMS = st.lists(WORD, max_size=12).map(" ".join)


@given(st.lists(st.tuples(TERMS, TERMS), max_size=8))
def test_packed_lists_say_what_the_texts_say(texts):
    labels, bodies = [label for label, _ in texts], [body for _, body in texts]
    packed = pack(labels, bodies)
    assert packed.terms == sorted({term for text in labels + bodies for term in text.split()})
    assert packed.lengths.tolist() == [len(f"{label} {body}".split()) for label, body in texts]
    for number, term in enumerate(packed.terms):
        values = packed.values[packed.bounds[number] : packed.bounds[number + 1]]
        expected = [
            place << 8 | 2 * body.split().count(term) + label.split().count(term)
            for place, (label, body) in enumerate(texts)
            if term in label.split() or term in body.split()
        ]
        assert values.tolist() == expected


def test_a_count_never_spills_into_the_place():
    packed = pack(["", ""], ["", " ".join(["a"] * 1000)])
    assert packed.values.tolist() == [1 << 8 | 255]


@settings(max_examples=30)
@given(st.lists(st.floats(0, 10, width=32), min_size=1, max_size=3000), st.integers(1, 8))
def test_best_holds_the_largest(values, k):
    scores = np.array(values, dtype=np.float32)
    found = best(scores, k)
    expected = sorted((value for value in scores.tolist() if value > 0), reverse=True)[:k]
    assert sorted(scores[found].tolist(), reverse=True)[: len(expected)] == expected
    assert len(found) >= len(expected) and (scores[found] > 0).all()


def test_grown_keeps_what_there_is():
    array = grown(np.arange(3), 2)
    assert array.tolist() == [0, 1, 2] and len(grown(array, 4)) == 64 and grown(array, 4)[:3].tolist() == [0, 1, 2]


def put(store, id_, text, title=""):
    document = Document(id_, text, {"title": title or id_})
    chunk = Chunk(f"{id_}#0", id_, document.version, text, 0, len(text), digest(text), document.title)
    store.upsert(document, [chunk], None)


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def segments(store):
    return [row[0] for row in store._connection.execute("SELECT chunks FROM segments ORDER BY id")]


def test_small_segments_are_merged_and_the_dead_left_out(store):
    for number in range(postings.FAN - 1):
        put(store, f"d{number}", f"word{number} common")
    assert segments(store) == [1] * (postings.FAN - 1)
    store.delete(["d1", "d2"])
    put(store, "last", "final common")
    assert segments(store) == [postings.FAN - 2]
    assert store.inspect().sound
    assert {hit.chunk.document_id for hit in store.search("common", None, 20)} == {"d0", "d3", "d4", "d5", "d6", "last"}
    assert store.search("word1", None, 5) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_index_answers_like_a_new_one(tmp_path, seed):
    """Random changes, searched through the changed copy, a second connection and a fresh store with the same content."""
    chance = random.Random(seed)
    words = ["fee", "leave", "desk", "罰鍰", "休暇", "公園", "budget", "harbour"]
    changed, other = SqliteStore(tmp_path / "a"), SqliteStore(tmp_path / "a")
    current = {}
    for step in range(60):
        name = f"d{chance.randrange(12)}"
        if chance.random() < 0.3:
            changed.delete([name])
            current.pop(name, None)
        else:
            current[name] = " ".join(chance.choices(words, k=6)) + f" n{step}"
            put(changed, name, current[name])
        if step % 7 == 0:
            query = chance.choice(words)
            ours = {hit.chunk.document_id: hit.chunk.text for hit in changed.search(query, None, 20)}
            theirs = {hit.chunk.document_id: hit.chunk.text for hit in other.search(query, None, 20)}
            assert ours == theirs and all(current[i] == text for i, text in ours.items())
    fresh = SqliteStore(tmp_path / "b")
    for name, text in current.items():
        put(fresh, name, text)
    for query in words:
        ours = {hit.chunk.document_id for hit in changed.search(query, None, 20)}
        assert ours == {hit.chunk.document_id for hit in fresh.search(query, None, 20)}
    assert changed.inspect().sound
    slots = changed._lexical.slots
    assert slots.chunks == len(current) == int(slots.alive.sum())
    assert slots.total == pytest.approx(float(slots.lengths[slots.alive].sum()))
    for opened in (changed, other, fresh):
        opened.close()


def test_a_settled_segment_is_cleaned_when_most_of_it_is_gone(store, monkeypatch):
    monkeypatch.setattr(postings, "SETTLED", 4)
    monkeypatch.setattr(postings, "LOOK_EVERY", 3)
    entries = []
    for number in range(9):
        document = Document(f"d{number}", f"word{number} common")
        chunk = Chunk(f"d{number}#0", document.id, document.version, document.text, 0, len(document.text), "x" * 32)
        entries.append(Plain(document, [chunk], None))
    store.apply(entries)
    store.delete(["d0", "d1", "d2", "d3"])
    assert segments(store) == [9], "less than half is gone"
    store.delete(["d4", "d5", "d6"])
    assert segments(store) == [2]
    assert {hit.chunk.document_id for hit in store.search("common", None, 9)} == {"d7", "d8"}


def test_row_numbers_are_never_used_twice(store):
    put(store, "a", "one")
    first = store._connection.execute("SELECT rowid FROM chunks").fetchall()
    store.delete(["a"])
    put(store, "b", "two")
    assert store._connection.execute("SELECT rowid FROM chunks").fetchall()[0][0] > first[0][0]
    assert [hit.chunk.document_id for hit in store.search("two", None, 5)] == ["b"]


def test_a_copy_that_is_far_behind_starts_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(postings, "GRAVES_KEPT", 3)
    writer, reader = SqliteStore(tmp_path), SqliteStore(tmp_path)
    vector = np.array([1.0, 0.0], dtype=np.float32)

    def put_with_vector(name, text):
        document = Document(name, text)
        chunk = Chunk(f"{name}#0", name, document.version, text, 0, len(text), digest(text), name)
        writer.upsert(document, [chunk], vector[None, :])

    for number in range(20):
        put_with_vector("d", f"text number{number} stays")
        if number == 2:
            assert reader.search("stays", vector, 5)[0].chunk.text == "text number2 stays"
    put_with_vector("e", "other stays")
    kept = writer._connection.execute("SELECT count(*) FROM graves").fetchall()[0][0]
    assert kept < 20, "old graves are forgotten"
    hits = reader.search("stays", vector, 5)
    assert Counter(hit.chunk.document_id for hit in hits) == {"d": 1, "e": 1}
    assert all(hit.dense is not None for hit in hits) and writer.inspect().sound
    writer.close()
    reader.close()


def test_an_index_of_the_first_format_is_taken_over(tmp_path):
    import apsw

    from groundtune.store.schema import MIGRATIONS

    connection = apsw.Connection(str(tmp_path / "knowledge.db"))
    MIGRATIONS[0](connection)
    text = "annual leave is twenty days"
    document = Document("a", text)
    connection.execute("PRAGMA user_version = 1")
    connection.execute("INSERT INTO meta VALUES ('terms', '1'), ('recipe', 'chunk-1|1200|fake:x')")
    connection.execute("INSERT INTO documents VALUES ('a', ?, '{}', 1)", (document.version,))
    connection.execute(
        "INSERT INTO versions (document_id, version, text, metadata, since) VALUES ('a', ?, ?, '{}', 1.0)",
        (document.version, text),
    )
    connection.execute(
        "INSERT INTO chunks VALUES (7, 'a#0', 'a', 0, ?, ?, 0, ?, ?, 'a', '', NULL, 'a', 'old terms', 2)",
        (document.version, text, len(text), digest(text)),
    )
    connection.execute("INSERT INTO vectors VALUES (7, ?)", (np.ones(4, dtype="<f4").tobytes(),))
    connection.close()
    store = SqliteStore(tmp_path)
    hit = store.search("leave days", np.ones(4, dtype=np.float32), 1, space="fake:x")[0]
    assert hit.chunk.text == text and hit.dense == pytest.approx(4.0) and store.inspect().sound
    put(store, "b", "another")
    assert store._connection.execute("SELECT max(rowid) FROM chunks").fetchall() == [(8,)]
    store.close()


def test_chunks_that_are_gone_count_for_nothing(tmp_path):
    """After an update the scores are those of an index that never held the old version."""
    updated, fresh = open_store(tmp_path / "updated"), open_store(tmp_path / "fresh")
    texts = {f"d{i}": f"fee of shop {i} is {i * 7} coins payable in spring" for i in range(12)}
    for id_, text in texts.items():
        put(updated, id_, text.replace("fee", "toll").replace("spring", "winter fee"))
    for id_, text in texts.items():
        put(updated, id_, text)
        put(fresh, id_, text)
    for query in ("fee in spring", "toll in winter", "shop 3"):
        ours = [(hit.chunk.document_id, round(hit.score, 6)) for hit in updated.search(query, None, 12)]
        assert ours == [(hit.chunk.document_id, round(hit.score, 6)) for hit in fresh.search(query, None, 12)]
    updated.close()
    fresh.close()
