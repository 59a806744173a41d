"""``builtin:reader``: a small extractive reader in NumPy. It returns exact spans, so an answer is its own citation.

The network is the one of ``recipes/reader_model.py`` (hashed embeddings with match features, shifted-window
convolutions, context-question attention after Seo et al. 2017, attention to the question and to the passage); position
0 is a no-answer sentinel. Long passages are read in overlapping windows.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import SpecError
from groundtune.models.reader_units import Encoded, Floats, cut, encode, matches
from groundtune.models.shipped import read_weights
from groundtune.text.scripts import unread_share
from groundtune.text.sentences import sentence_spans
from groundtune.types import Reading

FOLDER = Path(__file__).parent.parent / "builtin" / "reader"
WINDOW, STRIDE, LONGEST, QUESTION = 400, 300, 30, 80
HEADS = 2
UNREAD = 0.4  # above this share of letters in scripts without training text nothing is claimed

Weights = dict[str, NDArray[Any]]


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
    return BuiltinReader(read_weights(FOLDER / "weights.npz", card["sha256"]["weights.npz"]), card)


@lru_cache(maxsize=4096)
def _encoded(passage: str) -> Encoded:
    """Chunks are read again and again: their units and hashes are kept."""
    return encode(passage)


class BuiltinReader:
    """Reads passages one by one; ``probability`` is calibrated on development data (``card["calibration"]``)."""

    name = "builtin:reader"

    def __init__(self, weights: Weights, card: dict[str, Any]) -> None:
        self._w = _expand(weights)
        self._stacks = 1 + max(int(name.split(".")[1]) for name in self._w if name.startswith("stacks."))
        self.threshold: float = card["threshold"]
        self._slope: float = card["calibration"]["slope"]
        self._offset: float = card["calibration"]["offset"]

    def read(self, question: str, passages: Sequence[str], k: int = 5) -> list[Reading]:
        """Best ``k`` readings over all passages, at most one per sentence, best first. A question or a passage that is
        mostly in a script without training text gives none.
        """
        asked = cut(encode(question), 0, QUESTION)
        found: list[Reading] = []
        if len(asked) and unread_share(question) <= UNREAD:
            for index, passage in enumerate(passages):
                if unread_share(passage) <= UNREAD:
                    found.extend(self._read_one(index, passage, asked, k))
        found.sort(key=lambda reading: -reading.score)
        return found[:k]

    def _read_one(self, index: int, passage: str, asked: Encoded, k: int) -> list[Reading]:
        text = _encoded(passage)
        spans = sentence_spans(passage)
        best: dict[int, Reading] = {}
        n = len(text)
        for low in range(0, max(n, 1), STRIDE) if n > WINDOW else (0,):
            window = cut(text, low, low + WINDOW)
            if not len(window) or (low and low + WINDOW - STRIDE >= n):
                break
            for first, last, score in top_spans(self.logits(window, asked), k):
                start, end = int(window.starts[first]), int(window.ends[last])
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
        scores = (c @ w["similar.weight"]) @ q.T * np.float32(c.shape[-1] ** -0.5)
        to_q, to_c = _softmax(scores, 1), _softmax(scores, 0)
        a = to_q @ q
        back = to_q @ (to_c.T @ c)
        x = np.maximum(_linear(np.concatenate([c, a, c * a, c * back], axis=1), w, "merge"), 0)
        x = np.concatenate([w["sentinel"][None], x])
        for stack in range(self._stacks):
            name = f"stacks.{stack}"
            x = _conv(_conv(x, w, f"{name}.0"), w, f"{name}.1")
            x = _attend(_attend(x, w, f"{name}.2", q), w, f"{name}.3")
            y = _norm(x, w[f"{name}.4.norm.gain"])
            x = x + _linear(np.maximum(_linear(y, w, f"{name}.4.up"), 0), w, f"{name}.4.down")
        out: Floats = _linear(_norm(x, w["norm.gain"]), w, "heads")
        return out

    def _encode(self, text: Encoded, match: Floats) -> Floats:
        table, scale = self._w["embed.codes"], self._w["embed.scale"]
        rows = np.einsum("uik,ui->uk", table[text.ids].astype(np.float32), scale[text.ids])
        x = _linear(np.concatenate([rows, match], axis=1), self._w, "into")
        x = _conv(_conv(x, self._w, "encoder.0"), self._w, "encoder.1")
        return _attend(x, self._w, "look")


def top_spans(logits: Floats, k: int) -> list[tuple[int, int, float]]:
    """Up to ``k`` non-overlapping (first, last, score) by start + end - no-answer, at most LONGEST units long."""
    start, end = logits[1:, 0], logits[1:, 1]
    n = len(start)
    table = np.full((n, min(LONGEST, n)), -np.inf, dtype=np.float32)
    for width in range(table.shape[1]):
        table[: n - width, width] = start[: n - width] + end[width:]
    none = float(logits[0].sum())
    found: list[tuple[int, int, float]] = []
    flat = table.ravel()
    few = min(60 * k, flat.size)
    order = np.argpartition(-flat, few - 1)[:few] if flat.size else np.zeros(0, dtype=np.int64)
    for place in order[np.argsort(-flat[order])].tolist():
        first, width = divmod(place, table.shape[1])
        last = first + width
        if np.isfinite(flat[place]) and all(last < a or first > b for a, b, _ in found):
            found.append((first, last, float(flat[place]) - none))
            if len(found) == k:
                break
    return found


def _expand(weights: Weights) -> Weights:
    """float32, matrices transposed to (in, out); the table stays int8 with a float32 scale per row."""
    made: Weights = {}
    for name, array in weights.items():
        if name == "embed.codes":
            made[name] = array
        else:
            full = array.astype(np.float32)
            made[name] = np.ascontiguousarray(full.T) if full.ndim == 2 else full
    return made


def _linear(x: Floats, w: Weights, name: str) -> Floats:
    out: Floats = x @ w[f"{name}.weight"] + w[f"{name}.bias"]
    return out


def _norm(x: Floats, gain: Floats) -> Floats:
    """Layer normalisation without a shift."""
    centred = x - x.mean(axis=-1, keepdims=True)
    out: Floats = centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(1e-5)) * gain
    return out


def _conv(x: Floats, w: Weights, name: str) -> Floats:
    y = np.pad(_norm(x, w[f"{name}.norm.gain"]), ((2, 2), (0, 0)))
    n = len(x)
    shifted = np.concatenate([y[i : i + n] for i in range(5)], axis=1)
    out: Floats = x + np.maximum(_linear(shifted, w, f"{name}.mix"), 0)
    return out


def _attend(x: Floats, w: Weights, name: str, other: Floats | None = None) -> Floats:
    """Attention to the text itself, or to ``other``."""
    n, d = x.shape
    y = _norm(x, w[f"{name}.norm.gain"])
    q = (y @ w[f"{name}.query.weight"]).reshape(n, HEADS, -1).transpose(1, 0, 2)
    seen = (y if other is None else other) @ w[f"{name}.keyvalue.weight"]
    k, v = seen.reshape(len(seen), 2, HEADS, -1).transpose(1, 2, 0, 3)
    mixed = _softmax(q @ k.transpose(0, 2, 1) * np.float32((d // HEADS) ** -0.5), 2) @ v
    out: Floats = x + mixed.transpose(1, 0, 2).reshape(n, d) @ w[f"{name}.out.weight"]
    return out


def _softmax(x: Floats, axis: int) -> Floats:
    y = np.exp(x - x.max(axis=axis, keepdims=True))
    out: Floats = y / y.sum(axis=axis, keepdims=True)
    return out
