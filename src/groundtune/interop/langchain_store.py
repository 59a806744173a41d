"""Our store as a LangChain vector store: hybrid search whose words are those of Chinese and Japanese too.

Passes the ``langchain-tests`` suite ``VectorStoreIntegrationTests``. Written against langchain-core 1.x.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.documents import Document as LangChainDocument
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from groundtune.errors import UserError
from groundtune.interop.conditions import read_condition
from groundtune.interop.pieces import FoundPiece, Mode, Piece, PieceStore, Where

# A condition as a mapping (``{"team": "hr", "year": {"$gte": 2024}}``) or a function of a document.
Filter = Mapping[str, Any] | Callable[[LangChainDocument], bool]


class GroundtuneVectorStore(VectorStore):  # type: ignore[misc]
    """Documents in ``folder`` (empty: in one that goes with this object), searched there or by the store that ``store``
    names. ``mode``: ``hybrid`` (words and vectors, the default), ``dense`` or ``lexical``; without an ``embedding``
    it is lexical.
    """

    def __init__(
        self, embedding: Embeddings | None = None, *, folder: str | Path = "", store: str = "", mode: Mode = "hybrid"
    ) -> None:
        """Raises ``StoreError``, and ``SpecError`` or ``MissingExtra`` for the store."""
        self._embedding = embedding
        self._pieces = PieceStore(folder, store)
        self.mode: Mode = mode if embedding is not None else "lexical"

    @property
    def embeddings(self) -> Embeddings | None:
        """What embeds texts and questions."""
        return self._embedding

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **options: Any,  # noqa: ANN401 - as for the class
    ) -> GroundtuneVectorStore:
        """A new store with these texts; ``options`` as for the class."""
        made = cls(embedding, **options)
        made.add_texts(texts, metadatas, ids=ids)
        return made

    # -- writing ---------------------------------------------------------------------------------------------------

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **options: Any,  # noqa: ANN401 - of other stores; nothing here takes any
    ) -> list[str]:
        """Add texts, or replace those whose ids are there; texts without an id get one. All or nothing.

        Raises ``ValueError`` when there are not as many ids or metadatas as texts.
        """
        given = list(texts)
        tables = metadatas if metadatas is not None else [{} for _ in given]
        named = list(ids) if ids is not None else [None for _ in given]
        if len(tables) != len(given) or len(named) != len(given):
            raise ValueError(f"{len(given)} texts, {len(tables)} metadatas and {len(named)} ids")
        vectors = None
        if self._embedding is not None and given:
            vectors = np.asarray(self._embedding.embed_documents(given), dtype=np.float32)
        pieces = [
            Piece(name or str(uuid.uuid4()), text, table, _source(table))
            for name, text, table in zip(named, given, tables, strict=True)
        ]
        return self._pieces.put(pieces, vectors)

    def delete(self, ids: list[str] | None = None, **options: Any) -> bool:  # noqa: ANN401
        """Remove documents for good; None removes all. Ids of none are no error."""
        if ids is None:
            self._pieces.clear()
        else:
            self._pieces.delete(ids)
        return True

    def close(self) -> None:
        """Let go of the files."""
        self._pieces.close()

    # -- reading ---------------------------------------------------------------------------------------------------

    def get_by_ids(self, ids: Sequence[str], /) -> list[LangChainDocument]:
        """Documents by id, in this order; ids of none are left out."""
        return [_document(piece) for piece in self._pieces.get(ids)]

    def similarity_search(
        self,
        query: str,
        k: int = 4,
        *,
        filter: Filter | None = None,
        mode: Mode | None = None,
        **options: Any,  # noqa: ANN401
    ) -> list[LangChainDocument]:
        """Best ``k`` documents, best first."""
        return [_document(one.piece) for one in self._found(query, k, filter, mode)]

    def similarity_search_with_score(
        self,
        query: str,
        k: int = 4,
        *,
        filter: Filter | None = None,
        mode: Mode | None = None,
        **options: Any,  # noqa: ANN401
    ) -> list[tuple[LangChainDocument, float]]:
        """With scores, higher is better: the cosine in mode ``dense``, else what orders."""
        return [(_document(one.piece), one.score) for one in self._found(query, k, filter, mode)]

    def similarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: Filter | None = None,
        **options: Any,  # noqa: ANN401
    ) -> list[LangChainDocument]:
        """Best ``k`` documents by cosine with a vector."""
        found = self._pieces.search("", embedding, k, _where(filter), "dense")
        return [_document(one.piece) for one in found]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Filter | None = None,
        **options: Any,  # noqa: ANN401
    ) -> list[LangChainDocument]:
        """``k`` of the ``fetch_k`` nearest by cosine, chosen to differ from each other. Raises ``UserError`` without an
        embedding.
        """
        return self.max_marginal_relevance_search_by_vector(
            self._embed(query), k, fetch_k, lambda_mult, filter=filter, **options
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Filter | None = None,
        **options: Any,  # noqa: ANN401
    ) -> list[LangChainDocument]:
        """The same for a vector."""
        found = self._pieces.search("", embedding, max(fetch_k, k), _where(filter), "dense")
        rows = list(self._pieces.vectors([one.piece.id for one in found]))
        chosen = maximal_marginal_relevance(np.asarray(embedding), rows, lambda_mult, k) if rows else []
        return [_document(found[place].piece) for place in chosen]

    def _similarity_search_with_relevance_scores(
        self,
        query: str,
        k: int = 4,
        *,
        filter: Filter | None = None,
        **options: Any,  # noqa: ANN401
    ) -> list[tuple[LangChainDocument, float]]:
        """Relevance in [0, 1] is the cosine, so that a threshold means the same for every question."""
        found = self._found(query, k, filter, "dense")
        return [(_document(one.piece), min(1.0, max(0.0, one.score))) for one in found]

    def _found(self, query: str, k: int, filter: Filter | None, mode: Mode | None) -> list[FoundPiece]:
        chosen = mode or self.mode
        vector = self._embed(query) if chosen != "lexical" else None
        return self._pieces.search(query, vector, k, _where(filter), chosen)

    def _embed(self, query: str) -> list[float]:
        if self._embedding is None:
            raise UserError("interop.no_embedding")
        found: list[float] = self._embedding.embed_query(query)
        return found


def _document(piece: Piece) -> LangChainDocument:
    return LangChainDocument(id=piece.id, page_content=piece.text, metadata=dict(piece.metadata))


def _source(metadata: Mapping[str, Any]) -> str:
    source = metadata.get("source")
    return source if isinstance(source, str) else ""


def _where(filter: Filter | None) -> Where:
    if filter is None:
        return None
    if callable(filter):
        return lambda piece: filter(_document(piece))
    return read_condition(filter) if filter else None
