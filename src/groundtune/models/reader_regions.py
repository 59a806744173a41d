"""Which parts of several passages ``builtin:reader`` looks at.

Reading everything costs time in proportion to the text, and most sentences share no word with the question. The sentences
that share most of it are read with a neighbour on each side. On development questions over retrieved passages this is
three times as fast as reading all of them, and it finds the exact span more often (``recipes/LOG.md``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundtune.models.reader_units import Encoded, cut, sentence_share

WINDOW, STRIDE = 400, 300  # units read at once, and the step between two windows of a long text
SENTENCES = 4  # sentences around which is read
NEIGHBOURS = 1
LEAST = 0.5  # of the best sentence's share of the question
BUDGET = 420  # units; above it no further sentence is taken


def regions(texts: Sequence[Encoded], question: Encoded) -> list[tuple[int, Encoded]]:
    """(index of the text, part of it) in the order of the texts; everything when that is little, or when no sentence
    shares anything with the question.
    """
    little = sum(len(text) for text in texts) <= BUDGET
    wanted: dict[int, set[int]] = {}
    spent = 0
    for index, sentence in [] if little else _best_sentences(texts, question):
        around = set(range(sentence - NEIGHBOURS, sentence + NEIGHBOURS + 1))
        new = around - wanted.get(index, set())
        cost = int(np.isin(texts[index].sentence, list(new)).sum())
        if wanted and spent + cost > BUDGET:
            break
        wanted.setdefault(index, set()).update(around)
        spent += cost
    if not wanted:
        return [(index, window) for index, text in enumerate(texts) for window in windows(text)]
    return [(i, part) for i in sorted(wanted) for part in _runs(texts[i], wanted[i])]


def windows(text: Encoded) -> list[Encoded]:
    """The whole text in overlapping windows."""
    n = len(text)
    lows = range(0, n, STRIDE) if n > WINDOW else range(min(n, 1))
    return [cut(text, low, low + WINDOW) for low in lows if not low or low + WINDOW - STRIDE < n]


def _best_sentences(texts: Sequence[Encoded], question: Encoded) -> list[tuple[int, int]]:
    """(text, number of the sentence) by share of the question's weight, best first; the earlier text wins a tie."""
    found: list[tuple[float, int, int]] = []
    for index, text in enumerate(texts):
        if len(text):
            share = sentence_share(text, question)
            numbers, first = np.unique(text.sentence, return_index=True)
            found.extend((-float(share[at]), index, int(number)) for number, at in zip(numbers, first, strict=True))
    found.sort()
    best = -found[0][0] if found else 0.0
    return [(index, number) for value, index, number in found[:SENTENCES] if best and -value >= LEAST * best]


def _runs(text: Encoded, sentences: set[int]) -> list[Encoded]:
    """The sentences of a text as unbroken parts of at most ``WINDOW`` units."""
    inside = np.flatnonzero(np.isin(text.sentence, list(sentences)))
    parts = np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1)
    return [window for part in parts for window in windows(cut(text, int(part[0]), int(part[-1]) + 1))]
