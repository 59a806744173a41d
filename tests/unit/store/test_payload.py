"""Filters and labels as lists of short strings: they must mean what the embedded store's SQL means."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.errors import StoreError
from groundtune.ports import READER
from groundtune.store.fake import SHELVES, open_store
from groundtune.store.outer import OuterStore
from groundtune.store.payload import ACCESS_FIELDS, EVERYBODY, RULES, access_fields, facets, needs, seen_by
from groundtune.store.sparse import index_of, of_chunk, of_question
from groundtune.store.sqlite import SqliteStore
from groundtune.testing import chunks_of
from groundtune.types import Document

KEYS = st.sampled_from(["team", "year", 'odd "key"', "access"])
LABELS = st.sampled_from(["hr", "it", "HR, board", "board,it", "", "*", "法務", " "])
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, -2.0]), st.sampled_from(["hr", "1", "", "x" * 300])
)  # fmt: skip
METADATA = st.dictionaries(KEYS, VALUES, max_size=3).map(
    lambda made: {key: value for key, value in made.items() if key != "access"}
)
READERS = st.lists(st.sampled_from(["hr", "it", "board", "法務", "other"]), max_size=3).map(tuple)
FILTERS = st.dictionaries(
    st.sampled_from(["team", "year", 'odd "key"', "missing"]),
    st.one_of(VALUES, st.lists(st.sampled_from(["hr", "1", ""]), max_size=2).map(tuple)),
    max_size=2,
)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(METADATA, st.one_of(st.none(), LABELS)), min_size=1, max_size=5),
    filter=FILTERS,
    reader=st.one_of(st.none(), READERS),
)
def test_same_as_the_embedded_store(tmp_path_factory, rows, filter, reader):
    SHELVES.pop("same", None)
    embedded, outer = SqliteStore(tmp_path_factory.mktemp("same")), open_store("same")
    for number, (metadata, access) in enumerate(rows):
        labelled = metadata if access is None else {**metadata, "access": access}
        document = Document(f"d{number}", f"alpha {number}", labelled)
        for store in (embedded, outer):
            store.upsert(document, chunks_of(document), None)
    asked = filter if reader is None else {**filter, READER: reader}
    expected = sorted(hit.chunk.document_id for hit in embedded.search("alpha", None, 9, asked))
    embedded.close()
    assert sorted(hit.chunk.document_id for hit in outer.search("alpha", None, 9, asked)) == expected


def test_access_fields():
    assert access_fields({}) == ((EVERYBODY,),) * ACCESS_FIELDS
    assert access_fields({"access": "HR, it"})[0] == ("=hr", "=it")
    assert access_fields({"access": ""})[0] == ("!",), "what names no label is seen by nobody"
    rules = json.dumps([["hr", "it"], ["hr"], ["board"]])
    fields = access_fields({"access": "hr", RULES: rules})
    assert fields == (("=board",), ("=hr",), ("*",), ("*",)), "what follows from a stricter condition is left out"
    assert seen_by(("hr",)) == ("*", "=hr") and seen_by("hr") == ("*",) and seen_by(None) == ("*",)
    many = json.dumps([[f"a{number}", f"b{number}"] for number in range(5)])
    with pytest.raises(StoreError, match="5 different access rules"):
        access_fields({RULES: many})


def test_needs():
    assert not needs(None).asked and not needs({}).asked
    assert needs({"document_id": None}).never and needs({"document_id": ()}).never and needs({"team": ()}).never
    assert needs({"team": None}).absent and needs({"team": (None, "a")}).every == (tuple(facets({"team": "a"})[0:0]) or needs({"team": "a"}).every[0],)  # fmt: skip
    assert RULES not in str(facets({RULES: "[]"})) and facets({RULES: "[]", "team": None}) == []


def test_sparse_vectors_are_bm25_without_frequencies():
    chunk = of_chunk(("title", "alpha beta alpha alpha"))
    weight = dict(zip(chunk.indices, chunk.values, strict=True))
    assert weight[index_of("alpha")] > weight[index_of("beta")] > weight[index_of("title")] > 0
    assert weight[index_of("alpha")] < 2.2, "repetition saturates"
    longer = of_chunk(("", "beta " + "x " * 900))
    assert dict(zip(longer.indices, longer.values, strict=True))[index_of("beta")] < weight[index_of("beta")]
    asked = of_question({"alpha": 0.5, "beta": 1.0})
    assert dict(zip(asked.indices, asked.values, strict=True)) == {index_of("alpha"): 0.5, index_of("beta"): 1.0}


def test_an_outer_store_has_five_methods():
    assert OuterStore.__abstractmethods__ == {"apply", "listing", "lexical", "dense", "close"}
