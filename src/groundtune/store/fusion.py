"""Reciprocal rank fusion of the lexical and the dense order."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.types import Fusion

# Cormack, Clarke and Büttcher (2009), "Reciprocal Rank Fusion outperforms Condorcet": k = 60. Ranks need no
# calibration of an unknown embedder's similarities against BM25.
CONSTANT = 60

Ranked = tuple[int, float, float | None, float | None]


EVEN = Fusion()


def fuse(
    lexical: Sequence[tuple[int, float]], dense: Sequence[tuple[int, float]], fusion: Fusion = EVEN
) -> list[Ranked]:
    """``(row, fused score, lexical score, dense score)``, best first; equal scores by row."""
    total: dict[int, float] = {}
    for ranking, weight in ((lexical, fusion.lexical), (dense, fusion.dense)):
        for place, (row, _) in enumerate(ranking, start=1):
            total[row] = total.get(row, 0.0) + weight / (CONSTANT + place)
    words, meanings = dict(lexical), dict(dense)
    order = sorted(total, key=lambda row: (-total[row], row))
    return [(row, total[row], words.get(row), meanings.get(row)) for row in order]
