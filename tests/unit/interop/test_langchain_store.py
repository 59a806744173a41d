"""Our store as a LangChain vector store beyond the official suite: hybrid search, filters, thresholds, variety."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_core", reason="needs the langchain extra (langchain-core not installed)")

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from groundtune import registry
from groundtune.errors import DataError, UserError
from groundtune.interop.langchain_chat import GroundtuneEmbeddings
from groundtune.interop.langchain_store import GroundtuneVectorStore

DOCUMENTS = [
    Document(
        id="leave", page_content="Annual leave is 27 days.", metadata={"team": "hr", "year": 2024, "source": "a.md"}
    ),
    Document(
        id="sick", page_content="病假須於三日內附醫師證明。", metadata={"team": "hr", "year": 2025, "tags": ["x", "y"]}
    ),
    Document(id="park", page_content="駐車場は地下二階にあります。", metadata={"team": "site", "year": 2023}),
    Document(id="open", page_content="The gate opens at 06:30.", metadata={"team": "site"}),
]


@pytest.fixture
def store() -> Iterator[GroundtuneVectorStore]:
    made = GroundtuneVectorStore(GroundtuneEmbeddings("fake:"))
    made.add_documents(DOCUMENTS)
    yield made
    made.close()


def ids(documents: list[Document]) -> list[str]:
    return [str(document.id) for document in documents]


@pytest.mark.parametrize(
    ("question", "expected"),
    [("how many days of annual leave", "leave"), ("病假要附證明嗎", "sick"), ("駐車場はどこ", "park")],
)
def test_words_of_three_languages_are_found(question: str, expected: str) -> None:
    """With embeddings that know nothing, what is found is found by words; LangChain's own store finds it by chance."""
    store = GroundtuneVectorStore(DeterministicFakeEmbedding(size=8))
    store.add_documents(DOCUMENTS)
    assert ids(store.similarity_search(question, k=1, mode="lexical")) == [expected]
    assert expected in ids(store.similarity_search(question, k=2))
    store.close()


def test_documents_come_back_as_they_were(store: GroundtuneVectorStore) -> None:
    assert store.get_by_ids(["park", "none", "leave"]) == [DOCUMENTS[2], DOCUMENTS[0]]
    assert store.similarity_search("證明", k=1)[0] == DOCUMENTS[1]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"team": "hr"}, {"leave", "sick"}),
        ({"team": ["hr", "site"], "year": {"$gte": 2024}}, {"leave", "sick"}),
        ({"$or": [{"year": 2023}, {"year": {"$gt": 2024}}]}, {"park", "sick"}),
        ({"$not": {"team": "hr"}}, {"park", "open"}),
        ({"year": {"$ne": 2024}}, {"sick", "park", "open"}),
        (lambda document: "x" in document.metadata.get("tags", []), {"sick"}),
        ({}, {"leave", "sick", "park", "open"}),
    ],
)
def test_filters(store: GroundtuneVectorStore, filter: Any, expected: set[str]) -> None:
    assert set(ids(store.similarity_search("leave 證明 駐車場 gate", k=4, filter=filter, mode="dense"))) == expected


def test_a_filter_that_lets_few_through_still_finds_k(tmp_path: Path) -> None:
    store = GroundtuneVectorStore(GroundtuneEmbeddings("fake:"), folder=tmp_path)
    store.add_texts([f"rule {n} about leave" for n in range(300)], [{"n": n} for n in range(300)])
    found = store.similarity_search("leave", k=3, filter={"n": {"$gte": 297}})
    assert sorted(document.metadata["n"] for document in found) == [297, 298, 299]
    store.close()


def test_unknown_operators_are_named(store: GroundtuneVectorStore) -> None:
    with pytest.raises(UserError, match=r"\$near"):
        store.similarity_search("x", filter={"year": {"$near": 3}})
    with pytest.raises(DataError, match="at least 1"):
        store.similarity_search("x", k=0)


def test_scores_are_cosines_where_they_mean_something(store: GroundtuneVectorStore) -> None:
    (document, score), *_ = store.similarity_search_with_score("Annual leave is 27 days.", k=2, mode="dense")
    assert document.id == "leave" and score == pytest.approx(1.0, abs=1e-4)
    retriever = store.as_retriever(search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.9})
    assert ids(retriever.invoke("Annual leave is 27 days.")) == ["leave"]
    vector = GroundtuneEmbeddings("fake:").embed_query("The gate opens at 06:30.")
    assert ids(store.similarity_search_by_vector(vector, k=1)) == ["open"]


def test_variety() -> None:
    texts = ["leave days rules", "leave days rules apply", "leave days", "parking gate leave"]
    ours = GroundtuneVectorStore.from_texts(texts, GroundtuneEmbeddings("fake:"), ids=list("abcd"))
    theirs = InMemoryVectorStore(GroundtuneEmbeddings("fake:"))
    theirs.add_texts(texts, ids=list("abcd"))
    options: dict[str, Any] = {"k": 2, "fetch_k": 4, "lambda_mult": 0.3}
    expected = theirs.max_marginal_relevance_search("leave days", **options)
    assert ids(ours.max_marginal_relevance_search("leave days", **options)) == ids(expected)
    ours.close()


def test_what_is_deleted_is_gone_for_good(tmp_path: Path) -> None:
    store = GroundtuneVectorStore(GroundtuneEmbeddings("fake:"), folder=tmp_path)
    store.add_texts(["first secret"], ids=["a"])
    store.add_texts(["second"], ids=["a"])
    store.add_texts(["third secret"], ids=["b"])
    store.delete(["b", "never"])
    store.close()
    held = registry.load("store", f"sqlite:{tmp_path}")
    assert [(row.document_id, held.history.text_at(row.seq)) for row in held.history.rows()] == [("a", "second")]
    held.close()
    again = GroundtuneVectorStore(GroundtuneEmbeddings("fake:"), folder=tmp_path)
    assert ids(again.similarity_search("second")) == ["a"]
    again.delete()
    assert again.similarity_search("second") == []
    again.close()


def test_what_does_not_fit_is_refused_and_changes_nothing(store: GroundtuneVectorStore) -> None:
    with pytest.raises(DataError, match="metadata"):
        store.add_texts(["x"], [{"when": object()}], ids=["bad"])
    with pytest.raises(ValueError, match="2 texts"):
        store.add_texts(["x", "y"], ids=["one"])
    assert store.get_by_ids(["bad", "one"]) == []
    other = GroundtuneVectorStore(DeterministicFakeEmbedding(size=6))
    other._pieces.close()
    other._pieces = store._pieces
    with pytest.raises(DataError, match="6 numbers"):
        other.add_texts(["x"])


def test_without_an_embedding_it_searches_words() -> None:
    store = GroundtuneVectorStore()
    store.add_documents(DOCUMENTS)
    assert ids(store.similarity_search("病假", k=1)) == ["sick"]
    with pytest.raises(UserError, match="embedding"):
        store.max_marginal_relevance_search("病假")
    store.close()
    store.close()


def test_an_outer_store_searches(tmp_path: Path) -> None:
    store = GroundtuneVectorStore(GroundtuneEmbeddings("fake:"), folder=tmp_path, store="fake:langchain-outer")
    store.add_documents(DOCUMENTS)
    assert ids(store.similarity_search("駐車場", k=1, filter={"team": "site"})) == ["park"]
    store.close()
