"""Our store as a LlamaIndex vector store: all metadata filters, hybrid search whose words are those of Chinese and
Japanese too. Written against llama-index-core 0.14.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.indices.query.embedding_utils import get_top_k_mmr_embeddings
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from groundtune.errors import UserError
from groundtune.interop.conditions import Compare, Condition, Group, holds
from groundtune.interop.pieces import FoundPiece, Mode, Piece, PieceStore
from groundtune.types import Fusion

_MODES: dict[VectorStoreQueryMode, Mode] = {
    VectorStoreQueryMode.DEFAULT: "dense",
    VectorStoreQueryMode.MMR: "dense",
    VectorStoreQueryMode.SPARSE: "lexical",
    VectorStoreQueryMode.TEXT_SEARCH: "lexical",
    VectorStoreQueryMode.HYBRID: "hybrid",
    VectorStoreQueryMode.SEMANTIC_HYBRID: "hybrid",
}
_MMR_FETCH = 4  # times as many as wanted are looked at, as in LlamaIndex


class GroundtuneVectorStore(BasePydanticVectorStore):  # type: ignore[misc]
    """Nodes in ``folder`` (empty: in one that goes with this object), searched there or by the store that ``store``
    names. Modes: DEFAULT (cosine), TEXT_SEARCH and SPARSE (words), HYBRID (``alpha`` 0: words, 1: cosine), MMR.
    """

    stores_text: bool = True
    flat_metadata: ClassVar[bool] = False
    folder: str = ""
    store: str = ""
    _pieces: PieceStore = PrivateAttr()

    def __init__(self, folder: str = "", store: str = "", **options: Any) -> None:  # noqa: ANN401
        """Raises ``StoreError``, and ``SpecError`` or ``MissingExtra`` for the store."""
        super().__init__(folder=str(folder), store=store, **options)
        self._pieces = PieceStore(folder, store)

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises it."""
        return "GroundtuneVectorStore"

    @property
    def client(self) -> PieceStore:
        """What it stands on."""
        return self._pieces

    def close(self) -> None:
        """Let go of the files."""
        self._pieces.close()

    # -- writing ---------------------------------------------------------------------------------------------------

    def add(self, nodes: Sequence[BaseNode], **options: Any) -> list[str]:  # noqa: ANN401
        """Add nodes, or replace those whose ids are there; all have an embedding or none has. All or nothing."""
        if not nodes:
            return []
        bare = [node.embedding is None for node in nodes]
        vectors = None if all(bare) else np.asarray([node.get_embedding() for node in nodes], dtype=np.float32)
        return self._pieces.put([_piece(node) for node in nodes], vectors)

    def delete(self, ref_doc_id: str, **options: Any) -> None:  # noqa: ANN401
        """Remove every node of a document."""
        self._pieces.delete(self._pieces.ids_of(ref_doc_id))

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Remove the nodes with these ids that the filters let through; one of the two may be left out, not both."""
        if node_ids is None and filters is None:
            return
        self._pieces.delete([piece.id for piece in self._pieces.select(node_ids, _condition(filters))])

    def clear(self) -> None:
        """Remove everything."""
        self._pieces.clear()

    # -- reading ---------------------------------------------------------------------------------------------------

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """Nodes by id (default: all) that the filters let through."""
        return [_node(piece) for piece in self._pieces.select(node_ids, _condition(filters))]

    def query(self, query: VectorStoreQuery, **options: Any) -> VectorStoreQueryResult:  # noqa: ANN401
        """Best ``similarity_top_k`` nodes (``sparse_top_k`` by words, ``hybrid_top_k`` by both, when given), best first.

        Raises ``UserError`` for a mode that is not known and for one that needs what the query does not have.
        """
        mode = _MODES.get(query.mode)
        if mode is None:
            raise UserError("interop.bad_mode", mode=query.mode.value, known=", ".join(one.value for one in _MODES))
        if (mode == "dense" and query.query_embedding is None) or (mode == "lexical" and not query.query_str):
            raise UserError("interop.bad_query", mode=query.mode.value)
        wanted = {"lexical": query.sparse_top_k, "hybrid": query.hybrid_top_k}.get(mode) or query.similarity_top_k
        mmr = query.mode == VectorStoreQueryMode.MMR
        found = self._pieces.search(
            query.query_str or "",
            query.query_embedding,
            max(1, wanted) * (_MMR_FETCH if mmr else 1),
            _where(query),
            mode,
            _fusion(query) if mode == "hybrid" else None,
        )
        if mmr:
            found = self._spread(query, found)
        return VectorStoreQueryResult(
            nodes=[_node(one.piece) for one in found],
            similarities=[one.score for one in found],
            ids=[one.piece.id for one in found],
        )

    def _spread(self, query: VectorStoreQuery, found: Sequence[FoundPiece]) -> list[FoundPiece]:
        by_id = {one.piece.id: one for one in found}
        if not by_id:
            return []
        rows = self._pieces.vectors(list(by_id))
        scores, ids = get_top_k_mmr_embeddings(
            query_embedding=query.query_embedding,
            embeddings=[list(map(float, row)) for row in rows],
            similarity_top_k=query.similarity_top_k,
            embedding_ids=list(by_id),
            mmr_threshold=query.mmr_threshold,
        )
        return [FoundPiece(by_id[one].piece, float(score)) for score, one in zip(scores, ids, strict=True)]


def _piece(node: BaseNode) -> Piece:
    metadata = node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
    return Piece(node.node_id, node.get_content(metadata_mode=MetadataMode.NONE), metadata, node.ref_doc_id or "")


def _node(piece: Piece) -> BaseNode:
    return metadata_dict_to_node(dict(piece.metadata), piece.text)


def _fusion(query: VectorStoreQuery) -> Fusion:
    return Fusion() if query.alpha is None else Fusion(1.0 - query.alpha, query.alpha)


def _condition(filters: MetadataFilters | None) -> Condition | None:
    if filters is None or not filters.filters:
        return None
    parts: list[Condition] = []
    for one in filters.filters:
        if isinstance(one, MetadataFilter):
            value = tuple(one.value) if isinstance(one.value, list) else one.value
            parts.append(Compare(one.key, one.operator.value, value))
        elif (inner := _condition(one)) is not None:
            parts.append(inner)
    join = (filters.condition or FilterCondition.AND).value
    return parts[0] if len(parts) == 1 and join != "not" else Group(join, tuple(parts))


def _where(query: VectorStoreQuery) -> Condition | Callable[[Piece], bool] | None:
    """Filters alone may be looked up by the store; with ids beside them each node is looked at."""
    condition = _condition(query.filters)
    if not query.doc_ids and not query.node_ids:
        return condition
    documents, nodes = set(query.doc_ids or ()), set(query.node_ids or ())

    def passes(piece: Piece) -> bool:
        if documents and piece.metadata.get("ref_doc_id") not in documents:
            return False
        if nodes and piece.id not in nodes:
            return False
        return condition is None or holds(condition, piece.metadata)

    return passes
