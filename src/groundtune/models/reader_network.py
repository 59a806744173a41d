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
LEAST = np.float32(-30)  # below it e to the power of x is nothing beside 1
PARTS = ("new", "keep", "gate")  # of a recurrence, in the order of its matrix
STEPS = 16  # of the recurrence in a block: blocks run side by side

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
            up = _linear(_scaled(x), w, f"{name}.4.up")
            x += _linear(np.maximum(up, 0, out=up), w, f"{name}.4.down")
        out = _linear(_scaled(x), w, "heads")
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
    """Several texts under each other in one matrix. ``parts`` are their rows; GAP rows (``gaps``) stand in front of, between
    and behind them, so that a convolution that treats gaps as zero never sees a neighbour.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self.parts: list[slice] = []
        gaps = list(range(GAP))
        for length in lengths:
            start = gaps[-1] + 1
            self.parts.append(slice(start, start + length))
            gaps.extend(range(start + length, start + length + GAP))
        self.gaps = np.array(gaps)
        self.total = gaps[-1] + 1


def stacks_of(weights: Weights) -> int:
    """How many stacks a network has."""
    return 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("stacks."))


def decoded(weights: Weights, matrix: str) -> Floats:
    """The float32 values of a matrix that ships as int8 ``codes`` and a ``scale`` per row."""
    scale = weights[f"{matrix}.scale"].astype(np.float32)
    values: Floats = weights[f"{matrix}.codes"] * scale[:, None]
    return values


def _expand(weights: Weights) -> Weights:
    """float32, matrices transposed to (in, out); the embedding table stays int8 with a float32 scale per row. What is the
    same for every text is worked into the matrices: ``_fold``.
    """
    made: Weights = {}
    for name, array in weights.items():
        if name.startswith("embed."):
            made[name] = array if array.dtype == np.int8 else array.astype(np.float32)
        elif name.endswith(".codes"):
            matrix = name.removesuffix(".codes")
            made[f"{matrix}.weight"] = np.ascontiguousarray(decoded(weights, matrix).T)
        elif name != "keys" and not name.endswith(".scale"):
            made[name] = array.astype(np.float32)
    _fold(made)
    return made


def _fold(w: Weights) -> None:
    """Of a layer normalisation only the division by the deviation is left to do (``_scaled``): with x' = (x - mean) gain,
    x' W = x W' where W' is gain W less the mean of each of its columns. A convolution has such a W for each of its five rows.
    The factors that ``_recur`` and ``_attend`` need are in the matrices too.
    """
    for gain in [name for name in w if name.endswith("norm.gain")]:
        block = gain.removesuffix("norm.gain")
        after = ["mix", "into", "query", "up"] if block else ["heads"]
        if f"{block}near" in w:  # self-attention: keys and values are of the same text
            after.append("keyvalue")
        for name in [f"{block}{part}.weight" for part in after if f"{block}{part}.weight" in w]:
            parts = w[name].reshape(-1, len(w[gain]), w[name].shape[1]) * w[gain][:, None]
            w[name] = (parts - parts.mean(axis=1, keepdims=True)).reshape(w[name].shape)
    for query in [name for name in w if name.endswith(".query.weight")]:
        w[query] *= np.float32((w[query].shape[1] // HEADS) ** -0.5)
    for block in [name.removesuffix("into.weight") for name in w if name.endswith(".into.weight")]:  # recurrences
        w[f"{block}out.weight"] *= np.float32(0.5)
        for kind in ("weight", "bias"):
            whole = w.pop(f"{block}into.{kind}")
            for part, own in zip(PARTS, np.split(whole, len(PARTS), axis=-1), strict=True):
                w[f"{block}{part}.{kind}"] = np.ascontiguousarray(own) * np.float32(1 if part == "new" else 0.5)


def _linear(x: Floats, w: Weights, name: str) -> Floats:
    out: Floats = x @ w[f"{name}.weight"]
    out += w[f"{name}.bias"]
    return out


def _scaled(x: Floats) -> Floats:
    """Rows of x divided by their standard deviation."""
    width = np.float32(x.shape[-1])
    mean: Floats = np.einsum("ij->i", x) / width
    variance = np.einsum("ij,ij->i", x, x) / width - mean * mean
    scaled: Floats = x * (1 / np.sqrt(np.maximum(variance, 0) + np.float32(1e-5)))[:, None]
    return scaled


def _conv(x: Floats, rows: Rows, w: Weights, name: str) -> Floats:
    """Adds relu(W · [x(-2) .. x(+2)]) to x: one matrix for each of the five rows, x between two times two rows of zeros."""
    n, d = x.shape
    padded = np.zeros((n + 4, d), dtype=np.float32)
    padded[2:-2] = _scaled(x)
    padded[2 + rows.gaps] = 0
    matrix = w[f"{name}.mix.weight"]
    out: Floats = padded[:n] @ matrix[:d]
    more = np.empty_like(out)
    for i in range(1, 5):
        out += np.matmul(padded[i : i + n], matrix[i * d : i * d + d], out=more)
    out += w[f"{name}.mix.bias"]
    np.maximum(out, 0, out=out)
    out += x
    return out


def _recur(x: Floats, rows: Rows, w: Weights, name: str) -> Floats:
    """Adds W · (gate · tanh(c)) to x, c[t] = keep c[t - 1] + (1 - keep) new in both directions; it is zero in gaps. For the
    sigmoid of keep and gate z / 2 comes from the matrix: sigmoid(z) = (tanh(z / 2) + 1) / 2, and 1 / 2 of the gate is in W.
    """
    n, d = x.shape
    y = _scaled(x)
    new, keep, gate = (_linear(y, w, f"{name}.{part}") for part in PARTS)
    np.tanh(keep, out=keep)
    keep += 1
    keep *= np.float32(0.5)
    keep[rows.gaps] = new[rows.gaps] = 0
    new -= keep * new
    blocks = -(-n // STEPS)
    kept, state = np.zeros((2, blocks * STEPS, 2 * d), dtype=np.float32)
    for made, given in ((kept, keep), (state, new)):  # the second half of the channels runs from the end
        made[:n, :d] = given[:, :d]
        made[:n, d:] = given[::-1, d:]
    _scan(kept.reshape(blocks, STEPS, 2 * d), state.reshape(blocks, STEPS, 2 * d))
    new[:, :d] = state[:n, :d]
    new[:, d:] = state[n - 1 :: -1, d:]
    np.tanh(new, out=new)
    np.tanh(gate, out=gate)
    gate += 1
    new *= gate
    out = _linear(new, w, f"{name}.out")
    out += x
    return out


def _scan(keep: Floats, state: Floats) -> None:
    """In place, over the first two axes as one: state[t] += keep[t] state[t - 1]. All blocks are done side by side, as if each
    were the first; then each gets what its predecessor left, times what it has kept up to there.
    """
    step = np.empty_like(state[:, 0])
    for t in range(1, keep.shape[1]):
        state[:, t] += np.multiply(keep[:, t], state[:, t - 1], out=step)
        keep[:, t] *= keep[:, t - 1]
    for own, kept, before in zip(state[1:], keep[1:], state, strict=False):
        own += kept * before[-1]


def _attend(
    x: Floats, rows: Rows, w: Weights, name: str, other: Floats | None = None, of_other: Rows | None = None
) -> Floats:
    """Attention of each text to itself, or to its part of ``other``."""
    d = x.shape[1]
    size = d // HEADS
    y = _scaled(x)
    q: Floats = y @ w[f"{name}.query.weight"]
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
            _exp(scores, 1)
            values: Floats = scores @ seen[theirs, d + at.start : d + at.stop]
            values /= scores.sum(axis=1, keepdims=True)
            mixed[own, at] = values
    out: Floats = mixed @ w[f"{name}.out.weight"]
    out += x
    return out


def _toeplitz(near: Floats, n: int) -> Floats:
    """(heads, n, n) view: ``near`` at the distance column - row, which counts as FAR beyond that."""
    wide = np.ascontiguousarray(near[:, np.clip(np.arange(1 - n, n), -FAR, FAR) + FAR])
    apart, step = wide.strides
    return np.lib.stride_tricks.as_strided(wide[:, n - 1 :], (len(near), n, n), (apart, -step, step), writeable=False)


def _softmax(x: Floats, axis: int) -> Floats:
    y = x.copy()
    _exp(y, axis)
    y /= y.sum(axis=axis, keepdims=True)
    return y


def _exp(x: Floats, axis: int) -> None:
    """In place: e to the power of x less its largest value. What adds nothing to a sum is kept from becoming a denormal number:
    a product of one takes a hundred times as long, and they took a third of the time of attention.
    """
    top = x.max(axis=axis, keepdims=True)
    np.maximum(x, top + LEAST, out=x)
    x -= top
    np.exp(x, out=x)
