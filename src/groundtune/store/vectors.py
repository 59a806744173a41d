"""Nearest vectors: an exact scan of a small store; codes of one bit per dimension, then of eight, for a large one.

The table ``vectors`` is the source of truth, one float32 row per embedder (its *space*) and chunk. The copy in memory
follows it by what was added and what was buried. Sign codes after a fixed rotation: Charikar (2002), "Similarity
Estimation Techniques from Rounding Algorithms"; the rotation spreads sparse vectors over all bits.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.store.live import Generation, grown
from groundtune.store.postings import last_grave, new_graves
from groundtune.store.schema import fetch

SHIFT = 40
# Up to this many vectors a full scan takes less than a millisecond and needs no second look.
EXACT = 8_192
# Of a larger store, this many are compared again by their eight-bit codes: more of them the more vectors there are and the
# fewer bits tell them apart. With 96 numbers of 100,000 vectors that finds 95 of 100 nearest (88 with the least).
SECOND_LOOK, MOST_LOOKED_AT = 3_000, 20_000
_BLOCK = 256
_READ = 20_000


def key(space: int, chunk: int) -> int:
    """Primary key of a vector: those of one space lie together, in the order of the chunks."""
    return space << SHIFT | chunk


class VectorScan:
    """Dot products of a query with the vectors of one space. Rows are chunk row ids."""

    def __init__(self, exact: int = EXACT) -> None:
        self._exact = exact
        self._generation: Generation | None = None
        self._reset(0, 0)

    def _reset(self, space: int, dimension: int) -> None:
        self._space, self._dimension = space, dimension
        self._rows: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._alive: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._values: NDArray[np.float32] | None = np.zeros((0, dimension), dtype=np.float32)
        self._codes: NDArray[np.int8] = np.zeros((0, dimension), dtype=np.int8)
        self._scales: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        self._bits: NDArray[np.uint64] = np.zeros((0, -(-dimension // 64)), dtype=np.uint64)
        self._used = self._dead = self._grave = 0

    def best(
        self,
        connection: apsw.Connection,
        generation: Generation,
        space: int,
        vector: NDArray[Any],
        k: int,
        allowed: frozenset[int] | None,
    ) -> list[tuple[int, float]]:
        """``(row, similarity)`` of the ``k`` nearest, best first; equal similarities by row, so runs repeat."""
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(-1)
        self._follow(connection, generation, space, query.shape[0])
        keep = np.ones(self._used, dtype=np.bool_) if self._dead == 0 else self._alive[: self._used].copy()
        if allowed is not None:
            keep &= np.isin(self._rows[: self._used], np.fromiter(allowed, dtype=np.int64, count=len(allowed)))
        places, scores = self._scan(query, k, keep)
        k = min(k, len(places))
        if not k:
            return []
        top = np.argpartition(-scores, k - 1)[:k]
        rows = self._rows[places[top]]
        order = np.lexsort((rows, -scores[top]))
        return [(int(rows[i]), float(scores[top[i]])) for i in order]

    def _scan(
        self, query: NDArray[np.float32], k: int, keep: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Places worth keeping and their similarities."""
        places = np.flatnonzero(keep)
        if self._values is not None:
            scores = self._values[: self._used] @ query
            return (places, scores) if len(places) == self._used else (places, scores[places])
        look = max(min(max(SECOND_LOOK, 8 * self._used // self._dimension), MOST_LOOKED_AT), 20 * k)
        if len(places) > look:
            places = self._nearest_codes(query, look, keep)
        scores = (self._codes[places].astype(np.float32) @ query) * self._scales[places]
        return places, scores

    def _nearest_codes(self, query: NDArray[np.float32], count: int, keep: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The ``count`` (or a few more) places whose sign codes differ least from the query's."""
        wanted = _sign_codes(query[None, :])[0]
        distance = np.zeros(self._used, dtype=np.uint16)
        for word, value in enumerate(wanted):
            distance += np.bitwise_count(self._bits[word, : self._used] ^ value)
        distance[~keep] = np.uint16(0xFFFF)
        histogram = np.bincount(distance[keep], minlength=1)
        bound = int(np.searchsorted(np.cumsum(histogram), count))
        return np.flatnonzero(distance <= bound)

    # -- following the table ---------------------------------------------------------------------------------------

    def _follow(self, connection: apsw.Connection, generation: Generation, space: int, dimension: int) -> None:
        if (self._space, self._dimension) != (space, dimension):
            self._reset(space, dimension)
            self._generation = None
        if self._generation == generation:
            return
        self._generation = None
        if self._dead > max(1024, self._used // 2):
            self._reset(space, dimension)
            self._grave = last_grave(connection)
        news = new_graves(connection, self._grave)
        if news is None:
            self._reset(space, dimension)
            news = last_grave(connection), np.zeros(0, dtype=np.int64)
        self._add_new(connection)
        self._grave, buried = news
        self._bury(buried)
        self._generation = generation

    def _add_new(self, connection: apsw.Connection) -> None:
        query = "SELECT key, vector FROM vectors WHERE key > ? AND key < ? ORDER BY key LIMIT ?"
        last = int(self._rows[self._used - 1]) if self._used else 0
        while True:
            bounds = (key(self._space, last), key(self._space + 1, 0), _READ)
            pairs = fetch(connection, query, bounds)
            if not pairs:
                return
            last = int(pairs[-1][0]) & ((1 << SHIFT) - 1)
            size = self._dimension * 4
            good = [pair for pair in pairs if len(pair[1]) == size]
            rows = np.array([pair[0] for pair in good], dtype=np.int64) & ((1 << SHIFT) - 1)
            values = np.frombuffer(b"".join(pair[1] for pair in good), dtype="<f4")
            self._append(rows, values.reshape(len(good), self._dimension))

    def _append(self, rows: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        start, end = self._used, self._used + len(rows)
        self._rows, self._alive = grown(self._rows, end), grown(self._alive, end)
        self._rows[start:end], self._alive[start:end] = rows, True
        self._used = end
        if self._values is not None:
            self._values = grown(self._values, end)
            self._values[start:end] = values
            if end > self._exact:
                held, self._values = self._values[:end], None
                self._encode(0, held)
            return
        self._encode(start, values)

    def _encode(self, start: int, values: NDArray[np.float32]) -> None:
        end = start + len(values)
        self._codes, self._scales = grown(self._codes, end), grown(self._scales, end)
        words = -(-self._dimension // 64)
        if self._bits.shape[0] != words or self._bits.shape[1] < end:
            bigger = np.zeros((words, len(self._codes)), dtype=np.uint64)
            if start:
                bigger[:, :start] = self._bits[:, :start]
            self._bits = bigger
        for first in range(0, len(values), _READ):
            part = values[first : first + _READ]
            place = slice(start + first, start + first + len(part))
            scale = np.abs(part).max(axis=1) / 127
            self._scales[place] = scale
            self._codes[place] = np.rint(part / np.where(scale == 0, 1, scale)[:, None]).astype(np.int8)
            self._bits[:, place] = _sign_codes(part).T

    def _bury(self, chunks: NDArray[np.int64]) -> None:
        """Rows ascend, so each is found by bisection."""
        rows = self._rows[: self._used]
        place = np.searchsorted(rows, chunks)
        inside = place < self._used
        place = place[inside][rows[place[inside]] == chunks[inside]]
        place = np.unique(place[self._alive[place]])
        self._alive[place] = False
        self._dead += len(place)


def _sign_codes(values: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Signs after the rotation, packed: (n, dimension) to (n, words)."""
    dimension = values.shape[1]
    order, blocks = _rotation(dimension)
    turned = np.empty((len(values), -(-dimension // 64) * 64), dtype=np.float32)
    turned[:, dimension:] = 0
    shuffled = values[:, order]
    start = 0
    for block in blocks:
        end = start + len(block)
        turned[:, start:end] = shuffled[:, start:end] @ block
        start = end
    return np.packbits(turned > 0, axis=1).view(np.uint64)


@cache
def _rotation(dimension: int) -> tuple[NDArray[np.int64], list[NDArray[np.float32]]]:
    """A fixed random order of the dimensions and orthonormal blocks: one block of 1,536 would take seconds to make."""
    random = np.random.default_rng(20261127)
    order = random.permutation(dimension)
    sizes = [min(_BLOCK, dimension - start) for start in range(0, dimension, _BLOCK)]
    return order, [np.linalg.qr(random.standard_normal((size, size)))[0].astype(np.float32) for size in sizes]


def to_blob(vector: NDArray[Any]) -> bytes:
    """Little-endian float32 bytes of one vector."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()
