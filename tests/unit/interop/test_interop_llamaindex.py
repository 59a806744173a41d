"""LlamaIndex: our passages there, their retrievers here."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("llama_index.core", reason="needs the llamaindex extra (llama-index-core not installed)")

    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    from groundtune.interop.llamaindex import GroundtuneRetriever, LlamaIndexSearch

from groundtune.types import Chunk, Hit, digest

TEXTS = ("Leave is 27 days.", "病假須附證明。", "駐車場は地下2階。")


class Library:
    def search(self, query: str, k: int = 10) -> Sequence[Hit]:
        chunks = [Chunk(f"c{n}", "d.md", "v", t, n, n + len(t), digest(t), "T", "§ 1") for n, t in enumerate(TEXTS)]
        return [Hit(chunk, 1 / (n + 1)) for n, chunk in enumerate(chunks)][:k]


def test_nodes_carry_id_place_and_score() -> None:
    retriever = GroundtuneRetriever(Library(), similarity_top_k=2)
    first, second = retriever.retrieve("x")
    node = first.node
    assert (node.node_id, node.ref_doc_id, first.score, second.score) == ("c0", "d.md", 1.0, 0.5)
    assert isinstance(node, TextNode) and (node.start_char_idx, node.end_char_idx) == (0, len(TEXTS[0]))
    assert node.metadata["heading"] == "§ 1" and node.get_content() == TEXTS[0]
    retriever.similarity_top_k = 3
    assert len(retriever.retrieve("x")) == 3


def test_round_trip_through_llamaindex() -> None:
    assert LlamaIndexSearch(GroundtuneRetriever(Library())).search("x", k=2) == list(Library().search("x", 2))


def test_foreign_retriever() -> None:
    class Foreign(BaseRetriever):  # type: ignore[misc]
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            return [NodeWithScore(node=TextNode(id_="n1", text="Leave.", metadata={"file_path": "a.pdf"}), score=0.7)]

    (hit,) = LlamaIndexSearch(Foreign()).search("x")
    assert (hit.chunk.document_id, hit.chunk.text, hit.score) == ("a.pdf", "Leave.", 0.7)
