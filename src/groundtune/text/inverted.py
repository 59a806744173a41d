"""Inverted lists of a batch of chunks: which of them hold which term how often. NumPy does the sorting.

A count is in half occurrences: a term in the label is worth half of one in the body; at most 255.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from operator import ne

import numpy as np
from numpy.typing import NDArray

_IN_LABEL = 1  # and one more in the body
PLACES = 1 << 24
MOST = 255
_SPACE, _WIDTH = 32, 21  # a code point has 21 bits


@dataclass(frozen=True, slots=True)
class Packed:
    """Postings of ``len(lengths)`` chunks. ``terms`` are sorted; those of term ``i`` are ``values[bounds[i]:bounds[i+1]]``.
    ``lengths`` counts the terms of body and label per chunk. A value is ``place << 8 | count`` (little-endian uint32).
    """

    lengths: NDArray[np.uint32]
    terms: list[str]
    bounds: NDArray[np.int64]
    values: NDArray[np.uint32]


def pack(labels: Sequence[str], bodies: Sequence[str]) -> Packed:
    """Inverted lists from the joined terms of label and body of each chunk."""
    count = len(bodies)
    if count >= PLACES:
        raise ValueError(f"{count} chunks in one segment; the most is {PLACES - 1}")
    body_sizes, label_sizes = _sizes(bodies), _sizes(labels)
    terms, codes = _codes(" ".join(filter(None, [*bodies, *labels])), int(body_sizes.sum() + label_sizes.sum()))
    places = np.arange(count, dtype=np.int64)
    keys = codes * count + np.concatenate([np.repeat(places, body_sizes), np.repeat(places, label_sizes)])
    keys <<= 1
    keys[: int(body_sizes.sum())] += 1
    keys.sort()
    return reduce(keys >> 1, (keys & 1) + _IN_LABEL, terms, (body_sizes + label_sizes).astype(np.uint32))


def _sizes(joined: Sequence[str]) -> NDArray[np.int64]:
    return np.fromiter((text.count(" ") + 1 if text else 0 for text in joined), dtype=np.int64, count=len(joined))


def _codes(joined: str, count: int) -> tuple[list[str], NDArray[np.int64]]:
    """The sorted different terms, and the place in them of each of ``count`` terms that are joined by single spaces.

    Terms of one or two characters, nearly all of Chinese and Japanese, become numbers without becoming strings.
    """
    if not count:
        return [], np.zeros(0, dtype=np.int64)
    characters = np.frombuffer(joined.encode("utf-32-le"), dtype="<u4").astype(np.int64)
    ends = np.append(np.flatnonzero(characters == _SPACE), len(characters))
    starts = np.concatenate([[0], ends[:-1] + 1])
    short = ends - starts <= 2
    first, last = characters[starts[short]], characters[ends[short] - 1]
    pairs = first << _WIDTH | np.where(ends[short] - starts[short] == 2, last, 0)
    distinct, which = np.unique(pairs, return_inverse=True)
    small = [
        chr(pair >> _WIDTH) + (chr(low) if (low := pair & (1 << _WIDTH) - 1) else "") for pair in distinct.tolist()
    ]
    ids: defaultdict[str, int] = defaultdict()
    ids.default_factory = ids.__len__
    words = _long_terms(characters, starts, ends, ~short)
    found = np.fromiter(map(ids.__getitem__, words), dtype=np.int64, count=len(words))
    terms = sorted([*small, *ids])
    rank = {term: place for place, term in enumerate(terms)}
    codes = np.empty(count, dtype=np.int64)
    codes[short] = np.fromiter(map(rank.__getitem__, small), dtype=np.int64, count=len(small))[which]
    codes[~short] = np.fromiter(map(rank.__getitem__, ids), dtype=np.int64, count=len(ids))[found]
    return terms, codes


def _long_terms(
    characters: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64], wanted: NDArray[np.bool_]
) -> list[str]:
    """The wanted terms as strings: their characters and the space behind each, decoded and split at once."""
    sizes = ends - starts + 1
    kept = characters[np.repeat(wanted, sizes)[: len(characters)]]
    return kept.astype("<u4").tobytes().decode("utf-32-le").split(" ")[: int(wanted.sum())]


def reduce(
    pairs: NDArray[np.int64], weights: NDArray[np.int64], terms: list[str], lengths: NDArray[np.uint32]
) -> Packed:
    """``pairs`` are ``term * chunks + place``, sorted; equal ones are added up."""
    if not len(pairs):
        return Packed(lengths, [], np.zeros(1, np.int64), np.zeros(0, np.uint32))
    first = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]]))
    counts = np.minimum(np.add.reduceat(weights, first), MOST)
    term, place = np.divmod(pairs[first], len(lengths))
    bounds = np.searchsorted(term, np.arange(len(terms) + 1))
    return Packed(lengths, terms, bounds, ((place << 8) | counts).astype("<u4"))


def join(parts: Sequence[Packed]) -> Packed:
    """The lists of several batches of chunks as one: the places of each batch follow those of the one before."""
    if len(parts) == 1:
        return parts[0]
    names = [term for part in parts for term in part.terms]
    if not names:
        return Packed(
            np.concatenate([part.lengths for part in parts]), [], np.zeros(1, np.int64), np.zeros(0, np.uint32)
        )
    firsts = np.cumsum([0, *(len(part.lengths) for part in parts)])
    before = np.cumsum([0, *(len(part.values) for part in parts)])
    values = np.concatenate([part.values + (first << 8) for part, first in zip(parts, firsts.tolist(), strict=False)])
    starts = np.concatenate([part.bounds[:-1] + start for part, start in zip(parts, before.tolist(), strict=False)])
    order = sorted(range(len(names)), key=names.__getitem__)  # equal terms stay in the order of the batches
    names = [names[place] for place in order]
    chosen = np.array(order, dtype=np.int64)
    sizes = np.concatenate([np.diff(part.bounds) for part in parts])[chosen]
    ends = np.cumsum(sizes)
    at = np.repeat(starts[chosen] - (ends - sizes), sizes) + np.arange(int(ends[-1]))
    last = np.flatnonzero(np.fromiter(map(ne, names, [*names[1:], None]), dtype=np.bool_, count=len(names)))
    lengths = np.concatenate([part.lengths for part in parts])
    return Packed(
        lengths, [names[place] for place in last.tolist()], np.append(0, ends[last]), values[at].astype("<u4")
    )
