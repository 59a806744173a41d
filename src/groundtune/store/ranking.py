"""Orders lexical candidates: BM25 plus evidence that FTS5 does not look at (closeness, coverage, label).

BM25 after Robertson and Zaragoza (2009), "The Probabilistic Relevance Framework", with the non-negative idf
``ln(1 + (N - df + 0.5) / (df + 0.5))``. All weights are in units of BM25 and were fitted on training questions
(``benchmarks/tune_retrieval.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from groundtune.store.evidence import Query, is_cjk_term


@dataclass(frozen=True, slots=True)
class Weights:
    """``near``: neighbouring Latin query terms that stand close together; ``window``: idf of different query terms
    inside 24 (``wide``: 48) consecutive terms; ``coverage``: idf of different terms anywhere; ``label``: in the title
    or heading.
    """

    k1: float = 1.2
    b: float = 0.75
    near: float = 1.0
    window: float = 0.4
    wide: float = 0.2
    coverage: float = 0.2
    label: float = 0.3


DEFAULT = Weights()


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the whole index: number of chunks, mean chunk length in terms, number of chunks that hold each query term."""

    chunks: int
    mean_length: float
    frequency: Mapping[str, int]

    def idf(self, term: str) -> float:
        df = min(self.frequency.get(term, 0), self.chunks)
        return math.log(1.0 + (self.chunks - df + 0.5) / (df + 0.5))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk to be scored: its row and its terms in order."""

    row: int
    body: Sequence[str]
    label: Sequence[str]


def score(
    query: Query, statistics: Statistics, candidates: Iterable[Candidate], weights: Weights = DEFAULT
) -> list[tuple[int, float]]:
    """``(row, score)``, best first; equal scores by row, so that runs repeat."""
    worth = {term: weight * statistics.idf(term) for term, weight in query.strongest().items()}
    repeats: dict[str, float] = {}
    for term, weight in zip(query.terms, query.weights, strict=True):
        repeats[term] = repeats.get(term, 0.0) + weight * statistics.idf(term)
    pairs = {
        (a, b): (worth[a] + worth[b]) / 2
        for a, b in zip(query.terms, query.terms[1:], strict=False)
        if a != b and not is_cjk_term(a) and not is_cjk_term(b)
    }
    scored = [(c.row, _score_one(c, worth, repeats, pairs, statistics.mean_length, weights)) for c in candidates]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))


def _score_one(
    candidate: Candidate,
    worth: Mapping[str, float],
    repeats: Mapping[str, float],
    pairs: Mapping[tuple[str, str], float],
    mean_length: float,
    weights: Weights,
) -> float:
    events = [(place, term) for place, term in enumerate(candidate.body) if term in worth]
    places: dict[str, list[int]] = {}
    for place, term in events:
        places.setdefault(term, []).append(place)
    norm = weights.k1 * (1 - weights.b + weights.b * len(candidate.body) / max(mean_length, 1.0))
    total = 0.0
    for term, found in places.items():
        total += repeats[term] * len(found) * (weights.k1 + 1) / (len(found) + norm) + weights.coverage * worth[term]
    total += weights.label * sum(worth[term] for term in set(candidate.label) if term in worth)
    total += weights.near * sum(
        value / _distance(places[a], places[b]) for (a, b), value in pairs.items() if a in places and b in places
    )
    total += weights.window * best_window(events, worth, 24) + weights.wide * best_window(events, worth, 48)
    return total


def best_window(events: Sequence[tuple[int, str]], worth: Mapping[str, float], width: int) -> float:
    """Largest sum of ``worth`` over the different terms of any ``width + 1`` consecutive places."""
    best = current = 0.0
    inside: dict[str, int] = {}
    left = 0
    for place, term in events:
        inside[term] = inside.get(term, 0) + 1
        if inside[term] == 1:
            current += worth[term]
        while events[left][0] < place - width:
            gone = events[left][1]
            inside[gone] -= 1
            if not inside[gone]:
                current -= worth[gone]
            left += 1
        best = max(best, current)
    return best


def _distance(first: Sequence[int], second: Sequence[int]) -> int:
    """Smallest distance between two terms; the wrong order counts one more. At least 1."""
    return min(b - a if b > a else a - b + 1 for a in first for b in second)
