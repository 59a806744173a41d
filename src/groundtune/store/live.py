"""What a search keeps in memory about the word index: one slot per chunk, brought up to date by what changed.

Nothing here outlives the store object; everything comes from the tables ``segments`` and ``graves``.
"""

from __future__ import annotations

from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.store.postings import last_grave, new_graves
from groundtune.store.schema import fetch

Generation = tuple[int, int]


class Slots:
    """``rows``, ``lengths`` (terms) and ``alive`` per slot, the first ``used`` entries of each. The chunks of one segment
    have neighbouring slots; ``offsets`` says where each segment starts.
    """

    def __init__(self) -> None:
        self.generation: Generation | None = None
        self.forget()

    def forget(self) -> None:
        """Start from nothing; the next ``follow`` reads everything."""
        self.rows: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.lengths: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        self.alive: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self.offsets: dict[int, int] = {}
        self.used = 0
        self.chunks = 0
        self.total = 0.0
        self._sizes: dict[int, int] = {}
        self._grave = 0

    @property
    def mean_length(self) -> float:
        return self.total / self.chunks if self.chunks else 0.0

    def follow(self, connection: apsw.Connection, generation: Generation) -> None:
        """Bring the slots up to what this snapshot holds."""
        if self.generation == generation:
            return
        self.generation = None
        current = {int(row[0]) for row in fetch(connection, "SELECT id FROM segments")}
        gone = [segment for segment in self.offsets if segment not in current]
        if sum(self._sizes[segment] for segment in gone) > self.used // 2:
            self.forget()
            gone = []
        for segment in gone:
            self._close(self.offsets.pop(segment), self._sizes.pop(segment))
        for segment in sorted(current - self.offsets.keys()):
            self._open(connection, segment)
        news = new_graves(connection, self._grave)
        if news is None:  # older than what is kept: read everything again
            self.forget()
            self._grave = last_grave(connection)
            self.follow(connection, generation)
            return
        self._grave, buried = news
        self._bury(buried)
        self.generation = generation

    def _open(self, connection: apsw.Connection, segment: int) -> None:
        rows, lengths = fetch(connection, "SELECT rows, lengths FROM segments WHERE id = ?", (segment,))[0]
        new = np.frombuffer(rows, "<u4")
        end = self.used + len(new)
        self.rows = grown(self.rows, end)
        self.lengths = grown(self.lengths, end)
        self.alive = grown(self.alive, end)
        part = slice(self.used, end)
        self.rows[part] = new
        self.lengths[part] = np.frombuffer(lengths, "<u4")
        self.alive[part] = True
        self.offsets[segment], self._sizes[segment] = self.used, len(new)
        self.used = end
        self._count(part, 1)
        older = fetch(connection, "SELECT chunk FROM graves WHERE seq <= ?", (self._grave,)) if self._grave else []
        if older:  # a merge may have begun before the grave was dug
            part_rows = self.rows[part]
            dead = np.isin(part_rows, np.array([row[0] for row in older], dtype=np.int64))
            self._kill(np.flatnonzero(dead) + part.start)

    def _close(self, offset: int, size: int) -> None:
        self._kill(np.flatnonzero(self.alive[offset : offset + size]) + offset)

    def _bury(self, chunks: NDArray[np.int64]) -> None:
        if len(chunks):
            self._kill(np.flatnonzero(np.isin(self.rows[: self.used], chunks) & self.alive[: self.used]))

    def _kill(self, slots: NDArray[np.int64]) -> None:
        self.chunks -= len(slots)
        self.total -= float(self.lengths[slots].sum(dtype=np.float64))
        self.alive[slots] = False

    def _count(self, part: slice, sign: int) -> None:
        self.chunks += sign * (part.stop - part.start)
        self.total += sign * float(self.lengths[part].sum(dtype=np.float64))


def grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """The array, or a copy with room for ``size`` entries (doubled, so that adding one by one stays cheap)."""
    if size <= len(array):
        return array
    bigger = np.zeros((max(size, 2 * len(array), 64), *array.shape[1:]), dtype=array.dtype)
    bigger[: len(array)] = array
    return bigger


def best(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Places of the ``k`` largest positive scores and of those equal to the last, in no order.

    Maxima of blocks give a bound that ``k`` scores reach; comparing with it is several times faster than partitioning.
    """
    block = 256
    whole = len(scores) // block
    if whole >= 2 * k:
        maxima = scores[: whole * block].reshape(whole, block).max(axis=1)
        bound = max(float(np.partition(maxima, whole - k)[whole - k]), 1e-30)
        found = np.flatnonzero(scores >= bound)
    else:
        found = np.flatnonzero(scores > 0)
    if len(found) <= k:
        return found
    kept = scores[found]
    return np.asarray(found[kept >= np.partition(kept, len(kept) - k)[len(kept) - k]])
