"""Reranking with a Hugging Face cross-encoder (``hf:BAAI/bge-reranker-v2-m3``): it reads question and passage together."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import ModelError, SpecError
from groundtune.models.http import clean, extra_for
from groundtune.models.hub import from_pretrained
from groundtune.types import Hit

_BATCH = 16
_LONGEST = 512  # tokens of question and passage together, unless the model reads less

Pairs = list[tuple[str, str]]
Scores = Callable[[Pairs], NDArray[Any]]


def open_reranker(name: str, *, device: str | None = None, length: int = _LONGEST) -> HuggingFaceReranker:
    """A cross-encoder from a folder or the hub (this computer's cache first): sentence-transformers when installed, plain
    transformers otherwise. ``length`` in tokens is where a pair is cut.

    Raises ``SpecError``, ``MissingExtra``, ``ModelUnreachable`` (not there) or ``ModelError`` (not a cross-encoder).
    """
    if not name:
        raise SpecError("models.name_missing", provider="hf", example="hf:BAAI/bge-reranker-v2-m3")
    return HuggingFaceReranker(name, device=device, length=length)


class HuggingFaceReranker:
    """A ``Reranker``. Scores are probabilities in [0, 1] (the sigmoid of the model's output). Safe in several threads."""

    def __init__(self, name: str, *, device: str | None = None, length: int = _LONGEST) -> None:
        self.name = f"hf:{name}"
        self._lock = threading.Lock()
        with extra_for(self.name):
            _check_kind(name)
            self._scores = _sentence_transformers(name, device, length) or _transformers(name, device, length)

    def __repr__(self) -> str:
        return f"HuggingFaceReranker({self.name!r})"

    def rerank(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits with new scores, best first; equal ones keep their order. The passage that is read has its title
        and heading before it.
        """
        if not hits:
            return []
        pairs = [(query, passage(hit)) for hit in hits]
        # longest first, so that a batch holds texts of like length and little padding
        order = sorted(range(len(pairs)), key=lambda i: -len(pairs[i][1]))
        scores = np.zeros(len(pairs))
        with self._lock:
            for start in range(0, len(order), _BATCH):
                part = order[start : start + _BATCH]
                scores[part] = self._scores([pairs[i] for i in part])
        made = [replace(hit, score=float(score)) for hit, score in zip(hits, scores, strict=True)]
        return sorted(made, key=lambda hit: -hit.score)


def passage(hit: Hit) -> str:
    """What is read of a hit."""
    chunk = hit.chunk
    return "\n".join(part for part in (chunk.title, chunk.heading, chunk.text) if part)


def _sentence_transformers(name: str, device: str | None, length: int) -> Scores | None:
    if importlib.util.find_spec("sentence_transformers") is None:
        return None
    from sentence_transformers import CrossEncoder

    class Opened:
        """``CrossEncoder`` behind the name that ``from_pretrained`` calls."""

        @staticmethod
        def from_pretrained(path: str, *, local_files_only: bool = False) -> Any:  # noqa: ANN401
            return CrossEncoder(path, device=device, local_files_only=local_files_only, num_labels=1)

    import torch

    model = from_pretrained(Opened, name)
    model.max_length = min(length, model.max_length or length)
    return lambda pairs: np.asarray(
        model.predict(pairs, batch_size=_BATCH, show_progress_bar=False, activation_fn=torch.nn.Sigmoid()),
        dtype=np.float64,
    )


def _transformers(name: str, device: str | None, length: int) -> Scores:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = from_pretrained(AutoModelForSequenceClassification, name).to(place).eval()
    tokenizer = from_pretrained(AutoTokenizer, name)
    limit = min(length, getattr(model.config, "max_position_embeddings", None) or length, tokenizer.model_max_length)

    def scores(pairs: Pairs) -> NDArray[Any]:
        left, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        ids = tokenizer(left, right, padding=True, truncation=True, max_length=limit, return_tensors="pt").to(place)
        with torch.inference_mode():
            logits = model(**ids).logits.float()
        return np.asarray(torch.sigmoid(logits[:, 0]).cpu().numpy(), dtype=np.float64)

    return scores


def _check_kind(name: str) -> None:
    """A model of another kind would be given a head of random numbers, and its order would mean nothing."""
    from transformers import AutoConfig

    config = from_pretrained(AutoConfig, name)
    kinds = [str(kind) for kind in getattr(config, "architectures", None) or ()]
    if not any(kind.endswith("ForSequenceClassification") for kind in kinds) or int(config.num_labels) != 1:
        reason = clean(f"{', '.join(kinds) or '?'}, {config.num_labels} labels")
        raise ModelError("models.not_a_reranker", name=name, reason=reason)
