"""From texts to hashed features for ``builtin:embed``, whole batches at a time. NumPy only, no Python loop over characters.

A Latin word or number gives itself, its first four and its first six characters; a run of Chinese, Japanese or Korean
characters gives its bigrams and its single characters, less what is hiragana alone. Letter case, full or half width and
common character variants (臺/台) are folded one character at a time. What is defined here is part of the weights.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from groundtune.text.scripts import is_cjk

BITS = 16
BUCKETS = 1 << BITS

_PLANE = 0x10000
_OUT, _WORD, _CJK, _KANA = 0, 1, 2, 3  # separators; letters and digits; Han, katakana, hangul; hiragana
_LONGEST = 64  # characters of a word that count
_VARIANTS = dict(zip("臺裏爲衆峯羣牀麪", "台裡為眾峰群床麵", strict=True))

Codes = NDArray[np.uint64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Features:
    """One kind of feature of a batch: ``rows`` says of which text (ascending), ``buckets`` which one, in [0, BUCKETS)."""

    rows: Places
    buckets: Places


@cache
def _tables() -> tuple[Codes, NDArray[np.uint8], Codes]:
    """Folded code point and class of every code point of the basic plane; powers of the rolling hash."""
    folded = np.arange(_PLANE, dtype=np.uint64)
    kind = np.zeros(_PLANE, dtype=np.uint8)
    for code in range(_PLANE):
        if 0xD800 <= code < 0xE000:
            continue
        character = unicodedata.normalize("NFKC", chr(code)).casefold()
        character = _VARIANTS.get(character, character)
        if len(character) == 1:
            folded[code] = ord(character)
        else:
            character = chr(code)
        if is_cjk(character):
            kind[code] = _KANA if "\u3041" <= character <= "\u309f" else _CJK
        elif character.isalnum():
            kind[code] = _WORD
    powers = np.array([pow(0x100000001B3, i, 1 << 64) for i in range(_LONGEST)], dtype=np.uint64)
    return folded, kind, powers


def _buckets(values: Codes, tag: int) -> Places:
    mixed = (values ^ np.uint64(tag * 0x51ED270B)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(64 - BITS)).astype(np.int64)


def features(texts: Sequence[str]) -> list[Features]:
    """The features of a batch, one entry per kind. A text without letters or digits has none."""
    folded, kinds, powers = _tables()
    codes = np.frombuffer("\n".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)
    lengths = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts))
    low = np.minimum(codes, _PLANE - 1)
    kind = np.where(codes < _PLANE, kinds[low], _CJK)
    code = np.where(codes < _PLANE, folded[low], codes.astype(np.uint64))
    if not len(code):
        return []
    row = np.repeat(np.arange(len(texts)), lengths)[: len(code)]
    return [*_words(code, kind, row, powers), *_characters(code, kind, row)]


def _words(code: Codes, kind: NDArray[np.uint8], row: Places, powers: Codes) -> list[Features]:
    inside = np.concatenate([[False], kind == _WORD, [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return []
    ends = np.minimum(ends, starts + _LONGEST)
    begin = np.zeros(len(code), dtype=np.int64)
    begin[starts] = starts
    place = np.minimum(np.arange(len(code)) - np.maximum.accumulate(begin), _LONGEST - 1)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(code * powers[place], dtype=np.uint64)])
    found = [Features(row[starts], _buckets(sums[ends] - sums[starts], 1))]
    for tag, size in ((2, 4), (3, 6)):
        longer = ends - starts > size
        at = starts[longer]
        found.append(Features(row[at], _buckets(sums[at + size] - sums[at], tag)))
    return found


def _characters(code: Codes, kind: NDArray[np.uint8], row: Places) -> list[Features]:
    cjk = kind >= _CJK
    alone = np.flatnonzero(kind == _CJK)
    pair = np.flatnonzero(cjk[:-1] & cjk[1:] & ((kind[:-1] == _CJK) | (kind[1:] == _CJK)))
    mixed = code[pair] * np.uint64(0x1000193) + code[pair + 1]
    return [Features(row[alone], _buckets(code[alone], 4)), Features(row[pair], _buckets(mixed, 5))]
