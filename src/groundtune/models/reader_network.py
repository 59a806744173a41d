"""The network of ``builtin:reader`` in NumPy; ``recipes/reader_model.py`` is the same in torch, for training.

Embeddings of hashed ids with match features -> shared encoder (convolution, gated recurrence both ways, self-attention) ->
context-question attention (Seo et al. 2017) -> stacks of convolution, recurrence (Lei et al. 2018), attention to the
question, self-attention with a learned bias per distance and a feed-forward layer -> start, end and no-answer logits
(position 0 is the no-answer sentinel).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.models.reader_units import Encoded, Floats, matches, rows_of

HEADS = 2
GAP = 2  # rows of zeros between two texts: half the width of a convolution
FAR = 64  # distances beyond it are alike to self-attention

Weights = dict[str, NDArray[Any]]


class Network:
    """``weights`` as they ship: of a matrix int8 ``codes`` with a float16 ``scale`` per row, other arrays float16; ``keys``
    are the ids that have a row of the embedding table.
    """

    def __init__(self, weights: Weights) -> None:
        self._keys = weights["keys"]
        self._w = _expand(weights)
        self._stacks = stacks_of(weights)

    def logits(self, passages: Sequence[Encoded], question: Encoded) -> list[Floats]:
        """Of each passage (1 + units, 2) start and end logits; row 0 is the no-answer sentinel. One matrix product serves
        all passages.
        """
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
            x = _recur(_conv(x, of_x, w, f"{name}.0"), of_x, w, f"{name}.1")
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
            at = rows_of(text, self._keys)
            full[part, : table.shape[1]] = np.einsum("uik,ui->uk", table[at].astype(np.float32), scale[at])
            full[part, table.shape[1] :] = seen
        x = _linear(full, self._w, "into")
        x = _recur(_conv(x, rows, self._w, "encoder.0"), rows, self._w, "encoder.1")
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


def stacks_of(weights: Weights) -> int:
    """How many stacks a network has."""
    return 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("stacks."))


def decoded(weights: Weights, matrix: str) -> Floats:
    """The float32 values of a matrix that ships as int8 ``codes`` and a ``scale`` per row."""
    scale = weights[f"{matrix}.scale"].astype(np.float32)
    values: Floats = weights[f"{matrix}.codes"] * scale[:, None]
    return values


def _expand(weights: Weights) -> Weights:
    """float32, matrices transposed to (in, out); the embedding table stays int8 with a float32 scale per row."""
    made: Weights = {}
    for name, array in weights.items():
        if name.startswith("embed."):
            made[name] = array if array.dtype == np.int8 else array.astype(np.float32)
        elif name.endswith(".codes"):
            matrix = name.removesuffix(".codes")
            made[f"{matrix}.weight"] = np.ascontiguousarray(decoded(weights, matrix).T)
        elif name != "keys" and not name.endswith(".scale"):
            made[name] = array.astype(np.float32)
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


def _recur(x: Floats, rows: Rows, w: Weights, name: str) -> Floats:
    """Adds W · (gate · tanh(c)) to x, c[t] = keep c[t - 1] + (1 - keep) new in both directions; it is zero in gaps."""
    d = x.shape[1]
    y = _linear(_norm(x, w[f"{name}.norm.gain"]), w, f"{name}.into")
    keep, gate = _sigmoid(y[:, 2 * d : 4 * d]), _sigmoid(y[:, 4 * d :])
    keep *= rows.inside
    state: Floats = (rows.inside - keep) * y[:, : 2 * d]
    for half in (keep, state):  # the second half of the channels runs from the end
        half[:, d:] = half[::-1, d:].copy()
    before = np.empty(2 * d, dtype=np.float32)
    for t in range(1, len(state)):
        np.multiply(keep[t], state[t - 1], out=before)
        state[t] += before
    state[:, d:] = state[::-1, d:].copy()
    np.tanh(state, out=state)
    state *= gate
    out = _linear(state, w, f"{name}.out")
    out += x
    return out


def _sigmoid(x: Floats) -> Floats:
    y: Floats = np.tanh(x * np.float32(0.5))
    y += 1
    y *= np.float32(0.5)
    return y


def _attend(
    x: Floats, rows: Rows, w: Weights, name: str, other: Floats | None = None, of_other: Rows | None = None
) -> Floats:
    """Attention of each text to itself, or to its part of ``other``."""
    d = x.shape[1]
    size = d // HEADS
    y = _norm(x, w[f"{name}.norm.gain"])
    q: Floats = y @ w[f"{name}.query.weight"] * np.float32(size**-0.5)
    seen: Floats = (y if other is None else other) @ w[f"{name}.keyvalue.weight"]
    near = w.get(f"{name}.near")
    mixed = np.zeros_like(x)
    for own, theirs in zip(rows.parts, (of_other or rows).parts, strict=True):
        bias = None if near is None else _toeplitz(near, own.stop - own.start)
        for head in range(HEADS):
            at = slice(head * size, head * size + size)
            scores: Floats = q[own, at] @ seen[theirs, at].T
            if bias is not None:
                scores += bias[head]
            weight = _softmax(scores, 1)
            mixed[own, at] = weight @ seen[theirs, d + at.start : d + at.stop]
    out: Floats = mixed @ w[f"{name}.out.weight"]
    out += x
    return out


def _toeplitz(near: Floats, n: int) -> Floats:
    """(heads, n, n) view: ``near`` at the distance column - row, which counts as FAR beyond that."""
    wide: Floats = near[:, np.clip(np.arange(1 - n, n), -FAR, FAR) + FAR]
    return np.lib.stride_tricks.sliding_window_view(wide, n, axis=1)[:, ::-1]


def _softmax(x: Floats, axis: int) -> Floats:
    y: Floats = x - x.max(axis=axis, keepdims=True)
    np.exp(y, out=y)
    y /= y.sum(axis=axis, keepdims=True)
    return y
