"""``builtin:embed``: static embeddings in NumPy. A text is the sum of the vectors of its hashed features, scaled to length 1.

Trained on questions and the paragraphs that answer them (``recipes/embed_train.py``); fast enough for a laptop and
weaker than any transformer encoder. It sees English, Chinese and Japanese; ``coverage`` says how much of a text it knows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from groundtune.errors import SpecError
from groundtune.models.shipped import read_weights
from groundtune.models.static_features import BUCKETS, Features, features
from groundtune.ports import Kind

FOLDER = Path(__file__).parent.parent / "builtin" / "embed"
_BATCH = 256
_LIMIT = 20_000  # characters of a text that are read; a chunk is far shorter


def open_embedder(name: str = "embed") -> StaticEmbedder:
    """The embedder that ships with groundtune. Raises ``SpecError`` for another name, ``ModelError`` when its file is
    missing or damaged.
    """
    if name not in ("embed", ""):
        raise SpecError("core.unknown_provider_hint", kind="builtin", name=name, known="embed", hint="embed")
    return _shipped()


@cache
def _shipped() -> StaticEmbedder:
    card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    return StaticEmbedder(read_weights(FOLDER / "weights.npz", card["sha256"]["weights.npz"]))


class StaticEmbedder:
    """An ``Embedder``. ``weights``: ``codes`` (BUCKETS, d) int8, ``scale`` (BUCKETS,) float16, ``seen`` (BUCKETS,) bool."""

    name = "builtin:embed"

    def __init__(self, weights: dict[str, NDArray[Any]]) -> None:
        self._table = weights["codes"].astype(np.float32) * weights["scale"].astype(np.float32)[:, None]
        self._seen = np.unpackbits(weights["seen"])[:BUCKETS].astype(np.float32)
        self.dimension = int(self._table.shape[1])

    def embed(self, texts: Sequence[str], *, kind: Kind) -> NDArray[Any]:
        """float32 array of shape (len(texts), dimension), rows of length 1; a text without any known feature is a
        zero row. Questions and documents are embedded alike.
        """
        out = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), _BATCH):
            part = [text[:_LIMIT] for text in texts[start : start + _BATCH]]
            for found in features(part):
                out[start : start + len(part)] += _bag(found, len(part)) @ self._table
        length = np.linalg.norm(out, axis=1, keepdims=True)
        return np.asarray(out / np.where(length == 0, 1.0, length), dtype=np.float32)

    def coverage(self, texts: Sequence[str]) -> float:
        """Share of features that occurred in training, in [0, 1]; low for a script or language it has never seen."""
        known = total = 0.0
        for start in range(0, len(texts), _BATCH):
            for found in features([text[:_LIMIT] for text in texts[start : start + _BATCH]]):
                known += float(self._seen[found.buckets].sum())
                total += len(found.buckets)
        return known / total if total else 0.0


def _bag(found: Features, count: int) -> csr_array:
    """(count, BUCKETS) matrix of feature counts."""
    starts = np.searchsorted(found.rows, np.arange(count + 1)).astype(np.int32)
    ones = np.ones(len(found.buckets), dtype=np.float32)
    return csr_array((ones, found.buckets.astype(np.int32), starts), shape=(count, BUCKETS))
