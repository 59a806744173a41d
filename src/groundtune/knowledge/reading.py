"""Reading hits: the reader's spans over the best chunks, ordered by reading and retrieval together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from groundtune.knowledge.blanks import fill
from groundtune.ports import Reader
from groundtune.types import Hit, Reading

READ = 5  # chunks that are read; `benchmarks/answers.py` measures what reading fewer or more gives
SURE = 0.75  # a blank that is filled with this probability needs no reader
PRIOR = 0.7  # weight of log rank against the log odds of the reading


def read_hits(question: str, hits: Sequence[Hit], reader: Reader, k: int = 5) -> list[Reading]:
    """Best ``k`` readings of the first ``READ`` hits, best first; ``Reading.index`` is the place of the hit.

    A span in a lower-ranked chunk must be the more convincing: its ``probability`` is that of the log odds less
    PRIOR * log(rank). What stands between the words around a blank of the question, in any of the hits, comes before
    every guess of the reader, which is not asked when enough of those words agree.
    """
    filled = fill(question, hits)[:k]
    if filled and filled[0].probability >= SURE:
        return filled
    texts = [hit.chunk.text for hit in hits[:READ]]
    readings = reader.read(question, texts, k=max(k, READ)) if texts else []
    ranked = (replace(reading, probability=_discounted(reading)) for reading in readings)
    return [*filled, *sorted(ranked, key=lambda reading: -reading.probability)][:k]


def _discounted(reading: Reading) -> float:
    if not reading.index:
        return reading.probability
    p = min(max(reading.probability, 1e-9), 1 - 1e-9)
    odds: float = p / (1 - p) / (1 + reading.index) ** PRIOR
    return odds / (1 + odds)
