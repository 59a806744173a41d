"""Features of ``builtin:reader``: hashed unit ids and how passage units match the question. NumPy only.

The training recipe and the inference code both call this file, so they cannot drift apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from groundtune.text.normalise import fold
from groundtune.text.scripts import is_cjk
from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import STOP_WORDS, Unit, reading_units, search_terms

BUCKETS = 65536
IDS = 5  # hashed ids per unit
MATCHES = 8  # match features per unit
NEAR = 10  # units to each side for the local density

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as arrays over its ``n`` units: ``ids`` (n, IDS) in [0, BUCKETS); ``keys``/``stems``/``pairs`` are hashes
    for matching (pairs: unit and its successor); ``weights`` (n,) say how much a match counts; ``sentence`` (n,)
    numbers the sentences.
    """

    units: tuple[Unit, ...]
    ids: Ints
    keys: Ints
    stems: Ints
    pairs: Ints
    weights: Floats
    sentence: Ints


@lru_cache(maxsize=400_000)
def _hash(text: str) -> int:
    return zlib.crc32(text.encode("utf-8"))


def _bucket(kind: str, text: str) -> int:
    return _hash(kind + text) % BUCKETS


def _shape(text: str) -> str:
    if text.isdigit():
        return f"9{min(len(text), 6)}"
    if text.islower():
        return f"x{min(len(text), 8)}"
    if text.isupper():
        return f"X{min(len(text), 4)}"
    return f"Xx{min(len(text), 8)}" if text[:1].isupper() else "mixed"


@lru_cache(maxsize=200_000)
def _stem_key(folded: str) -> int:
    terms = search_terms(folded)
    return _hash("s" + (terms[0] if terms else folded))


def _cjk_class(character: str) -> str:
    if "\u3041" <= character <= "\u309f":
        return "h"
    if "\u30a0" <= character <= "\u30ff":
        return "k"
    if is_cjk(character):
        return "c"
    return "9" if character.isdigit() else "l" if character.isalpha() else "p"


def _unit_ids(units: Sequence[Unit], folded: Sequence[str], index: int) -> tuple[int, int, int, int, int]:
    unit, word = units[index].text, folded[index]
    before = folded[index - 1] if index else "^"
    after = folded[index + 1] if index + 1 < len(folded) else "$"
    if len(unit) == 1 and is_cjk(unit):
        classes = _cjk_class(before[-1]) + _cjk_class(unit) + _cjk_class(after[0])
        return (
            _bucket("w", word), _bucket("b", before + word), _bucket("b", word + after),
            _bucket("c", classes), _bucket("t", before + word + after),
        )  # fmt: skip
    return (
        _bucket("w", word), _hash("m" + str(_stem_key(word))) % BUCKETS, _bucket("p", word[:3]),
        _bucket("f", word[-3:]), _bucket("h", _shape(unit)),
    )  # fmt: skip


def _weight(word: str) -> float:
    if word in STOP_WORDS or not any(c.isalnum() for c in word):
        return 0.0
    if len(word) == 1 and is_cjk(word):
        return 0.15 if "\u3041" <= word <= "\u309f" else 0.5
    return 1.0 if len(word) > 3 or word.isdigit() else 0.6


def encode(text: str, limit: int = 100_000) -> Encoded:
    """Units, hashes and sentence numbers of a text (at most ``limit`` units)."""
    units = tuple(reading_units(text)[:limit])
    folded = [fold(unit.text) or unit.text for unit in units]
    ids = np.array([_unit_ids(units, folded, i) for i in range(len(units))], dtype=np.int64).reshape(-1, IDS)
    keys = np.array([_hash(word) for word in folded], dtype=np.int64)
    stems = np.array([_stem_key(word) if word.isalpha() and word.isascii() else _hash(word) for word in folded])
    following = [*folded[1:], "$"][: len(folded)]
    pairs = np.array([_hash(a + "\t" + b) for a, b in zip(folded, following, strict=True)], dtype=np.int64)
    weights = np.array([_weight(word) for word in folded], dtype=np.float32)
    ends = np.array([span.end for span in sentence_spans(text)] or [0], dtype=np.int64)
    sentence = np.searchsorted(ends, np.array([unit.start for unit in units], dtype=np.int64), side="right")
    return Encoded(units, ids, keys, stems.astype(np.int64), pairs, weights, sentence)


def cut(text: Encoded, start: int, end: int) -> Encoded:
    """The units ``start..end`` of an encoded text."""
    part = slice(start, end)
    return Encoded(
        text.units[part], text.ids[part], text.keys[part], text.stems[part], text.pairs[part], text.weights[part],
        text.sentence[part],
    )  # fmt: skip


def matches(passage: Encoded, question: Encoded) -> Floats:
    """(n, MATCHES) float32: exact, stem, pair with the next, pair with the one before, weighted match, density of
    weighted matches nearby, share of the question's weight in this sentence, and that share relative to the best
    sentence of the passage.
    """
    n = len(passage.units)
    out = np.zeros((n, MATCHES), dtype=np.float32)
    if not n or not len(question.units):
        return out
    exact = np.isin(passage.keys, question.keys)
    stem = np.isin(passage.stems, question.stems)
    forward = np.isin(passage.pairs, question.pairs[:-1])
    backward = np.concatenate([[False], forward[:-1]])
    cjk = np.array([len(u.text) == 1 and is_cjk(u.text) for u in passage.units])
    counted = np.where(cjk, forward | backward, stem)  # a single CJK character says little, a bigram says much
    weighted = passage.weights * counted
    total = float(question.weights.sum()) or 1.0
    first = int(passage.sentence[0])
    numbers = passage.sentence - first
    share = _sentence_share(passage, weighted, numbers, total)
    out[:, 0], out[:, 1], out[:, 2], out[:, 3] = exact, stem, forward, backward
    out[:, 4] = weighted
    out[:, 5] = _density(weighted) / total
    out[:, 6] = share
    out[:, 7] = share / (share.max() or 1.0)
    return out


def _density(weighted: Floats) -> Floats:
    """Sum over the NEAR units to each side."""
    n = len(weighted)
    sums = np.concatenate([[0.0], np.cumsum(weighted)])
    index = np.arange(n)
    low, high = np.maximum(index - NEAR, 0), np.minimum(index + NEAR + 1, n)
    near: Floats = (sums[high] - sums[low]).astype(np.float32)
    return near


def _sentence_share(passage: Encoded, weighted: Floats, numbers: Ints, total: float) -> Floats:
    """Weight of the distinct matched units of each sentence over the question's weight, clipped to 1.5."""
    seen: dict[tuple[int, int], None] = {}
    keep = np.zeros(len(weighted), dtype=np.float32)
    for index in np.flatnonzero(weighted).tolist():
        key = (int(numbers[index]), int(passage.stems[index]))
        if key not in seen:
            seen[key] = None
            keep[index] = weighted[index]
    sums = np.bincount(numbers, weights=keep, minlength=int(numbers.max()) + 1)
    share: Floats = np.minimum(sums / total, 1.5).astype(np.float32)
    spread: Floats = share[numbers]
    return spread
