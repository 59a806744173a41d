"""The embedded store: search, versions, filters, refresh across connections, damage."""

import threading

import apsw
import numpy as np
import pytest

from groundtune.errors import DataError, StoreError
from groundtune.store.schema import MIGRATIONS
from groundtune.store.sqlite import FILE_NAME, SqliteStore, open_store
from groundtune.types import Chunk, Document, digest


def chunk(document, text=None, ordinal=0, heading=""):
    text = document.text if text is None else text
    start = document.text.index(text)
    return Chunk(
        f"{document.id}#{ordinal}", document.id, document.version, text, start, start + len(text), digest(text),
        document.title, heading,
    )  # fmt: skip


def put(store, id_, text, vector=None, **metadata):
    document = Document(id_, text, metadata)
    store.upsert(document, [chunk(document)], None if vector is None else np.array([vector], dtype=np.float32))
    return document


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "kb")
    yield opened
    opened.close()


def ids(hits):
    return [hit.chunk.document_id for hit in hits]


def test_pragmas_are_what_durability_needs(store):
    assert store._connection.pragma("journal_mode") == "wal"
    assert store._connection.pragma("synchronous") == 2
    assert store._connection.pragma("user_version") == len(MIGRATIONS)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("The fine is 5,000 dollars for late filing.", "How much is the fine when filing late?"),
        ("違反規定者，處新臺幣三千元以上罰鍰。", "罰鍰是多少？"),
        ("年次有給休暇を12日付与する。", "有給休暇は何日ですか？"),
        ("Beyoncé moved to the U.S. in 2009.", "beyonce us"),
    ],
)
def test_finds_text_in_three_languages(store, text, query):
    put(store, "other", "Completely different words 別的內容 ほかの話")
    put(store, "wanted", text)
    assert ids(store.search(query, None, 1)) == ["wanted"]


def test_a_typing_mistake_is_corrected(store):
    put(store, "a", "The cathedral was built in 1163.")
    put(store, "b", "The harbour was built in 1163.")
    assert ids(store.search("catherdral built", None, 1)) == ["a"]


def test_a_query_without_terms_finds_nothing(store):
    put(store, "a", "text")
    assert store.search("", None, 5) == []
    assert store.search("?!", None, 5) == []
    assert store.search("text", None, 0) == []


@pytest.mark.parametrize("query", ['" OR *', "NEAR(a b)", "a AND b OR NOT", "body_terms : x", "'; DROP TABLE chunks"])
def test_query_syntax_is_data(store, query):
    put(store, "a", "a b x drop table chunks")
    store.search(query, None, 5)
    assert store.document_ids() == ["a"]


def test_update_is_visible_at_once_here_and_elsewhere(store, tmp_path):
    other = SqliteStore(tmp_path / "kb")
    put(store, "a", "annual leave is twenty days", [1, 0])
    assert ids(other.search("annual leave", np.array([1.0, 0]), 5)) == ["a"]
    put(store, "a", "the canteen opens at noon", [0, 1])
    assert store.search("annual leave", None, 5) == []
    assert other.search("annual leave", None, 5) == []
    hit = other.search("canteen", np.array([0.0, 1]), 5)[0]
    assert hit.chunk.text == "the canteen opens at noon" and hit.dense == pytest.approx(1.0)
    other.delete(["a"])
    assert store.search("canteen", None, 5) == []
    other.close()


def test_versions_stay_after_update_and_delete(store):
    first = put(store, "a", "one")
    second = put(store, "a", "two")
    assert store.text("a") == "two"
    assert store.delete(["a", "a", "unknown"]) == 1
    assert store.text("a") is None and store.document("a") is None
    assert store.text("a", first.version) == "one"
    assert store.text("a", second.version) == "two"
    assert store.digests() == {} and store.chunks("a") == []


def test_going_back_to_an_old_text_is_a_new_version_row(store):
    for text in ("one", "two", "one"):
        put(store, "a", text)
    rows = store._connection.execute("SELECT text, until IS NULL FROM versions ORDER BY seq").fetchall()
    assert rows == [("one", 0), ("two", 0), ("one", 1)]


def test_filter_compares_metadata(store):
    put(store, "a", "parking rules", [1, 0], year=2025, public=True, owner=None)
    put(store, "b", "parking rules", [1, 0], year=2026, public=False, **{'we"ird $.key': "x"})
    assert ids(store.search("parking", None, 5, {"year": 2026})) == ["b"]
    assert ids(store.search("parking", np.array([1.0, 0]), 5, {"public": True})) == ["a"]
    assert ids(store.search("parking", None, 5, {'we"ird $.key': "x"})) == ["b"]
    assert ids(store.search("parking", None, 5, {"document_id": "a"})) == ["a"]
    assert ids(store.search("parking", None, 5, {"year": None})) == []
    assert sorted(ids(store.search("parking", None, 5, {"owner": None}))) == ["a", "b"]


def test_dense_hits_are_fused_with_lexical_ones(store):
    put(store, "words", "parking permit fee", [0, 1])
    put(store, "meaning", "cost of leaving a car", [1, 0])
    put(store, "neither", "holiday calendar", [-1, 0])
    hits = store.search("parking fee", np.array([1.0, 0.0]), 2)
    assert sorted(ids(hits)) == ["meaning", "words"]
    found = {hit.chunk.document_id: hit for hit in hits}
    assert found["words"].lexical is not None and found["meaning"].lexical is None


def test_a_failed_write_changes_nothing(store):
    put(store, "a", "old text")
    document = Document("a", "new text")
    same = chunk(document)
    with pytest.raises(StoreError):
        store.upsert(document, [same, same], None)  # equal chunk ids
    assert store.text("a") == "old text"
    assert ids(store.search("old", None, 5)) == ["a"]
    with pytest.raises(DataError, match="a"):
        store.upsert(Document("a", "x", {"when": object()}), [], None)
    with pytest.raises(ValueError, match="vectors"):
        store.upsert(document, [same], np.zeros((2, 2)))


def test_threads_can_search_while_another_writes(store):
    put(store, "a", "stable words")
    problems = []

    def read():
        try:
            for _ in range(30):
                assert ids(store.search("stable", None, 1)) == ["a"]
        except Exception as error:  # noqa: BLE001
            problems.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        put(store, "b", f"text number {number}")
    for thread in threads:
        thread.join()
    assert problems == []


def test_not_a_database(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreError, match="damaged"):
        SqliteStore(tmp_path)


def test_damage_found_while_reading(tmp_path):
    store = SqliteStore(tmp_path)
    for number in range(200):
        put(store, f"d{number}", f"word{number} " * 200)
    store.close()
    path = tmp_path / FILE_NAME
    data = bytearray(path.read_bytes())
    data[4096 * 4 : len(data) - 4096] = b"\xff" * (len(data) - 4096 * 5)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        opened = SqliteStore(tmp_path)
        try:
            for number in range(200):
                opened.search(f"word{number}", None, 1)
                opened.text(f"d{number}")
        finally:
            opened.close()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteStore(tmp_path / "file" / "kb")


def test_a_newer_format_is_refused_and_untouched(tmp_path):
    SqliteStore(tmp_path).close()
    connection = apsw.Connection(str(tmp_path / FILE_NAME))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer"):
        SqliteStore(tmp_path)


def test_old_search_terms_are_made_again_on_opening(tmp_path):
    store = SqliteStore(tmp_path)
    put(store, "a", "parking rules")
    with store._write() as connection:
        connection.execute("UPDATE chunks SET body_terms = 'nonsense'")
        connection.execute("UPDATE postings SET term = 'x' || term")
    store.set_meta("terms", "0")
    assert store.search("parking", None, 5) == []
    store.close()
    again = SqliteStore(tmp_path)
    assert ids(again.search("parking", None, 5)) == ["a"]
    again.close()


def test_inspect_is_sound_after_many_changes(store):
    for number in range(30):
        put(store, f"d{number % 7}", f"text {number} 內容{number}", [1.0, number])
    store.delete(["d3"])
    found = store.inspect()
    assert found.sound and found.documents == 6 and found.chunk_count == 6


def test_inspect_names_each_kind_of_drift(store):
    put(store, "a", "alpha beta", [1, 0])
    put(store, "b", "gamma delta", [1, 0])
    with store._write() as connection:
        connection.execute("UPDATE chunks SET text = 'alpha' WHERE document_id = 'a'")
        connection.execute("DELETE FROM vectors WHERE chunk = (SELECT rowid FROM chunks WHERE document_id = 'b')")
        connection.execute("UPDATE chunks SET body_terms = 'gamma' WHERE document_id = 'b'")
    found = store.inspect()
    assert found.chunks == ("a",) and found.vectors == ("b",) and found.terms == ("b",) and found.lexical
    assert not found.sound
