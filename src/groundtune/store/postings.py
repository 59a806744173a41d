"""The word index: which chunks hold which term how often, in segments that are written once and merged later.

A segment covers the chunks of one write. ``segments.rows`` lists their row ids; a posting names a chunk by its place in
that list. ``postings`` has one row per segment and term: ``place << 8 | count`` for each chunk, as little-endian uint32.
Counts are in half occurrences (a term in the label is worth half of one in the body), at most 255. A chunk that is
deleted stays in its segment and is listed in ``graves`` until the segment is merged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.store.schema import fetch
from groundtune.text.inverted import Packed, join, reduce

# A write leaves one more segment and each search looks into all of them: this many of about one size become one.
FAN = 8
# A segment of this many chunks is merged no more: it would take seconds and hundreds of megabytes.
SETTLED = 32_768
LOOK_EVERY = 10_000
# Graves that are kept for copies in memory (of this and other processes) that follow the index.
GRAVES_KEPT = 50_000


def write(connection: apsw.Connection, rows: NDArray[np.int64], packed: Packed) -> int:
    """Add a segment; returns its id."""
    values = (len(rows), rows.astype("<u4").tobytes(), packed.lengths.astype("<u4").tobytes())
    connection.execute("INSERT INTO segments (chunks, rows, lengths) VALUES (?, ?, ?)", values)
    segment = int(connection.last_insert_rowid())
    view = memoryview(packed.values.tobytes())
    bounds = (packed.bounds * 4).tolist()
    connection.executemany(
        "INSERT INTO postings VALUES (?, ?, ?)",
        (
            (segment, term, view[start:end])
            for term, start, end in zip(packed.terms, bounds[:-1], bounds[1:], strict=True)
            if end > start
        ),
    )
    return segment


class Segments:
    """The word index of one transaction. What its batches bring is written as one segment when they have ended (or when
    it is large enough never to be merged): several would repeat most terms and be merged soon.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._rows: list[NDArray[np.int64]] = []
        self._packed: list[Packed] = []
        self._chunks = 0

    def add(self, first: int, packed: Packed) -> None:
        """The lists of chunks whose rows are consecutive from ``first``."""
        count = len(packed.lengths)
        if self._chunks and self._chunks + count > SETTLED:
            self._write()
        self._rows.append(np.arange(first, first + count, dtype=np.int64))
        self._packed.append(packed)
        self._chunks += count

    def close(self) -> None:
        """Write what is left, then merge segments as long as there are too many small or half-empty ones."""
        self._write()
        while segments := due(self._connection):
            merge(self._connection, segments)

    def _write(self) -> None:
        if self._chunks:
            write(self._connection, np.concatenate(self._rows), join(self._packed))
        self._rows, self._packed, self._chunks = [], [], 0


def bury(connection: apsw.Connection, rows: Iterable[int]) -> None:
    """Record that chunks are gone."""
    connection.executemany("INSERT INTO graves (chunk) VALUES (?)", ((row,) for row in rows))


def due(connection: apsw.Connection) -> list[int]:
    """Segments that are to be merged now: the ``FAN`` or more smallest of one size class, smallest class first; else one
    of which more than half is gone.
    """
    classes: dict[int, list[int]] = defaultdict(list)
    for segment, chunks in fetch(connection, "SELECT id, chunks FROM segments ORDER BY id"):
        if chunks >= SETTLED:
            continue
        size = 0
        while chunks >= FAN ** (size + 1):
            size += 1
        classes[size].append(int(segment))
    small = next((classes[size] for size in sorted(classes) if len(classes[size]) >= FAN), [])
    return small or _mostly_gone(connection)


def _mostly_gone(connection: apsw.Connection) -> list[int]:
    """Looked for once per ``LOOK_EVERY`` chunks that went."""
    seen = fetch(connection, "SELECT value FROM meta WHERE key = 'graves_seen'")
    last = last_grave(connection)
    if last - int(seen[0][0] if seen else 0) < LOOK_EVERY:
        return []
    dead = np.array([row[0] for row in fetch(connection, "SELECT chunk FROM graves")], dtype=np.int64)
    for segment, rows in fetch(connection, "SELECT id, rows FROM segments"):
        held = np.frombuffer(rows, "<u4")
        if np.isin(held, dead).mean() > 0.5:
            return [int(segment)]
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('graves_seen', ?)", (str(last),))
    return []


def merge(connection: apsw.Connection, segments: Sequence[int]) -> None:
    """Make one segment of several (or a clean one of one), without the chunks that are gone."""
    marks = ",".join("?" * len(segments))
    parts = fetch(connection, f"SELECT id, rows, lengths FROM segments WHERE id IN ({marks}) ORDER BY id", segments)
    rows = np.concatenate([np.frombuffer(part[1], "<u4") for part in parts]).astype(np.int64)
    lengths = np.concatenate([np.frombuffer(part[2], "<u4") for part in parts])
    dead = np.array([row[0] for row in fetch(connection, "SELECT chunk FROM graves")], dtype=np.int64)
    alive = ~np.isin(rows, dead)
    # by row id, so that a merged segment reads like one that was written at once
    order = np.flatnonzero(alive)[np.argsort(rows[alive], kind="stable")]
    place = np.full(len(rows), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    merged = _merged(connection, [int(part[0]) for part in parts], [len(part[1]) // 4 for part in parts], place)
    connection.execute(f"DELETE FROM postings WHERE segment IN ({marks})", tuple(segments))
    connection.execute(f"DELETE FROM segments WHERE id IN ({marks})", tuple(segments))
    if len(order):
        terms, pairs, counts = merged
        packed = reduce(pairs, counts, terms, lengths[order].astype(np.uint32))
        write(connection, rows[order], packed)
    if len(dead) > 2 * GRAVES_KEPT:
        _forget_graves(connection)


def _forget_graves(connection: apsw.Connection) -> None:
    """Drop old graves that no segment holds any more. Copies in memory that have not seen them start anew."""
    held = [np.frombuffer(row[0], "<u4") for row in fetch(connection, "SELECT rows FROM segments")]
    graves = fetch(connection, "SELECT seq, chunk FROM graves ORDER BY seq")[:-GRAVES_KEPT]
    chunks = np.array([row[1] for row in graves], dtype=np.int64)
    needed = np.isin(chunks, np.concatenate(held)) if held else np.zeros(len(chunks), dtype=np.bool_)
    connection.executemany(
        "DELETE FROM graves WHERE seq = ?",
        ((row[0],) for row, keep in zip(graves, needed.tolist(), strict=True) if not keep),
    )
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('graves_from', ?)", (str(graves[-1][0]),))


def _merged(
    connection: apsw.Connection, segments: Sequence[int], sizes: Sequence[int], place: NDArray[np.int64]
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Sorted terms, sorted ``term * chunks + place`` and the counts of all living postings of some segments."""
    names: list[str] = []
    blobs: list[bytes] = []
    offsets: list[int] = []
    start = 0
    for segment, size in zip(segments, sizes, strict=True):
        found = fetch(connection, "SELECT term, packed FROM postings WHERE segment = ?", (segment,))
        names.extend(row[0] for row in found)
        blobs.extend(row[1] for row in found)
        offsets.extend([start] * len(found))
        start += size
    terms = sorted(set(names))
    rank = {term: number for number, term in enumerate(terms)}
    spread = np.fromiter((len(blob) // 4 for blob in blobs), dtype=np.int64, count=len(blobs))
    values = np.frombuffer(b"".join(blobs), "<u4").astype(np.int64)
    where = place[(values >> 8) + np.repeat(np.array(offsets, dtype=np.int64), spread)]
    code = np.repeat(np.fromiter(map(rank.__getitem__, names), dtype=np.int64, count=len(names)), spread)
    kept = where >= 0
    pairs = code[kept] * max(1, int(place.max(initial=-1)) + 1) + where[kept]
    order = np.argsort(pairs, kind="stable")
    return terms, pairs[order], (values[kept] & 255)[order]


def new_graves(connection: apsw.Connection, seen: int) -> tuple[int, NDArray[np.int64]] | None:
    """The last grave's number and the chunks buried after number ``seen``; None when some of them were forgotten."""
    kept = fetch(connection, "SELECT value FROM meta WHERE key = 'graves_from'")
    if kept and seen < int(kept[0][0]):
        return None
    buried = fetch(connection, "SELECT seq, chunk FROM graves WHERE seq > ? ORDER BY seq", (seen,))
    last = int(buried[-1][0]) if buried else seen
    return last, np.array([row[1] for row in buried], dtype=np.int64)


def last_grave(connection: apsw.Connection) -> int:
    """Number of the newest grave there ever was, 0 when there was none."""
    held = fetch(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'graves'")
    return int(held[0][0]) if held else 0
