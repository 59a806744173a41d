"""LlamaIndex in and out: our knowledge base as a retriever of theirs, their retrievers as ours.

Written against llama-index-core 0.14 (``pip install "groundtune[llamaindex]"``).
"""

from __future__ import annotations

from typing import Any

from llama_index.core.callbacks import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode

from groundtune.interop.convert import hit_of, metadata_of
from groundtune.types import Hit


class GroundtuneRetriever(BaseRetriever):  # type: ignore[misc]
    """Passages of a ``KnowledgeBase`` (or of anything with ``search(query, k)``) as LlamaIndex nodes.

    A node's ``ref_doc_id`` is the document's id and ``start_char_idx``/``end_char_idx`` its place; ``similarity_top_k``
    can be changed at any time.
    """

    def __init__(
        self,
        knowledge_base: Any,  # noqa: ANN401
        similarity_top_k: int = 10,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        self.knowledge_base = knowledge_base
        self.similarity_top_k = similarity_top_k
        super().__init__(callback_manager=callback_manager)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self.knowledge_base.search(query_bundle.query_str, k=self.similarity_top_k)
        return [NodeWithScore(node=_node(hit), score=hit.score) for hit in hits]


class LlamaIndexSearch:
    """A LlamaIndex retriever behind our ``search``. It decides itself how much it finds; ``k`` cuts off the rest."""

    def __init__(self, retriever: Any) -> None:  # noqa: ANN401
        self._retriever = retriever

    def search(self, query: str, k: int = 10) -> list[Hit]:
        """Best ``k`` passages, best first."""
        found = self._retriever.retrieve(query)[:k]
        return [_hit(scored, rank) for rank, scored in enumerate(found)]


def _node(hit: Hit) -> TextNode:
    chunk = hit.chunk
    shown = metadata_of(hit)
    hidden = [name for name in shown if name not in ("title", "heading")]
    return TextNode(
        id_=chunk.id,
        text=chunk.text,
        metadata=shown,
        start_char_idx=chunk.start,
        end_char_idx=chunk.end,
        excluded_llm_metadata_keys=hidden,
        excluded_embed_metadata_keys=hidden,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=chunk.document_id)},
    )


def _hit(scored: Any, rank: int) -> Hit:  # noqa: ANN401 - NodeWithScore
    node = scored.node
    metadata = dict(node.metadata)
    if "document_id" not in metadata and node.ref_doc_id:
        metadata["document_id"] = node.ref_doc_id
    return hit_of(node.get_content(), metadata, id=node.node_id, score=scored.score, rank=rank)
