"""What ``builtin:reader`` sees: hashed ids of the units of a text and how passage units match the question. NumPy only.

The training recipe and the inference code both call this file, so they cannot drift apart: what is defined here is part
of the weights. A unit is a word, a number, one CJK character or a punctuation mark. All hashing of neighbours is
arithmetic on arrays; only the first sight of a word costs Python time. Ids are 32-bit hashes; those frequent in training
have a row of the embedding table each, all others share the row "unknown" of their kind (``rows_of``), so that a rare
name is read as a rare name and not as the word it collides with.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from groundtune.text.scripts import CJK, is_cjk
from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import STOP_WORDS

IDS = 5  # hashed ids per unit
UNKNOWN = 2 * IDS  # first rows of a table: ids without a row of their own, by column, of words and of CJK characters
MATCHES = 13  # match features per unit
NEAR, WIDE = 10, 15  # units to each side for the local densities
SHARE = 6  # the match feature that is the same for a whole sentence: its share of the question (``sentence_share``)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_UNIT = re.compile(f"[{CJK}]|\\d+|[^\\W\\d_{CJK}]+|[^\\s]", re.UNICODE)
_VARIANTS = str.maketrans("臺裏爲衆峯羣牀麪", "台裡為眾峰群床麵")
_KEPT = 400_000  # words remembered; forgotten all at once
_M32 = np.uint64(0xFFFFFFFF)
_words: dict[str, tuple[int, ...]] = {}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as arrays over its ``n`` units: ``starts``/``ends`` offsets; ``ids`` (n, IDS) 32-bit hashes; ``keys``,
    ``stems`` and ``pairs`` are hashes for matching (pairs: unit and its successor); ``weights`` (n,) say how much a
    match counts; ``single`` marks lone CJK characters; ``sentence`` (n,) numbers the sentences.
    """

    starts: Ints
    ends: Ints
    ids: NDArray[np.uint32]
    keys: Ints
    stems: Ints
    pairs: Ints
    weights: Floats
    single: NDArray[np.bool_]
    sentence: Ints

    def __len__(self) -> int:
        return len(self.starts)


def _hash(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


@cache
def _stemmer():  # type: ignore[no-untyped-def]  # noqa: ANN202 - the package has no types
    from Stemmer import Stemmer

    return Stemmer("english")


def _shape(text: str) -> str:
    if text.isdigit():
        return f"9{min(len(text), 6)}"
    if text.islower():
        return f"x{min(len(text), 8)}"
    if text.isupper():
        return f"X{min(len(text), 4)}"
    return f"Xx{min(len(text), 8)}" if text[:1].isupper() else "mixed"


def _class(character: str) -> int:
    """0 hiragana, 1 katakana, 2 other CJK, 3 digit, 4 letter, 5 the rest."""
    if "\u3041" <= character <= "\u309f":
        return 0
    if "\u30a0" <= character <= "\u30ff":
        return 1
    if is_cjk(character):
        return 2
    return 3 if character.isdigit() else 4 if character.isalpha() else 5


def _weight(word: str, single: bool) -> float:
    if word in STOP_WORDS or not any(c.isalnum() for c in word):
        return 0.0
    if single:
        return 0.15 if _class(word) == 0 else 0.5
    return 1.0 if len(word) > 3 or word.isdigit() else 0.6


def _describe(unit: str) -> tuple[int, ...]:
    """(key, stem, prefix, suffix, shape, weight in 1/100, lone CJK, class of the first and of the last character)."""
    word = unicodedata.normalize("NFKC", unit).casefold().translate(_VARIANTS) or unit
    single = len(unit) == 1 and is_cjk(unit)
    stem = str(_stemmer().stemWord(word)) if word.isascii() and word.isalpha() else word
    return (
        _hash(word), _hash("s" + stem), _hash("p" + word[:3]), _hash("f" + word[-3:]), _hash("h" + _shape(unit)),
        round(100 * _weight(word, single)), int(single), _class(word[0]), _class(word[-1]),
    )  # fmt: skip


def _mix(*parts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """32-bit hash of a few 32-bit values, position by position."""
    state = np.full_like(parts[0], 0x9E3779B9)
    for part in parts:
        state = ((state ^ part) * np.uint64(0x85EBCA6B)) & _M32
        state ^= state >> np.uint64(13)
        state = (state * np.uint64(0xC2B2AE35)) & _M32
        state ^= state >> np.uint64(16)
    return state


def encode(text: str, limit: int = 100_000) -> Encoded:
    """Units, hashes and sentence numbers of a text (at most ``limit`` units)."""
    if len(_words) > _KEPT:
        _words.clear()
    starts: list[int] = []
    ends: list[int] = []
    described: list[tuple[int, ...]] = []
    for match in _UNIT.finditer(text):
        unit = match.group()
        found = _words.get(unit)
        if found is None:
            found = _words[unit] = _describe(unit)
        described.append(found)
        starts.append(match.start())
        ends.append(match.end())
        if len(starts) == limit:
            break
    table = np.array(described, dtype=np.uint64).reshape(-1, 9)
    key, stem, prefix, suffix, shape = (table[:, i] for i in range(5))
    single = table[:, 6] == 1
    edge = np.zeros(1, dtype=np.uint64)
    before, after = np.concatenate([edge, key[:-1]])[: len(key)], np.concatenate([key[1:], edge])[: len(key)]
    outside = np.full(1, 6, dtype=np.uint64)
    left = np.concatenate([outside, table[:-1, 8]])[: len(key)]
    right = np.concatenate([table[1:, 7], outside])[: len(key)]
    classes = left * np.uint64(64) + table[:, 7] * np.uint64(8) + right
    tags = [np.full_like(key, tag) for tag in range(1, 9)]
    bigram = _mix(tags[1], key, after)
    pick = single[:, None]
    cjk = np.stack([_mix(tags[0], key), _mix(tags[1], before, key), bigram, _mix(tags[2], classes),
                    _mix(tags[3], before, key, after)], axis=1)  # fmt: skip
    other = np.stack([_mix(tags[0], key), _mix(tags[4], stem), _mix(tags[5], prefix), _mix(tags[6], suffix),
                      _mix(tags[7], shape)], axis=1)  # fmt: skip
    ids = np.where(pick, cjk, other).astype(np.uint32)
    begin = np.array(starts, dtype=np.int64)
    stops = np.array([span.end for span in sentence_spans(text)] or [0], dtype=np.int64)
    return Encoded(
        begin, np.array(ends, dtype=np.int64), ids, key.astype(np.int64), stem.astype(np.int64),
        bigram.astype(np.int64), table[:, 5].astype(np.float32) / np.float32(100), single,
        np.searchsorted(stops, begin, side="right"),
    )  # fmt: skip


def cut(text: Encoded, start: int, end: int) -> Encoded:
    """The units ``start..end`` of an encoded text."""
    part = slice(start, end)
    return Encoded(
        text.starts[part], text.ends[part], text.ids[part], text.keys[part], text.stems[part], text.pairs[part],
        text.weights[part], text.single[part], text.sentence[part],
    )  # fmt: skip


def rows_of(text: Encoded, keys: NDArray[np.uint32]) -> Ints:
    """(n, IDS) rows of an embedding table with UNKNOWN + len(keys) rows; ``keys`` are the sorted ids that have one."""
    place = np.searchsorted(keys, text.ids)
    found = keys[np.minimum(place, len(keys) - 1)] == text.ids
    unknown = np.arange(IDS) + IDS * text.single[:, None]
    return np.where(found, place + UNKNOWN, unknown)


def matches(passage: Encoded, question: Encoded) -> Floats:
    """(n, MATCHES) float32: exact, stem, pair with the next, pair with the one before, weighted match, density of
    weighted matches nearby, share of the question's weight in this sentence, that share relative to the best sentence,
    lone CJK character, weight of the unit; then what is rare in the passage counts more: the weighted match over how
    often it stands there, that over the sentence and nearby, relative to the best place.
    """
    n = len(passage)
    out = np.zeros((n, MATCHES), dtype=np.float32)
    if not n or not len(question):
        return out
    exact = (passage.keys[:, None] == question.keys[None]).any(1)
    stem, forward, backward, weighted = _weighted(passage, question)
    total = float(question.weights.sum()) or 1.0
    share = _share(passage, weighted, total)
    out[:, 0], out[:, 1], out[:, 2], out[:, 3] = exact, stem, forward, backward
    out[:, 4] = weighted
    out[:, 5] = _density(weighted, NEAR) / total
    out[:, SHARE] = share
    out[:, 7] = share / (share.max() or 1.0)
    out[:, 8] = passage.single
    out[:, 9] = passage.weights
    before = np.concatenate([passage.pairs[:1], passage.pairs[:-1]])
    known = np.where(passage.single, np.where(forward, passage.pairs, before), passage.stems)  # what it was known by
    _, at, count = np.unique(known, return_inverse=True, return_counts=True)
    rare = (weighted / count[at.ravel()]).astype(np.float32)
    sentence, near = _by_sentence(passage, rare, known), _density(rare, WIDE)
    out[:, 10] = rare
    out[:, 11] = sentence / (sentence.max() or 1.0)
    out[:, 12] = near / (near.max() or 1.0)
    return out


def sentence_share(passage: Encoded, question: Encoded) -> Floats:
    """(n,) the feature SHARE of ``matches`` alone."""
    if not len(passage) or not len(question):
        return np.zeros(len(passage), dtype=np.float32)
    return _share(passage, _weighted(passage, question)[3], float(question.weights.sum()) or 1.0)


def _weighted(passage: Encoded, question: Encoded) -> tuple[Bools, Bools, Bools, Floats]:
    """(n,) each: stem, pair with the next, pair with the one before, weight of the match."""
    stem = (passage.stems[:, None] == question.stems[None]).any(1)
    forward = (passage.pairs[:, None] == question.pairs[None, :-1]).any(1)
    backward = np.concatenate([[False], forward[:-1]])
    # A single CJK character says little, a bigram says much.
    return stem, forward, backward, passage.weights * np.where(passage.single, forward | backward, stem)


def _share(passage: Encoded, weighted: Floats, total: float) -> Floats:
    share: Floats = np.minimum(_by_sentence(passage, weighted, passage.stems) / total, 1.5)
    return share


def _density(weighted: Floats, reach: int) -> Floats:
    """Sum over the ``reach`` units to each side."""
    n = len(weighted)
    sums = np.concatenate([[0.0], np.cumsum(weighted)])
    index = np.arange(n)
    low, high = np.maximum(index - reach, 0), np.minimum(index + reach + 1, n)
    near: Floats = (sums[high] - sums[low]).astype(np.float32)
    return near


def _by_sentence(passage: Encoded, weighted: Floats, kinds: Ints) -> Floats:
    """(n,) sum over the sentence of a unit, equal ``kinds`` counted once."""
    numbers = passage.sentence - int(passage.sentence[0])
    hit = np.flatnonzero(weighted)
    _, first = np.unique((numbers[hit] << 32) + kinds[hit], return_index=True)
    kept = hit[first]
    sums = np.bincount(numbers[kept], weights=weighted[kept], minlength=int(numbers.max()) + 1)
    spread: Floats = sums.astype(np.float32)[numbers]
    return spread
