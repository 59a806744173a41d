"""LlamaIndex in and out: our knowledge base as a retriever of theirs, their retrievers as ours.

Written against llama-index-core 0.14 (``pip install "groundtune[llamaindex]"``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.callbacks import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode

from groundtune.interop.bring import TheirEmbedder, calling, target
from groundtune.interop.convert import hit_of, metadata_of
from groundtune.ports import Kind
from groundtune.types import Generation, Hit, Message, Usage


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
        return [NodeWithScore(node=node_of(hit), score=hit.score) for hit in hits]


class LlamaIndexSearch:
    """A LlamaIndex retriever behind our ``search``. It decides itself how much it finds; ``k`` cuts off the rest."""

    def __init__(self, retriever: Any) -> None:  # noqa: ANN401
        self._retriever = retriever

    def search(self, query: str, k: int = 10) -> list[Hit]:
        """Best ``k`` passages, best first. An index is asked for ``k``. Raises ``ModelUnreachable`` when it raises
        anything.
        """
        with calling(f"llamaindex:{type(self._retriever).__name__}"):
            maker = getattr(self._retriever, "as_retriever", None)
            retriever = maker(similarity_top_k=k) if callable(maker) else self._retriever
            found = retriever.retrieve(query)[:k]
        return [_hit(scored, rank) for rank, scored in enumerate(found)]


class LlamaIndexModel:
    """A LlamaIndex LLM behind our ``Model`` port. ``settings`` names the call arguments for ``max_tokens`` and
    ``temperature``; by default none are passed: LlamaIndex sets them where an LLM is made.
    """

    def __init__(self, llm: Any, name: str = "", settings: Mapping[str, str] | None = None) -> None:  # noqa: ANN401
        self._llm = llm
        self.name = name or f"llamaindex:{type(llm).__name__}"
        self._settings = dict(settings or {})

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """Write the next assistant turn; a schema is not passed on. Raises ``ModelUnreachable`` when the LLM raises
        anything.
        """
        given = {"max_tokens": max_tokens, "temperature": temperature}
        options = {self._settings[name]: value for name, value in given.items() if self._settings.get(name)}
        chat = [ChatMessage(role=MessageRole(message.role), content=message.content) for message in messages]
        started = time.perf_counter()
        with calling(self.name):
            reply = self._llm.chat(chat, **options)
        return Generation(reply.message.content or "", _usage(reply.raw), time.perf_counter() - started, self.name)


class LlamaIndexEmbedder(TheirEmbedder):
    """A LlamaIndex embedding behind our ``Embedder`` port."""

    def __init__(self, embedding: Any, name: str = "") -> None:  # noqa: ANN401 - BaseEmbedding
        """Raises ``ModelUnreachable`` when it cannot embed."""
        self._embedding = embedding
        super().__init__(name or f"llamaindex:{type(embedding).__name__}")

    def _rows(self, texts: list[str], kind: Kind) -> list[list[float]]:
        if kind == "query":
            return [self._embedding.get_query_embedding(text) for text in texts]
        rows: list[list[float]] = self._embedding.get_text_embedding_batch(texts)
        return rows


def open_model(name: str, **options: object) -> LlamaIndexModel:
    """``llamaindex:module:object`` as a model. Options of other providers are ignored."""
    return LlamaIndexModel(target("llamaindex", name, ("chat",)), f"llamaindex:{name}")


def open_embedder(name: str, **options: object) -> LlamaIndexEmbedder:
    """``llamaindex:module:object`` as an embedder."""
    wanted = ("get_text_embedding_batch", "get_query_embedding")
    return LlamaIndexEmbedder(target("llamaindex", name, wanted), f"llamaindex:{name}")


def open_retriever(name: str, **options: object) -> LlamaIndexSearch:
    """``llamaindex:module:object`` as a retriever: a retriever or an index."""
    return LlamaIndexSearch(target("llamaindex", name, ("retrieve",), ("as_retriever",)))


def node_of(hit: Hit) -> TextNode:
    """A passage as a node: its place in the metadata, its document as the source."""
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


def _usage(raw: Any) -> Usage:  # noqa: ANN401 - what the provider sent, an object or a mapping
    counted = raw.get("usage") if isinstance(raw, Mapping) else getattr(raw, "usage", None)

    def number(*names: str) -> int:
        for name in names:
            value = counted.get(name) if isinstance(counted, Mapping) else getattr(counted, name, None)
            if isinstance(value, int):
                return value
        return 0

    return Usage(number("prompt_tokens", "input_tokens"), number("completion_tokens", "output_tokens"))
