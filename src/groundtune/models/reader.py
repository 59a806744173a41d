"""``builtin:reader``: a small extractive reader in NumPy. It returns exact spans, so an answer is its own citation.

The network is the one of ``recipes/reader_model.py`` (hashed embeddings with match features, shifted-window
convolutions, context-question attention after Seo et al. 2017, attention to the question and to the passage); position
0 is a no-answer sentinel. Of much text only the parts that share words with the question are read (``reader_regions``).
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
from groundtune.models.reader_regions import regions
from groundtune.models.reader_units import Encoded, Floats, cut, encode, matches
from groundtune.models.shipped import read_weights
from groundtune.text.scripts import language_of, unread_share
from groundtune.text.sentences import sentence_spans
from groundtune.types import Reading

FOLDER = Path(__file__).parent.parent / "builtin" / "reader"
LONGEST, QUESTION = 30, 80
HEADS = 2
GAP = 2  # rows of zeros between two texts: half the width of a convolution
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
        calibration = card["calibration"]
        self._slope: float = calibration["slope"]
        self._offset: float = calibration["offset"]
        self._least: dict[str, float] = calibration.get("least", {})  # scores are not alike in all languages

    def read(self, question: str, passages: Sequence[str], k: int = 5) -> list[Reading]:
        """Best ``k`` readings over all passages, at most one per sentence, best first. A question or a passage that is
        mostly in a script without training text gives none.
        """
        asked = cut(encode(question), 0, QUESTION)
        found: list[Reading] = []
        if len(asked) and unread_share(question) <= UNREAD:
            known = [(i, passage) for i, passage in enumerate(passages) if unread_share(passage) <= UNREAD]
            parts = regions([_encoded(passage) for _, passage in known], asked)
            windows = [(known[at][0], window) for at, window in parts]
            read: dict[int, list[tuple[int, int, float]]] = {}
            for (i, window), logits in zip(windows, self._logits([w for _, w in windows], asked), strict=True):
                read.setdefault(i, []).extend(
                    (int(window.starts[first]), int(window.ends[last]), score)
                    for first, last, score in top_spans(logits, k)
                )
            least = self._least.get(language_of(question)[:2], 0.0)
            for i, spans in read.items():
                found.extend(self._best_by_sentence(i, passages[i], spans, least))
        found.sort(key=lambda reading: -reading.score)
        return found[:k]

    def _best_by_sentence(
        self, index: int, passage: str, spans: Sequence[tuple[int, int, float]], least: float
    ) -> list[Reading]:
        sentences = sentence_spans(passage)
        best: dict[int, Reading] = {}
        for start, end, score in spans:
            at = next((i for i, sentence in enumerate(sentences) if sentence.end > start), 0)
            if at in best and best[at].score >= score:
                continue
            stop = next((sentence.end for sentence in sentences[at:] if sentence.end >= end), end)
            chance = 1 / (1 + float(np.exp(-(self._slope * (score - least) + self._offset))))
            best[at] = Reading(index, start, end, sentences[at].start, max(stop, end), score, chance)
        return list(best.values())

    def logits(self, passage: Encoded, question: Encoded) -> Floats:
        """(1 + units, 2) start and end logits; row 0 is the no-answer sentinel."""
        return self._logits([passage], question)[0]

    def _logits(self, passages: Sequence[Encoded], question: Encoded) -> list[Floats]:
        """``logits`` of several passages at once: one matrix product serves all of them."""
        if not passages:
            return []
        w = self._w
        c, of_c = self._encode(passages, [matches(p, question) for p in passages])
        q, of_q = self._encode([question] * len(passages), [matches(question, p) for p in passages])
        seen: Floats = c @ w["similar.weight"] * np.float32(c.shape[-1] ** -0.5)
        mixed = np.zeros((len(c), 4 * c.shape[1]), dtype=np.float32)
        for one, asked in zip(of_c.parts, of_q.parts, strict=True):
            scores: Floats = seen[one] @ q[asked].T
            to_q, to_c = _softmax(scores, 1), _softmax(scores, 0)
            back = to_q @ (to_c.T @ c[one])
            mixed[one] = np.concatenate([c[one], a := to_q @ q[asked], c[one] * a, c[one] * back], axis=1)
        merged = np.maximum(_linear(mixed, w, "merge"), 0)
        of_x = Rows([1 + len(p) for p in passages])
        x = np.zeros((of_x.total, c.shape[1]), dtype=np.float32)
        for whole, one in zip(of_x.parts, of_c.parts, strict=True):
            x[whole.start] = w["sentinel"]
            x[whole.start + 1 : whole.stop] = merged[one]
        for stack in range(self._stacks):
            name = f"stacks.{stack}"
            x = _conv(_conv(x, of_x, w, f"{name}.0"), of_x, w, f"{name}.1")
            x = _attend(_attend(x, of_x, w, f"{name}.2", q, of_q), of_x, w, f"{name}.3")
            y = _norm(x, w[f"{name}.4.norm.gain"])
            x = x + _linear(np.maximum(_linear(y, w, f"{name}.4.up"), 0), w, f"{name}.4.down")
        out = _linear(_norm(x, w["norm.gain"]), w, "heads")
        return [out[part] for part in of_x.parts]

    def _encode(self, texts: Sequence[Encoded], match: Sequence[Floats]) -> tuple[Floats, Rows]:
        rows = Rows([len(text) for text in texts])
        table, scale = self._w["embed.codes"], self._w["embed.scale"]
        full = np.zeros((rows.total, table.shape[1] + match[0].shape[1]), dtype=np.float32)
        for part, text, seen in zip(rows.parts, texts, match, strict=True):
            full[part, : table.shape[1]] = np.einsum("uik,ui->uk", table[text.ids].astype(np.float32), scale[text.ids])
            full[part, table.shape[1] :] = seen
        x = _linear(full, self._w, "into")
        x = _conv(_conv(x, rows, self._w, "encoder.0"), rows, self._w, "encoder.1")
        return _attend(x, rows, self._w, "look"), rows


class Rows:
    """Several texts under each other in one matrix. ``parts`` are their rows; GAP rows stand in front of, between and
    behind them, so that a convolution that treats gaps as zero never sees a neighbour.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self.parts: list[slice] = []
        at = GAP
        for length in lengths:
            self.parts.append(slice(at, at + length))
            at += length + GAP
        self.total = at
        self.inside = np.zeros((at, 1), dtype=np.float32)
        for part in self.parts:
            self.inside[part] = 1


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
    out: Floats = x @ w[f"{name}.weight"]
    out += w[f"{name}.bias"]
    return out


def _norm(x: Floats, gain: Floats) -> Floats:
    """Layer normalisation without a shift."""
    width = np.float32(x.shape[-1])
    centred: Floats = x - x.sum(axis=-1, keepdims=True) / width
    scale = np.einsum("...i,...i->...", centred, centred)[..., None] / width
    centred *= 1 / np.sqrt(scale + np.float32(1e-5))
    centred *= gain
    return centred


def _conv(x: Floats, rows: Rows, w: Weights, name: str) -> Floats:
    """Adds relu(W · [x(-2) .. x(+2)]) to x; the shifted copies are views of one padded array."""
    y = _norm(x, w[f"{name}.norm.gain"])
    y *= rows.inside
    n, d = y.shape
    padded = np.zeros((n + 4, d), dtype=np.float32)
    padded[2:-2] = y
    step = padded.strides[0]
    shifted = np.lib.stride_tricks.as_strided(padded, (n, 5 * d), (step, padded.itemsize), writeable=False)
    out = _linear(shifted, w, f"{name}.mix")
    np.maximum(out, 0, out=out)
    out += x
    return out


def _attend(
    x: Floats, rows: Rows, w: Weights, name: str, other: Floats | None = None, of_other: Rows | None = None
) -> Floats:
    """Attention of each text to itself, or to its part of ``other``."""
    d = x.shape[1]
    size = d // HEADS
    y = _norm(x, w[f"{name}.norm.gain"])
    q: Floats = y @ w[f"{name}.query.weight"] * np.float32(size**-0.5)
    seen: Floats = (y if other is None else other) @ w[f"{name}.keyvalue.weight"]
    mixed = np.zeros_like(x)
    for own, theirs in zip(rows.parts, (of_other or rows).parts, strict=True):
        for head in range(HEADS):
            at = slice(head * size, head * size + size)
            scores: Floats = q[own, at] @ seen[theirs, at].T
            weight = _softmax(scores, 1)
            mixed[own, at] = weight @ seen[theirs, d + at.start : d + at.stop]
    out: Floats = mixed @ w[f"{name}.out.weight"]
    out += x
    return out


def _softmax(x: Floats, axis: int) -> Floats:
    y: Floats = x - x.max(axis=axis, keepdims=True)
    np.exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)
    return y
