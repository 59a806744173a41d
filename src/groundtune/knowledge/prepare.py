"""Documents to chunks and vectors; vectors of chunks that did not change are used again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.knowledge.backing import Backing, Prepared
from groundtune.knowledge.chunk import RECIPE, chunk_document
from groundtune.ports import Embedder
from groundtune.text.prompts import label
from groundtune.types import Chunk, Document


@dataclass(frozen=True)
class Preparer:
    """How documents are prepared; the same settings always give the same chunks."""

    chunk_characters: int = 1200
    embedder: Embedder | None = None

    @property
    def recipe(self) -> str:
        """Changes when stored chunks or vectors would have to be made again."""
        return f"{RECIPE}|{self.chunk_characters}|{self.embedder.name if self.embedder else ''}"

    def prepare(
        self, store: Backing, document: Document, *, root: str | None = None, file_digest: str = "", fresh: bool = False
    ) -> Prepared:
        """Chunk and embed. With ``fresh`` no stored vector is used again."""
        chunks = chunk_document(document, self.chunk_characters)
        vectors = None
        if self.embedder is not None:
            known = {} if fresh else _known(store, document.id)
            vectors = self._embed(self.embedder, chunks, known)
        return Prepared(document, chunks, vectors, root, file_digest)

    def _embed(
        self, embedder: Embedder, chunks: tuple[Chunk, ...], known: Mapping[tuple[str, str, str], NDArray[Any]]
    ) -> NDArray[Any]:
        new = [chunk for chunk in chunks if _key(chunk) not in known]
        texts = [f"{label(chunk.title, chunk.heading)}\n{chunk.text}" for chunk in new]
        made = embedder.embed(texts, kind="document") if texts else np.zeros((0, embedder.dimension), np.float32)
        found = {**known, **{_key(chunk): row for chunk, row in zip(new, made, strict=True)}}
        rows = [np.asarray(found[_key(chunk)], dtype=np.float32) for chunk in chunks]
        return np.stack(rows) if rows else np.zeros((0, embedder.dimension), np.float32)


def _key(chunk: Chunk) -> tuple[str, str, str]:
    return chunk.id, chunk.title, chunk.heading


def _known(store: Backing, document_id: str) -> dict[tuple[str, str, str], NDArray[Any]]:
    vectors = store.vectors(document_id)
    return {_key(chunk): vectors[chunk.id] for chunk in store.chunks(document_id) if chunk.id in vectors}
