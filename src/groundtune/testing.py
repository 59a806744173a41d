"""The contract that every store must keep, as checks that anybody can run over a store of their own.

    from groundtune.testing import STORE_CHECKS

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    def test_my_store(check, tmp_path):
        check(lambda name: MyStore(tmp_path / name))

A check is given a function that opens the store of a name: a new name is an empty store, the same name again the same
data. It raises ``AssertionError`` with a sentence when something is not kept.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from groundtune.ports import READER, Filter, Store
from groundtune.types import Chunk, Document, Hit, digest


class OpenStore(Store, Protocol):
    """A store that can be closed."""

    def close(self) -> None:
        """Let go of files and connections."""


Opener = Callable[[str], OpenStore]
Check = Callable[[Opener], None]

_DIMENSION = 8
_TEXTS = {
    "en": ("Annual leave is 20 days a year.", "Parking costs 40 euros a month.", "annual leave days"),
    "zh": ("員工特別休假每年二十日，應於年度終結前排定。", "停車費每月新臺幣一千二百元，由薪資扣除。", "特別休假幾日"),
    "ja": (
        "年次有給休暇は一年につき二十日とする。",
        "駐車場の使用料は月額四千円とし、給与から控除する。",
        "有給休暇は何日",
    ),
}


def check_store(opener: Opener) -> None:
    """Run every check. Raises ``AssertionError`` that names the check and says what is not kept."""
    for check in STORE_CHECKS:
        try:
            check(opener)
        except AssertionError as error:
            raise AssertionError(f"{check.__name__}: {error}") from error


def chunks_of(document: Document, *texts: str, heading: str = "", page: int | None = None) -> list[Chunk]:
    """Chunks of a document that are these parts of its text (default: all of it)."""
    made: list[Chunk] = []
    start = 0
    for number, text in enumerate(texts or (document.text,)):
        start = document.text.index(text, start)
        end, name = start + len(text), f"{document.id}#{number}"
        title = document.title
        made.append(Chunk(name, document.id, document.version, text, start, end, digest(text), title, heading, page))
        start = end
    return made


# -- the checks ----------------------------------------------------------------------------------------------------


def an_empty_store_finds_nothing(opener: Opener) -> None:
    with _opened(opener, "empty") as store:
        assert dict(store.digests()) == {}, "a new store holds documents"
        assert store.search("anything", None, 5) == []
        assert store.search("anything", _unit(0), 5) == []
        assert store.delete(["missing"]) == 0
        _put(store, Document("d", "alpha beta"))
        assert store.search("alpha", None, 0) == [], "k = 0 finds something"
        assert store.search("", None, 5) == [], "an empty question finds something"
        assert store.search("!?", None, 5) == [], "a question without words finds something"


def hits_are_the_stored_chunks(opener: Opener) -> None:
    with _opened(opener, "same-chunks") as store:
        document = Document("d", "Annual leave is 20 days. Parking costs 40 euros.", {"title": "Handbook"})
        chunks = chunks_of(document, "Annual leave is 20 days.", "Parking costs 40 euros.", heading="§ 1", page=7)
        store.upsert(document, chunks, None)
        hits = store.search("parking costs", None, 5)
        assert hits and hits[0].chunk == chunks[1], f"stored {chunks[1]}, got {hits[0].chunk if hits else None}"
        assert hits[0].lexical is not None and hits[0].dense is None, "a search by words says how well words matched"
        assert store.digests() == {"d": document.version}
        hits = store.search("parking leave", np.ones(_DIMENSION, np.float32) / np.sqrt(_DIMENSION), 5)
        assert {hit.chunk for hit in hits} == set(chunks), "without vectors a search with one finds by words"


def an_update_replaces_everything(opener: Opener) -> None:
    with _opened(opener, "replace") as store:
        old = Document("d", "alpha beta gamma")
        store.upsert(old, chunks_of(old, "alpha", "beta", "gamma"), _eye(3))
        new = Document("d", "delta beta")
        store.upsert(new, chunks_of(new, "delta", "beta"), _eye(2))
        assert store.search("alpha gamma", None, 5) == [], "words of the old version are found"
        hits = store.search("beta delta", None, 9)
        assert {hit.chunk.version for hit in hits} == {new.version} and len(hits) == 2
        assert len(store.search("nothing", _unit(2), 9)) == 2, "vectors of the old version are found"
        empty = Document("d", "")
        store.upsert(empty, [], None)
        assert store.search("beta", _unit(0), 9) == [], "chunks stay when the new version has none"
        assert store.digests() == {"d": empty.version}, "a document without chunks is a document"


def doing_it_again_changes_nothing(opener: Opener) -> None:
    with _opened(opener, "again") as store:
        document = Document("d", "alpha beta")
        for _ in range(3):
            store.upsert(document, chunks_of(document, "alpha", "beta"), _eye(2))
        assert [hit.chunk.text for hit in store.search("alpha", None, 5)] == ["alpha"]
        assert len(store.search("alpha", _unit(0), 9)) == 2
        assert store.digests() == {"d": document.version}


def deleting_says_how_many_were_there(opener: Opener) -> None:
    with _opened(opener, "delete") as store:
        for name in "abc":
            _put(store, Document(name, f"alpha {name}x"), _unit(0))
        assert store.delete(["a", "b", "missing"]) == 2
        assert store.delete(["a"]) == 0
        assert store.delete([]) == 0
        assert {hit.chunk.document_id for hit in store.search("alpha", _unit(0), 9)} == {"c"}
        assert list(store.digests()) == ["c"]
        _put(store, Document("a", "alpha again"), _unit(0))
        assert [hit.chunk.text for hit in store.search("again", None, 9)] == ["alpha again"], "not after a deletion"


def vectors_order_by_cosine(opener: Opener) -> None:
    with _opened(opener, "cosine") as store:
        random_vectors = np.random.default_rng(7).normal(size=(60, _DIMENSION)).astype(np.float32)
        vectors = random_vectors / np.linalg.norm(random_vectors, axis=1, keepdims=True)
        for number in range(0, 60, 3):
            document = Document(f"d{number:02}", f"a{number} b{number + 1} c{number + 2}")
            parts = document.text.split()
            store.upsert(document, chunks_of(document, *parts), vectors[number : number + 3])
        for query in vectors[::7]:
            expected = np.argsort(-(vectors @ query), kind="stable")[:10]
            hits = store.search("unrelated", query, 10)
            got = [_number(hit) for hit in hits]
            assert got == [int(one) for one in expected], f"expected {expected.tolist()}, got {got}"
            assert all(hit.dense is not None and hit.lexical is None for hit in hits)
            scores = [hit.dense or 0.0 for hit in hits]
            assert np.allclose(scores, (vectors @ query)[expected], atol=1e-3), "dense scores are not cosines"


def both_sides_are_fused(opener: Opener) -> None:
    with _opened(opener, "fused") as store:
        for name, text, place in (("words", "alpha", 1), ("meaning", "omega", 0), ("neither", "sigma", 2)):
            _put(store, Document(name, text), _unit(place))
        hits = store.search("alpha", _unit(0), 2)
        assert {hit.chunk.document_id for hit in hits} == {"words", "meaning"}
        hits = store.search("omega", _unit(0), 3)
        assert hits[0].chunk.document_id == "meaning", "what both sides find comes first"
        assert hits[0].lexical is not None and hits[0].dense is not None
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def rarer_words_count_more(opener: Opener) -> None:
    with _opened(opener, "rare") as store:
        for number in range(12):
            _put(store, Document(f"d{number:02}", "common words everywhere" if number else "common xylophone"))
        hits = store.search("common xylophone", None, 20)
        assert hits[0].chunk.document_id == "d00", "the chunk that holds every word comes first"
        assert len(hits) == 12, f"each chunk that holds a word is found, not only {len(hits)}"
        assert len(store.search("common", None, 5)) == 5


def three_languages_are_searched(opener: Opener) -> None:
    with _opened(opener, "languages") as store:
        for language, (leave, parking, _) in _TEXTS.items():
            _put(store, Document(f"{language}/leave", leave))
            _put(store, Document(f"{language}/parking", parking))
        for language, (leave, _, question) in _TEXTS.items():
            hits = store.search(question, None, 3)
            assert hits and hits[0].chunk.document_id == f"{language}/leave", f"{question!r} does not find its text"
            assert hits[0].chunk.text == leave, "the text comes back as it was written"
        for inside in ("薪資", "扣除", "臺幣"):  # nothing marks where a word begins in Chinese
            assert [hit.chunk.document_id for hit in store.search(inside, None, 1)] == ["zh/parking"], inside
        for inside in ("使用料", "控除", "月額"):
            assert [hit.chunk.document_id for hit in store.search(inside, None, 1)] == ["ja/parking"], inside
        assert store.search("鯨魚", None, 5) == [], "characters that nothing holds are found"


def any_text_can_be_an_id(opener: Opener) -> None:
    ids = [
        "a b/c#d.txt",
        "人事/休假規定.md",
        "就業規則🌸",
        "x'); DROP TABLE chunks; --",
        'quo"te\\',
        "é" * 150,
        "%41*?",
    ]
    with _opened(opener, "ids") as store:
        for number, name in enumerate(ids):
            _put(store, Document(name, f"alpha word{number}", {"n": number, 'odd "key": 名': f"'{name}\n"}), _unit(0))
        assert list(store.digests()) == sorted(ids)
        for number, name in enumerate(ids):
            assert [h.chunk.document_id for h in store.search(f"word{number}", None, 3)] == [name], name
            for filter in ({"document_id": name}, {'odd "key": 名': f"'{name}\n"}):
                assert [h.chunk.document_id for h in store.search("alpha", _unit(0), 9, filter)] == [name], filter
        assert store.delete(ids[:3]) == 3
        assert list(store.digests()) == sorted(ids[3:])


def filters_compare_metadata(opener: Opener) -> None:
    rows: dict[str, dict[str, Any]] = {
        "a": {"team": "hr", "year": 2024, "share": 0.5, "draft": True},
        "b": {"team": "it", "year": 2025, "share": 1.0, "draft": False},
        "c": {"team": "hr", "year": 2025, "note": None, "long": "x" * 3000},
        "d": {"team": "2025", "year": "2025"},
        "e": {},
    }
    asked: list[tuple[Filter, str]] = [
        ({"team": "hr"}, "ac"),
        ({"year": 2025}, "bc"),
        ({"year": "2025"}, "d"),
        ({"team": "hr", "year": 2025}, "c"),
        ({"share": 0.5}, "a"),
        ({"share": 1}, "b"),
        ({"draft": True}, "a"),
        ({"draft": False}, "b"),
        ({"team": None}, "e"),
        ({"note": None}, "abcde"),
        ({"team": ("hr", "it")}, "abc"),
        ({"team": ()}, ""),
        ({"team": "none"}, ""),
        ({"missing": 1}, ""),
        ({"document_id": ("a", "e", "zzz")}, "ae"),
        ({"document_id": "b", "team": "hr"}, ""),
        ({"long": "x" * 3000}, "c"),
        ({"long": "x" * 2999}, ""),
        ({}, "abcde"),
    ]
    with _opened(opener, "filters") as store:
        for name, metadata in rows.items():
            _put(store, Document(name, f"alpha {name}{name}", metadata), _unit(0))
        for filter, expected in asked:
            for vector in (None, _unit(0)):
                got = "".join(sorted(hit.chunk.document_id for hit in store.search("alpha", vector, 9, filter)))
                assert got == expected, f"{filter}: expected {expected!r}, got {got!r}"


def filters_lose_nothing(opener: Opener) -> None:
    """A filter that lets few chunks through still finds all of them, also where an index looks at neighbours only."""
    with _opened(opener, "narrow") as store:
        rare = [f"rare{number}" for number in range(5)]
        for number, name in enumerate(rare):
            usual = Document(f"usual{number}", " ".join(f"alpha{number}x{place}" for place in range(60)))
            near = np.tile(_eye(1), (60, 1))
            store.upsert(usual, chunks_of(usual, *usual.text.split()), near)
            _put(store, Document(name, f"alpha {number}", {"kind": "rare"}), _unit(1))
        hits = store.search("alpha", _unit(0), 5, {"kind": "rare"})
        assert sorted(hit.chunk.document_id for hit in hits) == rare
        hits = store.search("unrelated", _unit(0), 5, {"kind": "rare"})
        assert len(hits) == 5, f"{len(hits)} of 5 by meaning alone"


def readers_see_only_what_is_for_them(opener: Opener) -> None:
    labels = ("hr", "it", "法務")
    sets = [None, *(",".join(some) for n in range(1, 4) for some in itertools.combinations(labels, n))]
    documents = {f"d{number}": access for number, access in enumerate([*sets, "", "*", "!", "HR, it"])}
    readers = [tuple(some) for n in range(4) for some in itertools.permutations((*labels, "other"), n)]
    with _opened(opener, "access") as store:
        for name, access in documents.items():
            metadata = {"title": "secret"} if access is None else {"title": "secret", "access": access}
            _put(store, Document(name, f"secret alpha {name}", metadata), _unit(0))
        for reader in [*readers, ("*",), ("!",)]:
            expected = {name for name, access in documents.items() if _may_see(access, reader)}
            for vector in (None, _unit(0)):
                hits = store.search("secret alpha", vector, 50, {READER: reader})
                got = {hit.chunk.document_id for hit in hits}
                assert got == expected, f"reader {reader}: too much {got - expected}, too little {expected - got}"
        hits = store.search("secret", _unit(0), 50, {READER: ("hr",), "document_id": "d2"})
        assert hits == [], "a filter by id goes past the access labels"


def new_labels_hold_at_once(opener: Opener) -> None:
    with _opened(opener, "relabel") as store:
        text = "alpha secret"
        _put(store, Document("d", text), _unit(0))
        assert len(store.search("alpha", _unit(0), 5, {READER: ()})) == 1
        _put(store, Document("d", text, {"access": "hr"}), _unit(0))
        assert store.search("alpha", _unit(0), 5, {READER: ()}) == [], "the labels of the same text were not renewed"
        assert len(store.search("alpha", _unit(0), 5, {READER: ("hr",)})) == 1
        _put(store, Document("d", text, {"access": "it"}), _unit(0))
        assert store.search("alpha", _unit(0), 5, {READER: ("hr",)}) == []


def a_change_is_seen_by_others_at_once(opener: Opener) -> None:
    with _opened(opener, "visible") as writer, _opened(opener, "visible") as reader:
        for number in range(5):
            _put(writer, Document("d", f"alpha word{number}"), _unit(number))
            _put(writer, Document(f"more{number}", f"beta word{number}"), _unit(number))
            hits = reader.search(f"word{number}", None, 9)
            assert {hit.chunk.document_id for hit in hits} == {"d", f"more{number}"}, "not seen by another connection"
            _assert_near_one(reader, number)
        writer.delete(["d"])
        assert reader.search("alpha", None, 9) == [], "still seen by another connection after a deletion"
        assert "d" not in reader.digests()


def what_was_written_stays(opener: Opener) -> None:
    document = Document("d", "alpha beta", {"team": "hr"})
    with _opened(opener, "stays") as store:
        store.upsert(document, chunks_of(document, "alpha", "beta"), _eye(2))
    with _opened(opener, "stays") as store:
        assert store.digests() == {"d": document.version}
        hits = store.search("beta", _unit(1), 1, {"team": "hr"})
        assert [hit.chunk for hit in hits] == chunks_of(document, "alpha", "beta")[1:]
        assert hits[0].lexical is not None and hits[0].dense is not None
    with _opened(opener, "stays-other") as other:
        assert dict(other.digests()) == {}, "two names share their documents"


def a_wrong_number_of_vectors_changes_nothing(opener: Opener) -> None:
    with _opened(opener, "mismatch") as store:
        document = Document("d", "alpha beta")
        _put(store, document, _unit(0))
        try:
            store.upsert(Document("d", "gamma"), chunks_of(Document("d", "gamma")), _eye(2))
        except ValueError:
            pass
        else:
            raise AssertionError("two vectors for one chunk were accepted")
        assert store.digests() == {"d": document.version}
        assert len(store.search("alpha", None, 5)) == 1


def a_long_document_is_held_whole(opener: Opener) -> None:
    words = [f"word{number}" for number in range(1_200)]
    document = Document("long", " ".join(words))
    vectors = np.tile(_eye(_DIMENSION), (150, 1))
    with _opened(opener, "long") as store:
        store.upsert(document, chunks_of(document, *words), vectors)
        for number in (0, 599, 1_199):
            hits = store.search(f"word{number}", None, 3)
            assert [hit.chunk.text for hit in hits] == [f"word{number}"]
        short = Document("long", "short")
        _put(store, short, _unit(0))
        assert store.search("word1199", None, 3) == []
        assert len(store.search("nothing", _unit(0), 50)) == 1


def many_changes_end_where_they_should(opener: Opener) -> None:
    """Random changes, compared with a dictionary after each."""
    chance = random.Random(11)
    held: dict[str, Document] = {}
    with _opened(opener, "random") as store:
        for step in range(40):
            name = f"d{chance.randrange(8)}"
            if chance.random() < 0.3:
                assert store.delete([name]) == int(held.pop(name, None) is not None)
            else:
                held[name] = Document(name, f"shared mark{step}x", {"even": step % 2 == 0})
                _put(store, held[name], _unit(step))
            if step % 5 == 0:
                _compare(store, held)
        _compare(store, held)


def reading_goes_on_while_others_write(opener: Opener) -> None:
    failed: list[BaseException] = []
    stop = threading.Event()
    with _opened(opener, "busy") as writer, _opened(opener, "busy") as reader:
        _put(writer, Document("steady", "alpha steady"), _unit(0))

        def read() -> None:
            try:
                while not stop.is_set():
                    hits = reader.search("alpha", _unit(0), 5)
                    assert "steady" in {hit.chunk.document_id for hit in hits}, "a document that nobody touches is gone"
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            for number in range(25):
                _put(writer, Document(f"d{number % 3}", f"beta {number}"), _unit(number))
        finally:
            stop.set()
            thread.join(60)
    if failed:
        raise AssertionError(f"reading failed while another connection wrote: {failed[0]!r}") from failed[0]


STORE_CHECKS: tuple[Check, ...] = (
    an_empty_store_finds_nothing,
    hits_are_the_stored_chunks,
    an_update_replaces_everything,
    doing_it_again_changes_nothing,
    deleting_says_how_many_were_there,
    vectors_order_by_cosine,
    both_sides_are_fused,
    rarer_words_count_more,
    three_languages_are_searched,
    any_text_can_be_an_id,
    filters_compare_metadata,
    filters_lose_nothing,
    readers_see_only_what_is_for_them,
    new_labels_hold_at_once,
    a_change_is_seen_by_others_at_once,
    what_was_written_stays,
    a_wrong_number_of_vectors_changes_nothing,
    a_long_document_is_held_whole,
    many_changes_end_where_they_should,
    reading_goes_on_while_others_write,
)


# -- tools ---------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(opener: Opener, name: str) -> Iterator[OpenStore]:
    store = opener(name)
    try:
        yield store
    finally:
        store.close()
        store.close()  # closing twice is allowed


def _put(store: Store, document: Document, vector: NDArray[Any] | None = None) -> None:
    store.upsert(document, chunks_of(document), None if vector is None else vector[None, :])


def _unit(place: int) -> NDArray[np.float32]:
    return np.asarray(_eye(_DIMENSION)[place % _DIMENSION])


def _eye(count: int) -> NDArray[np.float32]:
    return np.eye(_DIMENSION, dtype=np.float32)[:count]


def _number(hit: Hit) -> int:
    return int(hit.chunk.text[1:])


def _assert_near_one(store: Store, place: int) -> None:
    """The cosine of the best chunk by meaning must be that of a vector with itself."""
    best = store.search("nothing", _unit(place), 1)[0].dense or 0.0
    assert abs(best - 1.0) < 1e-3, f"the cosine of a vector with itself is {best}"


def _may_see(access: str | None, reader: Sequence[str]) -> bool:
    if access is None:
        return True
    return not set(reader).isdisjoint({part.strip().lower() for part in access.split(",")} - {""})


def _compare(store: Store, held: Mapping[str, Document]) -> None:
    assert dict(store.digests()) == {name: document.version for name, document in sorted(held.items())}
    found = {hit.chunk.document_id: hit.chunk.text for hit in store.search("shared", None, 50)}
    assert found == {name: document.text for name, document in held.items()}
    near = {hit.chunk.document_id for hit in store.search("nothing", _unit(0), 50)}
    assert near == set(held), "found by meaning is not what is held"
    even = {hit.chunk.document_id for hit in store.search("shared", _unit(0), 50, {"even": True})}
    assert even == {name for name, document in held.items() if document.metadata["even"]}
