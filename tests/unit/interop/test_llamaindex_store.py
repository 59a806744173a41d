"""The contract of a LlamaIndex vector store (there is no official suite): every method, mode, filter, and the ingestion
pipeline that upserts and deletes.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("llama_index.core", reason="needs the llamaindex extra (llama-index-core not installed)")

    from llama_index.core import Document, StorageContext, VectorStoreIndex
    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
    from llama_index.core.storage.docstore import SimpleDocumentStore
    from llama_index.core.vector_stores.simple import SimpleVectorStore
    from llama_index.core.vector_stores.types import (
        FilterCondition,
        FilterOperator,
        MetadataFilter,
        MetadataFilters,
        VectorStoreQuery,
        VectorStoreQueryMode,
    )

    from groundtune.interop.llamaindex_model import GroundtuneEmbedding, GroundtuneLLM, GroundtuneQueryEngine
    from groundtune.interop.llamaindex_store import GroundtuneVectorStore

from groundtune import registry
from groundtune.errors import DataError, ModelUnreachable, UserError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.models.fake import FakeModel
from groundtune.types import Document as OurDocument
from groundtune.types import Message

M = VectorStoreQueryMode
O = FilterOperator  # noqa: E741
TEXTS = {
    "leave": ("Annual leave is 27 days.", "hb.md", {"team": "hr", "year": 2024, "tags": ["a", "b"]}),
    "sick": ("病假須於三日內附醫師證明。", "hb.md", {"team": "hr", "year": 2025, "tags": ["b"]}),
    "park": ("駐車場は地下二階にあります。", "site.md", {"team": "site", "year": 2023, "note": "Deep Floor"}),
    "gate": ("The gate opens at 06:30.", "site.md", {"team": "site", "tags": []}),
}


@pytest.fixture(scope="module")
def embedding() -> GroundtuneEmbedding:
    return GroundtuneEmbedding("fake:")


def nodes(embedding: GroundtuneEmbedding) -> list[TextNode]:
    return [
        TextNode(
            id_=name, text=text, metadata=dict(metadata), embedding=embedding.get_text_embedding(text),
            relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source)},
        )
        for name, (text, source, metadata) in TEXTS.items()
    ]  # fmt: skip


@pytest.fixture
def store(embedding: GroundtuneEmbedding) -> Iterator[GroundtuneVectorStore]:
    made = GroundtuneVectorStore()
    assert made.add(nodes(embedding)) == list(TEXTS)
    yield made
    made.close()


def held(store: GroundtuneVectorStore, **options: Any) -> set[str]:
    return {node.node_id for node in store.get_nodes(**options)}


def test_nodes_come_back_whole(store: GroundtuneVectorStore) -> None:
    (node,) = store.get_nodes(["leave"])
    assert isinstance(node, TextNode) and node.text == TEXTS["leave"][0] and node.metadata == TEXTS["leave"][2]
    assert node.ref_doc_id == "hb.md"
    assert [one.node_id for one in store.get_nodes(["park", "none", "leave"])] == ["park", "leave"]
    assert held(store) == set(TEXTS)


def test_adding_again_replaces(store: GroundtuneVectorStore, embedding: GroundtuneEmbedding) -> None:
    text = "Annual leave is 30 days."
    store.add([TextNode(id_="leave", text=text, embedding=embedding.get_text_embedding(text))])
    (node,) = store.get_nodes(["leave"])
    assert node.get_content() == text and node.ref_doc_id is None and held(store) == set(TEXTS)
    store.delete("hb.md")
    assert held(store) == {"leave", "park", "gate"}, "it belongs to that document no more"
    with pytest.raises(DataError, match="2 numbers"):
        store.add([TextNode(id_="x", text="x", embedding=[1.0, 0.0])])
    assert store.add([]) == []


def test_deleting(store: GroundtuneVectorStore) -> None:
    store.delete("hb.md")
    store.delete("never.md")
    assert held(store) == {"park", "gate"}
    store.delete_nodes(["gate", "never"])
    assert held(store) == {"park"}
    store.delete_nodes()
    assert held(store) == {"park"}, "nothing asked, nothing deleted"
    store.delete_nodes(filters=MetadataFilters(filters=[MetadataFilter(key="team", value="site")]))
    assert held(store) == set()


def test_clear(store: GroundtuneVectorStore) -> None:
    asyncio.run(store.aclear())
    assert held(store) == set()
    store.add([TextNode(id_="x", text="x", embedding=[1.0, 0.0])])
    assert held(store) == {"x"}, "an empty store takes vectors of another length"


@pytest.mark.parametrize(
    ("mode", "question", "expected"),
    [
        (M.DEFAULT, "Annual leave is 27 days.", "leave"),
        (M.TEXT_SEARCH, "病假要附證明嗎", "sick"),
        (M.SPARSE, "駐車場はどこ", "park"),
        (M.HYBRID, "When does the gate open?", "gate"),
        (M.SEMANTIC_HYBRID, "annual leave", "leave"),
        (M.MMR, "Annual leave is 27 days.", "leave"),
    ],
)
def test_modes(
    store: GroundtuneVectorStore,
    embedding: GroundtuneEmbedding,
    mode: VectorStoreQueryMode,
    question: str,
    expected: str,
) -> None:
    vector = embedding.get_query_embedding(question)
    found = store.query(VectorStoreQuery(vector, 2, query_str=question, mode=mode))
    assert found.ids and found.ids[0] == expected and len(found.ids) <= 2
    assert found.nodes is not None and [node.node_id for node in found.nodes] == found.ids
    assert found.similarities is not None and len(found.similarities) == len(found.ids)
    if mode == M.DEFAULT:
        assert found.similarities[0] == pytest.approx(1.0, abs=1e-4)


def test_alpha_moves_between_words_and_vectors(store: GroundtuneVectorStore, embedding: GroundtuneEmbedding) -> None:
    vector = embedding.get_query_embedding("The gate opens at 06:30.")

    def first(alpha: float) -> str:
        query = VectorStoreQuery(vector, 1, query_str="病假", mode=M.HYBRID, alpha=alpha)
        return (store.query(query).ids or [""])[0]

    assert (first(0.0), first(1.0)) == ("sick", "gate")


def test_hybrid_top_k_and_sparse_top_k(store: GroundtuneVectorStore, embedding: GroundtuneEmbedding) -> None:
    vector = embedding.get_query_embedding("leave gate")
    hybrid = VectorStoreQuery(vector, 1, query_str="leave gate", mode=M.HYBRID, hybrid_top_k=3)
    words = VectorStoreQuery(None, 1, query_str="leave gate", mode=M.SPARSE, sparse_top_k=2)
    assert len(store.query(hybrid).ids or []) == 3 and len(store.query(words).ids or []) == 2


def test_modes_that_cannot_be(store: GroundtuneVectorStore) -> None:
    with pytest.raises(UserError, match="svm"):
        store.query(VectorStoreQuery([1.0], mode=M.SVM))
    with pytest.raises(UserError, match="lacks what it compares"):
        store.query(VectorStoreQuery(None, query_str="x"))


FILTERS = [
    ("team", O.EQ, "hr", {"leave", "sick"}),
    ("team", O.NE, "hr", {"park", "gate"}),
    ("year", O.GT, 2024, {"sick"}),
    ("year", O.GTE, 2024, {"leave", "sick"}),
    ("year", O.LT, 2024, {"park"}),
    ("year", O.LTE, 2024, {"leave", "park"}),
    ("year", O.IN, [2023, 2025], {"park", "sick"}),
    ("year", O.NIN, [2023, 2025], {"leave", "gate"}),
    ("tags", O.ANY, ["a", "z"], {"leave"}),
    ("tags", O.ALL, ["a", "b"], {"leave"}),
    ("tags", O.CONTAINS, "b", {"leave", "sick"}),
    ("note", O.TEXT_MATCH, "Deep", {"park"}),
    ("note", O.TEXT_MATCH, "deep", set()),
    ("note", O.TEXT_MATCH_INSENSITIVE, "deep", {"park"}),
    ("tags", O.IS_EMPTY, None, {"park", "gate"}),
]


@pytest.mark.parametrize(("key", "operator", "value", "expected"), FILTERS, ids=lambda v: getattr(v, "name", None))
def test_filters(
    store: GroundtuneVectorStore, embedding: GroundtuneEmbedding, key: str, operator: FilterOperator, value: Any,
    expected: set[str],
) -> None:  # fmt: skip
    filters = MetadataFilters(filters=[MetadataFilter(key=key, operator=operator, value=value)])
    vector = embedding.get_query_embedding("anything")
    assert held(store, filters=filters) == expected
    assert set(store.query(VectorStoreQuery(vector, 9, filters=filters)).ids or []) == expected


@pytest.mark.parametrize("case", [f for f in FILTERS if f[1] not in (O.TEXT_MATCH, O.TEXT_MATCH_INSENSITIVE)],
                         ids=lambda f: f[1].name)  # fmt: skip
def test_filters_mean_what_they_mean_in_llamaindex(embedding: GroundtuneEmbedding, case: Any) -> None:
    """LlamaIndex' own in-memory store as the oracle, where it knows the operator."""
    theirs = SimpleVectorStore()
    theirs.add(nodes(embedding))
    filters = MetadataFilters(filters=[MetadataFilter(key=case[0], operator=case[1], value=case[2])])
    query = VectorStoreQuery(embedding.get_query_embedding("anything"), 9, filters=filters)
    assert set(theirs.query(query).ids or []) == case[3]


def test_conditions_nest(store: GroundtuneVectorStore) -> None:
    hr, old = MetadataFilter(key="team", value="hr"), MetadataFilter(key="year", operator=O.LT, value=2025)
    assert held(store, filters=MetadataFilters(filters=[hr, old])) == {"leave"}
    either = MetadataFilters(filters=[hr, old], condition=FilterCondition.OR)
    assert held(store, filters=either) == {"leave", "sick", "park"}
    assert held(store, filters=MetadataFilters(filters=[hr, old], condition=FilterCondition.NOT)) == {"gate"}
    nested = MetadataFilters(filters=[either, MetadataFilter(key="team", value="site")])
    assert held(store, filters=nested) == {"park"}


def test_doc_ids_and_node_ids(store: GroundtuneVectorStore, embedding: GroundtuneEmbedding) -> None:
    vector = embedding.get_query_embedding("anything")
    assert set(store.query(VectorStoreQuery(vector, 9, doc_ids=["hb.md"])).ids or []) == {"leave", "sick"}
    query = VectorStoreQuery(vector, 9, doc_ids=["hb.md"], node_ids=["sick", "park"])
    assert set(store.query(query).ids or []) == {"sick"}


def test_upserts_and_delete_through_the_ingestion_pipeline(embedding: GroundtuneEmbedding, tmp_path: Path) -> None:
    store = GroundtuneVectorStore(folder=str(tmp_path))
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(chunk_size=64, chunk_overlap=0), embedding],
        docstore=SimpleDocumentStore(),
        vector_store=store,
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
    )
    first = [Document(text="Leave is 27 days.", doc_id="a"), Document(text="The gate opens at 6.", doc_id="b")]
    pipeline.run(documents=first)
    assert {node.ref_doc_id for node in store.get_nodes()} == {"a", "b"}
    assert pipeline.run(documents=first) == [], "nothing changed, nothing done"
    pipeline.run(documents=[Document(text="Leave is 30 days.", doc_id="a"), Document(text="停車費。", doc_id="c")])
    texts = {node.ref_doc_id: node.get_content() for node in store.get_nodes()}
    assert texts == {"a": "Leave is 30 days.", "c": "停車費。"}
    store.close()


def test_an_index_over_our_store(store: GroundtuneVectorStore, embedding: GroundtuneEmbedding) -> None:
    index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
    retriever = index.as_retriever(similarity_top_k=1, vector_store_query_mode="hybrid")
    (found,) = retriever.retrieve("病假要附證明嗎")
    assert found.node.node_id == "sick"
    engine = index.as_query_engine(llm=GroundtuneLLM("fake:echo"), similarity_top_k=1)
    assert "27 days" in str(engine.query("Annual leave is how many days?"))
    context = StorageContext.from_defaults(vector_store=GroundtuneVectorStore())
    made = VectorStoreIndex.from_documents([Document(text="One.")], storage_context=context, embed_model=embedding)
    assert made.as_retriever().retrieve("One.")[0].node.get_content() == "One."


def test_our_models_there() -> None:
    port = FakeModel("t", lambda messages: "said " + messages[-1].content)
    llm = GroundtuneLLM(port=port)
    reply = llm.chat([ChatMessage(role="system", content="s"), ChatMessage(role="user", content="q")])
    assert reply.message.content == "said q" and reply.raw["usage"]["prompt_tokens"] > 0
    assert [message.role for message in port.calls[0]] == ["system", "user"]
    assert llm.complete("p").text == "said p" and llm.metadata.is_chat_model
    assert [part.delta for part in llm.stream_complete("p")] == ["said", " p", ""]
    streamed = list(llm.stream_chat([ChatMessage(role="user", content="q")]))
    assert [part.delta for part in streamed] == ["said", " q", ""] and streamed[-1].message.content == "said q"
    assert streamed[-1].raw["usage"]["completion_tokens"] == 2
    assert asyncio.run(llm.achat([ChatMessage(role="user", content="q")])).message.content == "said q"
    embedding = GroundtuneEmbedding("fake:")
    assert len(embedding.get_text_embedding_batch(["a", "b"])) == 2
    assert asyncio.run(embedding.aget_query_embedding("a")) == embedding.get_query_embedding("a")


def test_our_answers_there(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb") as base:
        base.add([OurDocument("leave.md", "Staff receive 27 days of leave.")])
        said = FakeModel("t", lambda messages: "Staff receive 27 days of leave. [1]")
        reply = GroundtuneQueryEngine(base, model=said).query("How many days of leave do staff receive?")
        assert str(reply).startswith("Staff receive 27 days of leave.")
        assert reply.metadata["citations"][0]["document_id"] == "leave.md"
        assert reply.source_nodes[0].node.ref_doc_id == "leave.md"
        assert asyncio.run(GroundtuneQueryEngine(base, model="fake:fixed=").aquery("x")).metadata["abstained"] is True


APP = """
from llama_index.core import MockEmbedding, VectorStoreIndex, Document
from llama_index.core.llms import MockLLM
llm = MockLLM()
embedding = MockEmbedding(embed_dim=4)
index = VectorStoreIndex.from_documents([Document(text="Staff receive 27 days.", metadata={"file_name": "leave.md"})],
                                        embed_model=embedding)
retriever = index.as_retriever()
class Down:
    def retrieve(self, query):
        raise OSError("no route")
down = Down()
"""


def test_theirs_as_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "li_app.py").write_text(APP, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "_places", [tmp_path])
    try:
        made = registry.load("model", "llamaindex:li_app:llm").generate([Message("user", "hello")])
        assert "hello" in made.text and made.model == "llamaindex:li_app:llm"
        embedder = registry.load("embedder", "llamaindex:li_app:embedding")
        assert embedder.dimension == 4 and embedder.embed(["a"], kind="query").shape == (1, 4)
        for what in ("retriever", "index"):
            (hit,) = registry.load("retriever", f"llamaindex:li_app:{what}").search("days", k=1)
            assert hit.chunk.text == "Staff receive 27 days."
        with pytest.raises(ModelUnreachable, match="no route"):
            registry.load("retriever", "llamaindex:li_app:down").search("x")
    finally:
        sys.modules.pop("li_app", None)
