"""``builtin:reader``: a small extractive reader in NumPy. It returns exact spans, so an answer is its own citation.

The network is the one of ``recipes/reader_model.py`` (hashed embeddings with match features, shifted-window
convolutions, context-question attention after Seo et al. 2017, self-attention); position 0 is a no-answer sentinel.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import ModelError, SpecError
from groundtune.models.reader_features import Encoded, Floats, cut, encode, matches
from groundtune.text.sentences import sentence_spans
from groundtune.types import Reading

FOLDER = Path(__file__).parent.parent / "builtin" / "reader"
WINDOW, STRIDE, LONGEST, QUESTION = 400, 300, 30, 80
HEADS = 4


def open_reader(name: str) -> BuiltinReader:
    """The reader that ships with groundtune. Raises ``SpecError`` for another name, ``ModelError`` when its file is
    damaged.
    """
    if name not in ("reader", ""):
        hint = difflib.get_close_matches(name, ["reader"], n=1)
        raise SpecError(
            "core.unknown_provider_hint", kind="builtin", name=name, known="reader", hint=(hint or ["reader"])[0]
        )
    return _shipped()


@cache
def _shipped() -> BuiltinReader:
    card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    path = FOLDER / "weights.npz"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != card["sha256"]["weights.npz"]:
        raise ModelError("reader.damaged", path=path)
    with np.load(path) as stored:
        return BuiltinReader({k: stored[k] for k in stored.files}, card)


@lru_cache(maxsize=4096)
def _encoded(passage: str) -> Encoded:
    """Chunks are read again and again: their units and hashes are kept."""
    return encode(passage)


class BuiltinReader:
    """Reads passages one by one; ``probability`` is calibrated on development data (``card["calibration"]``)."""

    name = "builtin:reader"

    def __init__(self, weights: dict[str, NDArray[Any]], card: dict[str, Any]) -> None:
        self._w = _expand(weights)
        self.threshold: float = card["threshold"]
        self._slope: float = card["calibration"]["slope"]
        self._offset: float = card["calibration"]["offset"]

    def read(self, question: str, passages: Sequence[str], k: int = 5) -> list[Reading]:
        """Best ``k`` readings over all passages, at most one per sentence, best first."""
        asked = cut(encode(question), 0, QUESTION)
        found: list[Reading] = []
        if asked.units:
            for index, passage in enumerate(passages):
                found.extend(self._read_one(index, passage, asked, k))
        found.sort(key=lambda reading: -reading.score)
        return found[:k]

    def _read_one(self, index: int, passage: str, asked: Encoded, k: int) -> list[Reading]:
        text = _encoded(passage)
        spans = sentence_spans(passage)
        best: dict[int, Reading] = {}
        n = len(text.units)
        for low in range(0, max(n, 1), STRIDE) if n > WINDOW else (0,):
            window = cut(text, low, low + WINDOW)
            if not window.units or (low and low + WINDOW - STRIDE >= n):
                break
            for first, last, score in top_spans(self.logits(window, asked), k):
                start, end = window.units[first].start, window.units[last].end
                at = next((i for i, span in enumerate(spans) if span.end > start), 0)
                if at in best and best[at].score >= score:
                    continue
                stop = next((span.end for span in spans[at:] if span.end >= end), end)
                chance = 1 / (1 + float(np.exp(-(self._slope * score + self._offset))))
                best[at] = Reading(index, start, end, spans[at].start, max(stop, end), score, chance)
        return list(best.values())

    def logits(self, passage: Encoded, question: Encoded) -> Floats:
        """(1 + units, 2) start and end logits; row 0 is the no-answer sentinel."""
        w = self._w
        c = self._encode(passage, matches(passage, question))
        q = self._encode(question, matches(question, passage))
        scores = (c @ w["similar.weight"].T) @ q.T * c.shape[-1] ** -0.5
        to_q, to_c = _softmax(scores, 1), _softmax(scores, 0)
        a = to_q @ q
        back = to_q @ (to_c.T @ c)
        x = np.maximum(_linear(np.concatenate([c, a, c * a, c * back], axis=1), w, "merge"), 0)
        x = np.concatenate([w["sentinel"][None], x])
        for stack in range(3):
            prefix = f"stacks.{stack}"
            x = _conv(_conv(x, w, f"{prefix}.0"), w, f"{prefix}.1")
            x = _attend(x, w, f"{prefix}.2")
            y = _norm(x, w[f"{prefix}.3.norm.gain"])
            x = x + _linear(np.maximum(_linear(y, w, f"{prefix}.3.up"), 0), w, f"{prefix}.3.down")
        out: Floats = _linear(_norm(x, w["norm.gain"]), w, "heads")
        return out

    def _encode(self, text: Encoded, match: Floats) -> Floats:
        table, scale = self._w["embed.codes"], self._w["embed.scale"]
        rows = table[text.ids].astype(np.float32) * scale[text.ids][..., None]
        x = _linear(np.concatenate([rows.sum(axis=1), match], axis=1), self._w, "into")
        return _conv(_conv(x, self._w, "encoder.0"), self._w, "encoder.1")


def top_spans(logits: Floats, k: int) -> list[tuple[int, int, float]]:
    """Up to ``k`` non-overlapping (first, last, score) by start + end - no-answer, at most LONGEST units long."""
    start, end = logits[1:, 0], logits[1:, 1]
    n = len(start)
    table = np.full((n, min(LONGEST, n)), -np.inf, dtype=np.float32)
    for width in range(table.shape[1]):
        table[: n - width, width] = start[: n - width] + end[width:]
    none = float(logits[0].sum())
    found: list[tuple[int, int, float]] = []
    order = np.argsort(-table, axis=None)[: 60 * k]
    for flat in order.tolist():
        first, width = divmod(flat, table.shape[1])
        last = first + width
        if np.isfinite(table[first, width]) and all(last < a or first > b for a, b, _ in found):
            found.append((first, last, float(table[first, width]) - none))
            if len(found) == k:
                break
    return found


def _expand(weights: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name: array if name == "embed.codes" else array.astype(np.float32) for name, array in weights.items()}


def _linear(x: Floats, w: dict[str, NDArray[Any]], name: str) -> Floats:
    out: Floats = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
    return out


def _norm(x: Floats, gain: Floats) -> Floats:
    out: Floats = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6) * gain
    return out


def _conv(x: Floats, w: dict[str, NDArray[Any]], name: str) -> Floats:
    y = np.pad(_norm(x, w[f"{name}.norm.gain"]), ((2, 2), (0, 0)))
    n = len(x)
    shifted = np.concatenate([y[i : i + n] for i in range(5)], axis=1)
    out: Floats = x + np.maximum(_linear(shifted, w, f"{name}.mix"), 0)
    return out


def _attend(x: Floats, w: dict[str, NDArray[Any]], name: str) -> Floats:
    n, d = x.shape
    qkv = (_norm(x, w[f"{name}.norm.gain"]) @ w[f"{name}.qkv.weight"].T).reshape(n, 3, HEADS, d // HEADS)
    q, k, v = qkv.transpose(1, 2, 0, 3)
    mixed = _softmax(q @ k.transpose(0, 2, 1) * (d // HEADS) ** -0.5, 2) @ v
    out: Floats = x + mixed.transpose(1, 0, 2).reshape(n, d) @ w[f"{name}.out.weight"].T
    return out


def _softmax(x: Floats, axis: int) -> Floats:
    y = np.exp(x - x.max(axis=axis, keepdims=True))
    out: Floats = y / y.sum(axis=axis, keepdims=True)
    return out
