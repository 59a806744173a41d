"""Near-duplicates by MinHash over folded terms, in any language; candidates are verified by weighted Jaccard.

Broder, "On the resemblance and containment of documents" (1997), with 16 bands of 4 rows: pairs of similarity 0.8 meet
with a probability above 0.999, pairs of 0.3 with one of 0.12. Terms that most texts share (an instruction, a template)
are left out, so that two requests under the same instruction are not taken for the same.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from groundtune.text.normalise import fold, squeeze
from groundtune.text.tokenise import search_terms

NEAR = 0.8
_BANDS, _ROWS = 16, 4
_PRIME = (1 << 31) - 1
_SHARED_BY = 0.3  # a term in more texts than this belongs to the instruction (with at least _FEW texts)
_FEW = 10


@dataclass(frozen=True)
class Pair:
    """Texts ``first`` < ``second`` (indices) and their similarity in (0, 1]; 1 means equal after folding."""

    first: int
    second: int
    similarity: float


def near_pairs(texts: Sequence[str], threshold: float = NEAR) -> list[Pair]:
    """Every text with the most similar earlier one, when that is at least ``threshold``; in order of ``second``."""
    best: dict[int, Pair] = {}
    for pair in _pairs(texts, threshold):
        known = best.get(pair.second)
        if known is None or (pair.similarity, -pair.first) > (known.similarity, -known.first):
            best[pair.second] = pair
    return [best[second] for second in sorted(best)]


def near_across(texts: Sequence[str], others: Sequence[str], threshold: float = NEAR) -> list[Pair]:
    """For each of ``texts`` the most similar of ``others``: ``first`` indexes ``others``, ``second`` indexes ``texts``."""
    best: dict[int, Pair] = {}
    count = len(others)
    for pair in _pairs([*others, *texts], threshold):
        if pair.first < count <= pair.second:
            known = best.get(pair.second)
            if known is None or pair.similarity > known.similarity:
                best[pair.second] = Pair(pair.first, pair.second - count, pair.similarity)
    return [best[second] for second in sorted(best)]


def _pairs(texts: Sequence[str], threshold: float) -> Iterator[Pair]:
    keys = [squeeze(fold(text)) for text in texts]
    shingles, weights = _shingles(texts)
    done: set[tuple[int, int]] = set()
    for bucket in _buckets(shingles, keys):
        for place, second in enumerate(bucket):
            for first in bucket[:place]:
                if (first, second) in done:
                    continue
                done.add((first, second))
                similarity = (
                    1.0 if keys[first] == keys[second] else _jaccard(shingles[first], shingles[second], weights)
                )
                if similarity >= threshold:
                    yield Pair(first, second, round(similarity, 3))


def _shingles(texts: Sequence[str]) -> tuple[list[frozenset[str]], dict[str, float]]:
    """Terms and pairs of neighbouring Latin terms of each text, without what most texts share, and their IDF weights."""
    terms = [search_terms(text) for text in texts]
    usage = Counter(term for row in terms for term in set(row))
    limit = _SHARED_BY * len(texts)
    shared = {term for term, count in usage.items() if len(texts) >= _FEW and count > limit}
    rows = []
    for row in terms:
        own = [term for term in row if term not in shared] or row
        latin = (f"{a} {b}" for a, b in pairwise(own) if a.isascii() and b.isascii())  # CJK terms are pairs already
        rows.append(frozenset([*own, *latin]))
    counts = Counter(item for row in rows for item in row)
    # A term of two texts weighs as much as one of a single text, or what a pair shares would count for less than what
    # parts it.
    return rows, {item: math.log(1 + len(texts) / max(2, count)) for item, count in counts.items()}


def _buckets(shingles: Sequence[frozenset[str]], keys: Sequence[str]) -> Iterator[list[int]]:
    """Groups of texts that share a band of their signatures, or that are equal after folding."""
    equal: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        equal[key].append(index)
    yield from (group[:1] + [index] for group in equal.values() for index in group[1:])
    chance = np.random.default_rng(1)
    factors = chance.integers(1, _PRIME, _BANDS * _ROWS, dtype=np.int64)
    offsets = chance.integers(0, _PRIME, _BANDS * _ROWS, dtype=np.int64)
    bands: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for index, row in enumerate(shingles):
        if not row or equal[keys[index]][0] != index:
            continue
        hashes = np.array([zlib.crc32(item.encode()) & 0x7FFFFFFF for item in row], dtype=np.int64)
        signature = ((hashes[:, None] * factors + offsets) % _PRIME).min(axis=0)
        for band in range(_BANDS):
            bands[band, signature[band * _ROWS : (band + 1) * _ROWS].tobytes()].append(index)
    yield from (bucket for bucket in bands.values() if len(bucket) > 1)


def _jaccard(one: frozenset[str], other: frozenset[str], weights: dict[str, float]) -> float:
    either = sum(weights[item] for item in one | other)
    shared = sum(weights[item] for item in one & other) / either if either else 0.0
    return min(shared, 0.999)  # 1 is for texts that are equal after folding
