"""Orders lexical candidates: BM25 plus evidence that BM25 does not look at (closeness, coverage, label).

BM25 after Robertson and Zaragoza (2009), "The Probabilistic Relevance Framework", with the non-negative idf
``ln(1 + (N - df + 0.5) / (df + 0.5))``. All weights are in units of BM25 and were fitted on training questions
(``benchmarks/tune_retrieval.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from groundtune.store.evidence import Query, is_cjk_term
from groundtune.store.meaning import SAME_MEANING


@dataclass(frozen=True, slots=True)
class Weights:
    """``near``: neighbouring query terms (not both CJK bigrams) that stand close together; ``window``: idf of different query terms
    inside ``width`` consecutive terms; ``coverage``: idf of different CJK terms anywhere; ``label``: of terms in the
    title or heading; ``prefix``: of missing Latin words of which a word with the same first four letters is there
    (glass and glassware) or that has the same meaning (won and win, UK and Kingdom). Terms worth less than ``floor`` of the most telling one are left out: they cost time and hardly
    change the order.
    """

    k1: float = 1.2
    b: float = 0.75
    near: float = 0.8
    window: float = 0.7
    width: int = 40
    coverage: float = 0.2
    label: float = 0.3
    prefix: float = 0.6
    floor: float = 0.15


DEFAULT = Weights()
SKIP = 0.6


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
    """A chunk to be scored: its row, its terms in order and the terms of its label, each joined by spaces."""

    row: int
    body: str
    label: str


def score(
    query: Query, statistics: Statistics, candidates: Iterable[Candidate], weights: Weights = DEFAULT
) -> list[tuple[int, float]]:
    """``(row, score)``, best first; equal scores by row, so that runs repeat."""
    worth = {term: weight * statistics.idf(term) for term, weight in query.strongest().items()}
    least = weights.floor * max(worth.values(), default=0.0)
    worth = {term: value for term, value in worth.items() if value >= least}
    repeats: dict[str, float] = {}
    for term, weight in zip(query.terms, query.weights, strict=True):
        repeats[term] = repeats.get(term, 0.0) + weight * statistics.idf(term)
    pairs = _pairs(query.terms, worth)
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
    places = _places(candidate.body, worth)
    events = sorted((place, term) for term, found in places.items() for place in found)
    norm = weights.k1 * (1 - weights.b + weights.b * (candidate.body.count(" ") + 1) / max(mean_length, 1.0))
    total = 0.0
    for term, found in places.items():
        total += repeats[term] * len(found) * (weights.k1 + 1) / (len(found) + norm)
        total += weights.coverage * worth[term] if is_cjk_term(term) else 0.0
    total += weights.label * sum(worth[term] for term in set(candidate.label.split(" ")) if term in worth)
    total += weights.near * sum(
        value / _distance(places[a], places[b]) for (a, b), value in pairs.items() if a in places and b in places
    )
    total += weights.prefix * sum(worth[term] for term in _related(candidate.body, worth, places))
    return total + weights.window * best_window(events, worth, weights.width)


def _pairs(terms: Sequence[str], worth: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Neighbours of the question, and terms one apart for ``SKIP`` of the value. Two CJK bigrams make no pair: they
    overlap, so BM25 has counted their closeness already.
    """
    pairs: dict[tuple[str, str], float] = {}
    for step, share in ((1, 1.0), (2, SKIP)):
        for a, b in zip(terms, terms[step:], strict=False):
            if a != b and a in worth and b in worth and not (is_cjk_term(a) and is_cjk_term(b)):
                pairs[a, b] = max(pairs.get((a, b), 0.0), share * (worth[a] + worth[b]) / 2)
    return pairs


def _places(body: str, terms: Iterable[str]) -> dict[str, list[int]]:
    """Positions of ``terms`` in ``body``. Finding each term in the joined text is several times faster than walking
    over hundreds of terms per chunk in Python.
    """
    padded = f" {body} "
    places: dict[str, list[int]] = {}
    for term in terms:
        needle = f" {term} "
        at = padded.find(needle)
        if at < 0:
            continue
        found, place, counted = [], 0, 0
        while at >= 0:
            place += padded.count(" ", counted, at)
            counted = at
            found.append(place)
            at = padded.find(needle, at + len(needle) - 1)
        places[term] = found
    return places


def _related(body: str, terms: Iterable[str], found: Mapping[str, object]) -> list[str]:
    """Latin words that are missing in ``body`` while a word of the same meaning is there, or, for words of at least
    five letters, one with the same beginning.
    """
    padded = f" {body} "
    related: list[str] = []
    for term in terms:
        if term in found or not term.isascii() or not term.isalpha():
            continue
        begins = len(term) >= 5 and f" {term[:4]}" in padded
        if begins or any(f" {other} " in padded for other in SAME_MEANING.get(term, ())):
            related.append(term)
    return related


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
