"""The sentences of the user's documents, found by the terms and numbers they share with a text."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.text.normalise import fold
from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import search_terms
from groundtune.tuning.numbers import values

Rows = range  # the sentences of one document, which stand together
_SHORTEST_TITLE = 4


@dataclass(frozen=True)
class Near:
    """A sentence and how much it has in common with a text: ``covered`` is the share of the sentence's (IDF-weighted)
    terms that the text has, ``covers`` the share of the text's terms that the sentence has, ``terms`` their number.
    """

    index: int
    covered: float
    covers: float
    terms: int

    @property
    def strength(self) -> float:
        return max(self.covered, self.covers)


class Passages:
    """All sentences of ``documents`` (id to text) with postings of their terms and number values (``#30000``)."""

    def __init__(self, documents: Mapping[str, str]) -> None:
        self.documents: list[str] = []
        self.sentences: list[str] = []
        self.folded: list[str] = []
        postings: dict[str, list[int]] = defaultdict(list)
        self._titles: dict[str, Rows] = {}
        for key, text in documents.items():
            first = len(self.sentences)
            for span in sentence_spans(text):
                number = len(self.sentences)
                sentence = text[span.start : span.end]
                self.documents.append(key)
                self.sentences.append(sentence)
                self.folded.append(fold(sentence))
                for term in {*search_terms(sentence), *(f"#{value}" for value in values(sentence))}:
                    postings[term].append(number)
            self._name(key, first)
        self._postings = {term: np.array(found, dtype=np.int64) for term, found in postings.items()}
        count = max(1, len(self.sentences))
        self._idf = {term: math.log(1 + count / len(found)) for term, found in postings.items()}
        self._weights = np.zeros(len(self.sentences))
        for term, rows in self._postings.items():
            if not term.startswith("#"):
                self._weights[rows] += self._idf[term]

    def _name(self, key: str, first: int) -> None:
        """A document is known by its first heading and by its file name."""
        rows = range(first, len(self.sentences))
        head = self.folded[first] if len(rows) else ""
        for title in (head.lstrip("# ") if head.startswith("#") else "", fold(PurePath(key).stem)):
            if len(title) >= _SHORTEST_TITLE and not title.isdigit():
                self._titles[title] = rows

    def named_in(self, text: str) -> Rows:
        """The sentences of the document whose title stands in a folded text, of the longest when there are several."""
        found = [title for title in self._titles if title in text]
        return self._titles[max(found, key=len)] if found else range(0)

    def __len__(self) -> int:
        return len(self.sentences)

    def holding(self, terms: Collection[str]) -> list[int]:
        """Sentences that have all ``terms``, in order; empty for no terms."""
        rows = [self._postings.get(term) for term in dict.fromkeys(terms)]
        if not rows or any(found is None for found in rows):
            return []
        ordered = sorted((found for found in rows if found is not None), key=len)
        common = ordered[0]
        for found in ordered[1:]:
            common = np.intersect1d(common, found, assume_unique=True)
            if not len(common):
                break
        return [int(row) for row in common]

    def overlap(self, terms: Collection[str]) -> Overlap:
        """What every sentence has in common with a text of these terms."""
        scores = np.zeros(len(self.sentences))
        counts = np.zeros(len(self.sentences), dtype=np.int64)
        total = 0.0
        for term in set(terms):
            rows = self._postings.get(term)
            if rows is None:
                total += math.log(1 + max(1, len(self.sentences)))
                continue
            total += self._idf[term]
            scores[rows] += self._idf[term]
            counts[rows] += 1
        return Overlap(scores, counts, self._weights, total)


@dataclass(frozen=True)
class Overlap:
    """Per sentence: summed IDF of shared terms, their number, and the sums for the whole sentence and the text."""

    scores: NDArray[Any]
    counts: NDArray[Any]
    weights: NDArray[Any]
    total: float

    def near(self, index: int) -> Near:
        weight = float(self.weights[index]) or 1.0
        score = float(self.scores[index])
        return Near(index, min(1.0, score / weight), score / (self.total or 1.0), int(self.counts[index]))

    def best(self, k: int, among: Rows | None = None) -> list[Near]:
        """The ``k`` sentences (of ``among``) that share most, best first."""
        start, stop = (among.start, among.stop) if among is not None else (0, len(self.scores))
        k = min(k, stop - start)
        if k <= 0:
            return []
        value = self.scores[start:stop] / np.sqrt(np.maximum(self.weights[start:stop], 1.0))
        rows = np.argpartition(-value, k - 1)[:k]
        order = sorted(rows, key=lambda row: -value[row])
        return [self.near(start + int(row)) for row in order if value[row] > 0]
