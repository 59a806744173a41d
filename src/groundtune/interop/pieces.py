"""Texts with ids, metadata and vectors that another library has cut and embedded, in a store of ours: what the LangChain
and the LlamaIndex vector store have in common.

Each text is a document with one chunk, so that words are searched as everywhere in groundtune, Chinese and Japanese too.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from groundtune import registry
from groundtune.errors import DataError
from groundtune.interop.conditions import Condition, as_filter, holds
from groundtune.knowledge.backing import Backing, Prepared
from groundtune.models.embed import unit_rows
from groundtune.types import Chunk, Document, Fusion, digest

Mode = Literal["hybrid", "dense", "lexical"]
Where = Condition | Callable[["Piece"], bool] | None
_SPACE = "given"
_DIMENSION = "pieces_dimension"


@dataclass(frozen=True, slots=True)
class Piece:
    """One text. ``source`` is the id of the document that it was cut from, empty when that is not known."""

    id: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class FoundPiece:
    """A piece that a search found. ``score``: the cosine (dense), the worth of the shared words (lexical) or the fused
    places in both orders (hybrid); higher is better.
    """

    piece: Piece
    score: float


class PieceStore:
    """Pieces in a folder (empty: one that goes with this object), searched there or by the store that ``store`` names,
    e.g. ``pgvector:postgresql://host/db#handbook``. Safe to use from several threads.
    """

    def __init__(self, folder: str | Path = "", store: str = "") -> None:
        """Raises ``StoreError``, and ``SpecError`` or ``MissingExtra`` for the store."""
        place = Path(folder) if folder else Path(tempfile.mkdtemp(prefix="groundtune-"))
        outer = "" if store.partition(":")[0] in ("", "sqlite") else store
        self._store: Backing = registry.load("store", f"sqlite:{place}", **({"outer": outer} if outer else {}))
        self._finish = weakref.finalize(self, _finish, self._store, "" if folder else str(place))

    # -- writing ---------------------------------------------------------------------------------------------------

    def put(self, pieces: Sequence[Piece], vectors: NDArray[Any] | None = None) -> list[str]:
        """Add or replace, all or nothing; visible when this returns. Of two with one id the last counts; what a replaced
        one said is gone. Returns the ids as given. Raises ``DataError`` for an empty id, for vectors of another length
        than those that are held, and for metadata that is not JSON.
        """
        rows = None if vectors is None else self._checked(vectors)
        last = {piece.id: place for place, piece in enumerate(pieces)}
        if "" in last:
            raise DataError("interop.no_id")
        entries = [
            _prepared(pieces[place], None if rows is None else rows[place : place + 1]) for place in last.values()
        ]
        known = [piece_id for piece_id in last if self._store.document(piece_id) is not None]
        if entries:
            self._store.apply(entries)
        self._forget(known)
        return [piece.id for piece in pieces]

    def delete(self, ids: Sequence[str]) -> int:
        """Remove pieces, for good; returns how many were there."""
        given = list(dict.fromkeys(ids))
        removed = self._store.delete(given)
        self._forget(given)
        return removed

    def clear(self) -> None:
        """Remove everything."""
        self.delete(list(self._store.digests()))
        self._store.set_meta(_DIMENSION, "")

    def close(self) -> None:
        """Let go of the store; a folder of its own goes too. Closing twice is allowed."""
        self._finish()

    # -- reading ---------------------------------------------------------------------------------------------------

    def get(self, ids: Sequence[str]) -> list[Piece]:
        """Pieces by id, in this order; ids of none are left out."""
        found = (self._store.document(piece_id) for piece_id in ids)
        return [_piece(document) for document in found if document is not None]

    def all(self) -> Iterator[Piece]:
        """Every piece, by id."""
        for piece_id in self._store.digests():
            document = self._store.document(piece_id)
            if document is not None:
                yield _piece(document)

    def select(self, ids: Sequence[str] | None = None, where: Where = None) -> list[Piece]:
        """Pieces by id (None: all) that a condition lets through."""
        pieces = self.all() if ids is None else iter(self.get(ids))
        return [piece for piece in pieces if _passes(piece, where)]

    def ids_of(self, source: str) -> list[str]:
        """Pieces that were cut from a document."""
        return sorted(self._store.sources(source)) if source else []

    def vectors(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Their vectors, one row each. Raises ``DataError`` for a piece without one."""
        rows: list[NDArray[Any]] = []
        for piece_id in ids:
            held = self._store.vectors(piece_id, _SPACE)
            if piece_id not in held:
                raise DataError("interop.no_vector", id=piece_id)
            rows.append(held[piece_id])
        return np.asarray(rows, dtype=np.float32)

    def search(
        self,
        text: str,
        vector: Sequence[float] | NDArray[Any] | None,
        k: int,
        where: Where = None,
        mode: Mode = "hybrid",
        fusion: Fusion | None = None,
    ) -> list[FoundPiece]:
        """Best ``k`` pieces that a condition lets through, best first. Without a vector only words are compared.

        Raises ``DataError`` for a ``k`` below 1 and a vector of another length than those that are held.
        """
        if k < 1:
            raise DataError("interop.bad_k", k=k)
        row = None if vector is None or mode == "lexical" else self._checked(np.asarray(vector)[None, :], keep=False)[0]
        mix = fusion or (Fusion(0.0, 1.0) if mode == "dense" else Fusion())
        filter = None if where is None or callable(where) else as_filter(where)
        rest = None if filter is not None else where
        wanted = k if rest is None else max(4 * k, 64)
        while True:
            hits = self._store.search(text, row, wanted, filter, space=_SPACE, fusion=mix)
            pieces = self.get([hit.chunk.document_id for hit in hits])
            by_id = {piece.id: piece for piece in pieces if _passes(piece, rest)}
            kept = [hit for hit in hits if hit.chunk.document_id in by_id]
            if len(kept) >= k or len(hits) < wanted:
                break
            wanted *= 4
        return [
            FoundPiece(by_id[hit.chunk.document_id], _score(hit.score, hit.dense if mode == "dense" else None))
            for hit in kept[:k]
        ]

    # -- inside ----------------------------------------------------------------------------------------------------

    def _checked(self, vectors: NDArray[Any], keep: bool = True) -> NDArray[np.float32]:
        rows = unit_rows(np.asarray(vectors, dtype=np.float32))
        held = self._store.get_meta(_DIMENSION)
        if held and rows.size and int(held) != rows.shape[1]:
            raise DataError("interop.dimension", given=rows.shape[1], held=held)
        if not held and keep and rows.size:
            self._store.set_meta(_DIMENSION, str(rows.shape[1]))
        return rows

    def _forget(self, ids: Sequence[str]) -> None:
        """Whoever deletes a text from a vector store means that it is gone, its earlier versions too."""
        for piece_id in ids:
            rows = self._store.history.rows(piece_id)
            superseded = [row for row in rows if row.until is not None]
            if superseded:
                self._store.history.drop(superseded)


def _prepared(piece: Piece, vectors: NDArray[Any] | None) -> Prepared:
    document = Document(piece.id, piece.text, piece.metadata)
    title = piece.metadata.get("title")
    version = digest(piece.text)
    shown = title if isinstance(title, str) else ""
    chunk = Chunk(piece.id, piece.id, version, piece.text, 0, len(piece.text), version, shown)
    return Prepared(document, (chunk,), vectors, piece.source, space=_SPACE if vectors is not None else "")


def _piece(document: Document) -> Piece:
    return Piece(document.id, document.text, dict(document.metadata))


def _passes(piece: Piece, where: Where) -> bool:
    if where is None:
        return True
    return bool(where(piece)) if callable(where) else holds(where, piece.metadata)


def _score(fused: float, cosine: float | None) -> float:
    return float(fused if cosine is None else cosine)


def _finish(store: Any, folder: str) -> None:  # noqa: ANN401 - the store's close is not part of its port
    store.close()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
