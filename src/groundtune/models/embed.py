"""What embedders share, and embedding with a Hugging Face model: sentence-transformers when installed, a mean-pooled
encoder otherwise.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.models.http import extra_for
from groundtune.models.hub import from_pretrained
from groundtune.ports import Kind

_BATCH = 32


def unit_rows(matrix: NDArray[Any]) -> NDArray[Any]:
    """float32 rows of length 1; a zero row stays zero."""
    rows = np.asarray(matrix, dtype=np.float32)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length == 0, 1.0, length), dtype=np.float32)


class RemoteEmbedder:
    """An ``Embedder`` behind a service that takes ``size`` texts at once. The first call finds out the dimension unless it
    was given. A provider fills ``_batch``.
    """

    name: str

    def __init__(self, size: int, dimension: int | None = None) -> None:
        self._size = size
        self._dimension = dimension or 0

    @property
    def dimension(self) -> int:
        if not self._dimension:
            self._dimension = self.embed(["a"], kind="query").shape[1]
        return self._dimension

    def embed(self, texts: Sequence[str], *, kind: Kind) -> NDArray[Any]:
        """float32 array of shape (len(texts), dimension), rows of length 1."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        starts = range(0, len(texts), self._size)
        return unit_rows(np.concatenate([self._batch(list(texts[at : at + self._size]), kind) for at in starts]))

    def _batch(self, texts: list[str], kind: Kind) -> NDArray[Any]:
        """One row for each of at most ``size`` texts. Raises ``ModelError`` when the service gives another number."""
        raise NotImplementedError


class HuggingFaceEmbedder:
    """An ``Embedder``. ``query`` and ``document`` are written before the texts of that kind."""

    def __init__(self, name: str, *, device: str | None = None, query: str = "", document: str = "") -> None:
        self.name = f"hf:{name}"
        self._prefix = {"query": query, "document": document}
        with extra_for(self.name):
            self._encode = self._sentence_encoder(name, device) or _mean_pooled(name, device)
        self.dimension = int(self._encode(["a"]).shape[1])

    @staticmethod
    def _sentence_encoder(name: str, device: str | None) -> Any:  # noqa: ANN401
        if importlib.util.find_spec("sentence_transformers") is None:
            return None
        from sentence_transformers import SentenceTransformer

        class Opened:
            """``SentenceTransformer`` behind the name that ``from_pretrained`` calls."""

            @staticmethod
            def from_pretrained(path: str, *, local_files_only: bool = False) -> Any:  # noqa: ANN401
                return SentenceTransformer(path, device=device, local_files_only=local_files_only)

        model = from_pretrained(Opened, name)
        return lambda texts: model.encode(texts, batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True)

    def embed(self, texts: Sequence[str], *, kind: Kind) -> NDArray[Any]:
        """float32 array of shape (len(texts), dimension), rows of length 1."""
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        # longest first, so that a batch holds texts of like length and little padding
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            rows[batch] = self._encode([self._prefix[kind] + texts[i] for i in batch])
        return unit_rows(rows)


def _mean_pooled(name: str, device: str | None) -> Any:  # noqa: ANN401
    """Function from texts to the mean of the last hidden states over real tokens."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = from_pretrained(AutoModel, name).to(place).eval()
    tokenizer = from_pretrained(AutoTokenizer, name)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    limit = int(min(getattr(model.config, "max_position_embeddings", None) or 512, tokenizer.model_max_length))

    def encode(texts: list[str]) -> NDArray[Any]:
        ids = tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt").to(place)
        with torch.inference_mode():
            states = model(input_ids=ids["input_ids"], attention_mask=ids["attention_mask"]).last_hidden_state.float()
        mask = ids["attention_mask"][..., None].float()
        pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        return np.asarray(pooled.cpu().numpy(), dtype=np.float32)

    return encode
