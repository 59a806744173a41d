"""Exact search over the vectors of a store: one float32 matrix in memory, refreshed when the file changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.store.schema import fetch

Generation = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Matrix:
    generation: Generation
    rows: NDArray[np.int64]
    values: NDArray[np.float32]


class VectorScan:
    """Dot products of a query with every stored vector of its dimension. Rows are chunk row ids."""

    def __init__(self) -> None:
        self._matrix: _Matrix | None = None

    def best(
        self,
        connection: apsw.Connection,
        generation: Generation,
        vector: NDArray[Any],
        k: int,
        allowed: frozenset[int] | None,
    ) -> list[tuple[int, float]]:
        """``(row, similarity)`` of the ``k`` nearest, best first; equal similarities by row, so runs repeat."""
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(-1)
        matrix = self._current(connection, generation, query.shape[0])
        rows, values = matrix.rows, matrix.values
        if allowed is not None:
            keep = np.isin(rows, np.fromiter(allowed, dtype=np.int64, count=len(allowed)))
            rows, values = rows[keep], values[keep]
        if not len(rows):
            return []
        scores = values @ query
        k = min(k, len(rows))
        top = np.argpartition(-scores, k - 1)[:k]
        order = np.lexsort((rows[top], -scores[top]))
        return [(int(rows[i]), float(scores[i])) for i in top[order]]

    def _current(self, connection: apsw.Connection, generation: Generation, dimension: int) -> _Matrix:
        held = self._matrix
        if held is not None and held.generation == generation and held.values.shape[1] == dimension:
            return held
        query = "SELECT chunk, vector FROM vectors WHERE length(vector) = ? ORDER BY chunk"
        pairs = fetch(connection, query, (dimension * 4,))
        rows = np.array([pair[0] for pair in pairs], dtype=np.int64)
        values = np.frombuffer(b"".join(pair[1] for pair in pairs), dtype="<f4").reshape(len(pairs), dimension)
        self._matrix = _Matrix(generation, rows, values)
        return self._matrix


def to_blob(vector: NDArray[Any]) -> bytes:
    """Little-endian float32 bytes of one vector."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()
