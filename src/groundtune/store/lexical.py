"""The lexical side of the embedded store: candidates by BM25 from the word index, then our own order."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.store.evidence import CORRECTED_WEIGHT, Query, is_cjk_term, parse_query
from groundtune.store.live import Generation, Slots, best
from groundtune.store.ranking import DEFAULT, Candidate, Statistics, Weights, score
from groundtune.store.schema import fetch

CANDIDATES = 30
# Reading every chunk that holds a very frequent term is what costs time; beyond this share of a large index such terms
# only order candidates that rarer terms brought.
_FREQUENT_SHARE = 0.1
_FREQUENT_FLOOR = 2000
_FEW_GONE = 0.01  # share of the chunks in the index
# A long question is searched for by its most telling terms; all of them order what was found.
_SEARCHED_TERMS = 16


class LexicalSearch:
    """Searches the word index of one store."""

    def __init__(self, weights: Weights = DEFAULT) -> None:
        self.weights = weights
        self.slots = Slots()

    def best(
        self,
        connection: apsw.Connection,
        generation: Generation,
        text: str,
        k: int,
        allowed: frozenset[int] | None = None,
        look: int = 0,
    ) -> list[tuple[int, float]]:
        """``(row, score)`` of the ``k`` best chunks among the rows of ``allowed`` (None: all). The ``look`` best by BM25
        (0: twice ``k``) are looked at closely; what follows keeps the order of BM25.
        """
        query, statistics = self.query(connection, generation, text)
        if not query.terms:
            return []
        look = max(CANDIDATES, look or 2 * k)
        found = self._found(connection, query, statistics, max(look, k), allowed)
        return self._looked_at(connection, query, statistics, found, look)[:k]

    def query(self, connection: apsw.Connection, generation: Generation, text: str) -> tuple[Query, Statistics]:
        """A question read against the index: typing mistakes put right, and how frequent its terms are."""
        query = parse_query(text)
        if not query.terms:
            return query, Statistics(0, 0.0, {})
        slots = self.slots
        slots.follow(connection, generation)
        frequency = frequencies(connection, slots, query.terms)
        query = _corrected(connection, slots, query, frequency)
        return query, Statistics(slots.chunks, slots.mean_length, frequency)

    def order(
        self,
        connection: apsw.Connection,
        generation: Generation,
        text: str,
        found: Sequence[tuple[int, float]],
        look: int,
    ) -> list[tuple[int, float]]:
        """Candidates that somebody else found, best first, in our own order."""
        query, statistics = self.query(connection, generation, text)
        return self._looked_at(connection, query, statistics, found, max(CANDIDATES, look)) if query.terms else []

    def worth(self, connection: apsw.Connection, generation: Generation, terms: Sequence[str]) -> dict[str, float]:
        """Inverse document frequency of each term."""
        self.slots.follow(connection, generation)
        frequency = frequencies(connection, self.slots, terms)
        statistics = Statistics(self.slots.chunks, self.slots.mean_length, frequency)
        return {term: statistics.idf(term) for term in terms}

    def _looked_at(
        self,
        connection: apsw.Connection,
        query: Query,
        statistics: Statistics,
        found: Sequence[tuple[int, float]],
        look: int,
    ) -> list[tuple[int, float]]:
        """The first ``look`` in our own order, the others after them as they are."""
        ranked = score(query, statistics, _candidates(connection, [row for row, _ in found[:look]]), self.weights)
        least, top = (ranked[-1][1], found[0][1]) if found else (0.0, 1.0)
        return [*ranked, *((row, least * value / top) for row, value in found[look:])]

    def _found(
        self,
        connection: apsw.Connection,
        query: Query,
        statistics: Statistics,
        count: int,
        allowed: frozenset[int] | None,
    ) -> list[tuple[int, float]]:
        """The ``count`` best rows by BM25 over the searched terms, best first."""
        terms = _searched(query, statistics)
        slots = self.slots
        keep: NDArray[np.bool_] | None = None
        if slots.chunks < slots.used:
            keep = slots.alive[: slots.used]
        if allowed is not None:
            chosen = np.fromiter(allowed, dtype=np.int64, count=len(allowed))
            inside = np.isin(slots.rows[: slots.used], chosen)
            keep = inside if keep is None else inside & keep
        scores = _bm25(slots, postings(connection, slots, terms), terms, self.weights, keep)
        places = best(scores, count)
        order = np.lexsort((slots.rows[places], -scores[places]))[:count]
        return [(int(slots.rows[place]), float(scores[place])) for place in places[order]]


def _bm25(
    slots: Slots,
    found: Mapping[str, Sequence[tuple[int, bytes]]],
    terms: Mapping[str, float],
    weights: Weights,
    keep: NDArray[np.bool_] | None,
) -> NDArray[np.float32]:
    """Score per slot; ``terms`` maps each searched term to its worth."""
    scores = np.zeros(slots.used, dtype=np.float32)
    fixed = np.float32(weights.k1 * (1 - weights.b))
    per_term = np.float32(weights.k1 * weights.b / max(slots.mean_length, 1.0))
    for term, worth in terms.items():
        parts = found.get(term, ())
        if not parts:
            continue
        values = np.frombuffer(b"".join(blob for _, blob in parts), dtype="<u4")
        places = (values >> 8).astype(np.int64)
        start = 0
        for offset, blob in parts:
            end = start + len(blob) // 4
            places[start:end] += offset
            start = end
        count = (values & 255).astype(np.float32) * np.float32(0.5)
        gain = count * np.float32(worth * (weights.k1 + 1)) / (count + fixed + per_term * slots.lengths[places])
        if keep is not None:
            gain *= keep[places]
        scores[places] += gain
    return scores


def postings(
    connection: apsw.Connection, slots: Slots, terms: Mapping[str, float] | Sequence[str]
) -> dict[str, list[tuple[int, bytes]]]:
    """For each term the offset of a segment's slots and its packed postings there."""
    query = (
        "SELECT p.term, p.segment, p.packed FROM json_each(?) AS s CROSS JOIN json_each(?) AS t"
        " CROSS JOIN postings AS p ON p.segment = s.value AND p.term = t.value"
    )
    found: dict[str, list[tuple[int, bytes]]] = {}
    wanted = (json.dumps(list(slots.offsets)), json.dumps(list(terms), ensure_ascii=False))
    for term, segment, packed in fetch(connection, query, wanted):
        found.setdefault(term, []).append((slots.offsets[segment], packed))
    return found


def frequencies(connection: apsw.Connection, slots: Slots, terms: Sequence[str]) -> dict[str, int]:
    """Number of chunks that hold each term. Chunks that are gone are not counted, except where they are so few
    (``_FEW_GONE``) that looking through every posting is not worth it.
    """
    names = list(dict.fromkeys(terms))
    if slots.used - slots.chunks > _FEW_GONE * slots.used:
        found = postings(connection, slots, names)
        return {term: _living(slots, parts) for term, parts in found.items()}
    query = (
        "SELECT p.term, sum(length(p.packed)) / 4 FROM json_each(?) AS s CROSS JOIN json_each(?) AS t"
        " CROSS JOIN postings AS p ON p.segment = s.value AND p.term = t.value GROUP BY p.term"
    )
    wanted = (json.dumps(list(slots.offsets)), json.dumps(names, ensure_ascii=False))
    return {term: int(count) for term, count in fetch(connection, query, wanted)}


def _living(slots: Slots, parts: Sequence[tuple[int, bytes]]) -> int:
    return sum(
        int(np.count_nonzero(slots.alive[(np.frombuffer(blob, "<u4") >> 8).astype(np.int64) + offset]))
        for offset, blob in parts
    )


def _candidates(connection: apsw.Connection, rows: Sequence[int]) -> list[Candidate]:
    query = (
        "SELECT c.rowid, c.body_terms, c.label_terms FROM json_each(?) AS wanted"
        " CROSS JOIN chunks AS c ON c.rowid = wanted.value"
    )
    return [Candidate(*values) for values in fetch(connection, query, (json.dumps(rows),))]


def _searched(query: Query, statistics: Statistics) -> dict[str, float]:
    """The terms that bring candidates, with their worth: the most telling ones that the index holds, without very
    frequent ones when rarer ones remain.
    """
    present = {t: w * statistics.idf(t) for t, w in query.strongest().items() if statistics.frequency.get(t)}
    limit = max(_FREQUENT_FLOOR, _FREQUENT_SHARE * statistics.chunks)
    rare = [term for term in present if statistics.frequency[term] <= limit]
    kept = rare if len(rare) >= min(3, len(present)) else list(present)
    return {term: present[term] for term in sorted(kept, key=lambda term: -present[term])[:_SEARCHED_TERMS]}


def _corrected(connection: apsw.Connection, slots: Slots, query: Query, frequency: dict[str, int]) -> Query:
    """Replace Latin words that no chunk holds by the closest word that one does (typing mistakes)."""
    terms, weights = list(query.terms), list(query.weights)
    for place, term in enumerate(query.terms):
        if frequency.get(term) or len(term) < 4 or is_cjk_term(term) or not term.isalpha():
            continue
        rows = fetch(
            connection,
            "SELECT DISTINCT p.term FROM json_each(?) AS s CROSS JOIN postings AS p ON p.segment = s.value"
            " WHERE p.term >= ? AND p.term < ? AND length(p.term) BETWEEN ? AND ?",
            (json.dumps(list(slots.offsets)), term[:2], term[:2] + "\U0010ffff", len(term) - 2, len(term) + 2),
        )
        close = difflib.get_close_matches(term, [row[0] for row in rows], n=1, cutoff=0.8)
        if close:
            terms[place], weights[place] = close[0], weights[place] * CORRECTED_WEIGHT
            frequency.update(frequencies(connection, slots, close))
    return Query(tuple(terms), tuple(weights))
