"""The lexical side of the embedded store: candidates from FTS5, then our own order."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from groundtune.store.evidence import CORRECTED_WEIGHT, Query, is_cjk_term, parse_query
from groundtune.store.ranking import DEFAULT, Candidate, Statistics, Weights, score
from groundtune.store.schema import fetch
from groundtune.store.vectors import Generation

CANDIDATES = 60
# Ranking every chunk that holds a very frequent term is what costs time in FTS5; beyond this share of a large index
# such terms only order candidates that rarer terms brought.
_FREQUENT_SHARE = 0.1
_FREQUENT_FLOOR = 2000
_LABEL_WEIGHT = 0.5
# A long question is searched for by its most telling terms; all of them order what was found.
_SEARCHED_TERMS = 16


@dataclass(frozen=True, slots=True)
class _Totals:
    generation: Generation
    chunks: int
    mean_length: float


class LexicalSearch:
    """Searches the ``lexical`` table of one connection."""

    def __init__(self, weights: Weights = DEFAULT) -> None:
        self.weights = weights
        self._totals: _Totals | None = None

    def best(
        self,
        connection: apsw.Connection,
        generation: Generation,
        text: str,
        k: int,
        allowed: tuple[str, tuple[Any, ...]],
    ) -> list[tuple[int, float]]:
        """``(row, score)`` of the ``k`` best chunks. ``allowed`` is an SQL condition on ``rowid`` and its bindings."""
        query = parse_query(text)
        if not query.terms:
            return []
        totals = self._current(connection, generation)
        frequency = frequencies(connection, query.terms)
        query = _corrected(connection, query, frequency)
        statistics = Statistics(totals.chunks, totals.mean_length, frequency)
        rows = self._candidates(connection, query, statistics, max(CANDIDATES, 2 * k), allowed)
        return score(query, statistics, rows, self.weights)[:k]

    def _candidates(
        self,
        connection: apsw.Connection,
        query: Query,
        statistics: Statistics,
        count: int,
        allowed: tuple[str, tuple[Any, ...]],
    ) -> list[Candidate]:
        terms = _searched(query, statistics)
        if not terms:
            return []
        match = " OR ".join(f'"{term}"' for term in terms)
        condition, bindings = allowed
        found = fetch(
            connection,
            "SELECT c.rowid, c.body_terms, c.label_terms FROM ("
            f"  SELECT rowid FROM lexical WHERE lexical MATCH ? AND rank MATCH 'bm25({_LABEL_WEIGHT}, 1.0)' {condition}"
            "  ORDER BY rank LIMIT ?"
            ") AS best JOIN chunks AS c ON c.rowid = best.rowid",
            (match, *bindings, count),
        )
        return [Candidate(row, body, label) for row, body, label in found]

    def _current(self, connection: apsw.Connection, generation: Generation) -> _Totals:
        if self._totals is None or self._totals.generation != generation:
            count, length = fetch(connection, "SELECT count(*), coalesce(avg(length), 0) FROM chunks")[0]
            self._totals = _Totals(generation, int(count), float(length))
        return self._totals


def frequencies(connection: apsw.Connection, terms: Sequence[str]) -> dict[str, int]:
    """Number of chunks that hold each term, in the body or in the label, whichever is more."""
    found: dict[str, int] = {}
    for term in dict.fromkeys(terms):
        for (count,) in fetch(connection, "SELECT doc FROM lexical_terms WHERE term = ?", (term,)):
            found[term] = max(int(count), found.get(term, 0))
    return found


def _searched(query: Query, statistics: Statistics) -> list[str]:
    """The terms that bring candidates: the most telling ones that the index holds, without very frequent ones when
    rarer ones remain.
    """
    present = {t: w * statistics.idf(t) for t, w in query.strongest().items() if statistics.frequency.get(t)}
    limit = max(_FREQUENT_FLOOR, _FREQUENT_SHARE * statistics.chunks)
    rare = [term for term in present if statistics.frequency[term] <= limit]
    kept = rare if len(rare) >= min(3, len(present)) else list(present)
    return sorted(kept, key=lambda term: -present[term])[:_SEARCHED_TERMS]


def _corrected(connection: apsw.Connection, query: Query, frequency: dict[str, int]) -> Query:
    """Replace Latin words that no chunk holds by the closest word that one does (typing mistakes)."""
    terms, weights = list(query.terms), list(query.weights)
    for place, term in enumerate(query.terms):
        if frequency.get(term) or len(term) < 4 or is_cjk_term(term) or not term.isalpha():
            continue
        rows = fetch(
            connection,
            "SELECT DISTINCT term FROM lexical_terms WHERE term >= ? AND term < ? AND length(term) BETWEEN ? AND ?",
            (term[:2], term[:2] + "\U0010ffff", len(term) - 2, len(term) + 2),
        )
        close = difflib.get_close_matches(term, [row[0] for row in rows], n=1, cutoff=0.8)
        if close:
            terms[place], weights[place] = close[0], weights[place] * CORRECTED_WEIGHT
            frequency.update(frequencies(connection, close))
    return Query(tuple(terms), tuple(weights))
