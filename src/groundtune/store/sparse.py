"""Search terms as sparse vectors, for engines that have those and no words: the dot product of the vectors of a question and
of a chunk is BM25 without the inverse document frequencies.

Robertson and Zaragoza (2009), "The Probabilistic Relevance Framework: BM25 and Beyond". The mean length of a chunk is a
constant here: a vector that is stored cannot follow the mean of what comes later.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from groundtune.store.rows import Terms

_K1, _B = 1.2, 0.75
_MEAN_LENGTH = 200.0
_IN_LABEL = 0.5  # a term of the label counts as half of one in the body, as in the embedded store


@dataclass(frozen=True, slots=True)
class Sparse:
    """Different places (unsigned, 32 bits) and their values."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


def of_chunk(terms: Terms) -> Sparse:
    """How much each term of a chunk counts, saturating with repetition."""
    label, body = terms
    counts: dict[int, float] = {}
    for text, share in ((body, 1.0), (label, _IN_LABEL)):
        for term in filter(None, text.split(" ")):
            place = index_of(term)
            counts[place] = counts.get(place, 0.0) + share
    length = sum(text.count(" ") + 1 for text in terms if text)
    norm = _K1 * (1 - _B + _B * length / _MEAN_LENGTH)
    return Sparse(tuple(counts), tuple(count * (_K1 + 1) / (count + norm) for count in counts.values()))


def of_question(terms: Mapping[str, float]) -> Sparse:
    """The worth of each term."""
    found: dict[int, float] = {}
    for term, worth in terms.items():
        place = index_of(term)
        found[place] = found.get(place, 0.0) + worth
    return Sparse(tuple(found), tuple(found.values()))


def index_of(term: str) -> int:
    """The place of a term. Two terms may share one; among a million different terms that happens to about 0.02 %."""
    return zlib.crc32(term.encode("utf-8"))
