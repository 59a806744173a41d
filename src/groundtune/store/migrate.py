"""Moving a knowledge base from one store to another: everything is sent from the record, compared, tried out, and only then
does the knowledge base use the new store.

What the new store holds already is not sent again, so a move that was cut off goes on where it stopped.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from groundtune.errors import StoreError
from groundtune.store.binding import is_embedded, located, open_outer, shown
from groundtune.store.mirrored import MirroredStore, Told
from groundtune.store.schema import fetch
from groundtune.store.sqlite import BOUND, SqliteStore
from groundtune.store.vectors import SHIFT

EMBEDDED = "sqlite"
SAMPLES = 50
# Of the sampled chunks that the record finds, this share must be found in the new store too: an index over neighbours may
# miss one, a store that was filled wrongly misses many.
ENOUGH = 0.9
_K = 10
_CHARACTERS = 80
_LOOP = 5
_TABLES = ("documents", "chunks", "vectors")


@dataclass(frozen=True, slots=True)
class Migration:
    """What a move did. ``sent`` documents were written, the others were there. Of ``samples`` searches the record answered
    ``expected`` with the chunk that was asked for, and the new store ``found`` of those.
    """

    place: str
    documents: int
    chunks: int
    vectors: int
    sent: int
    samples: int
    expected: int
    found: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Sample:
    """A chunk and what it is searched by."""

    chunk: str
    text: str
    vector: np.ndarray | None
    space: str


def migrate(folder: str | Path, spec: str, told: Told | None = None) -> Migration:
    """Move the knowledge base in ``folder`` to the store that ``spec`` names (``sqlite``: back into its folder).

    ``told(done, total, place)`` hears how far. Raises ``StoreError`` when the new store cannot be reached, holds another
    knowledge base, or does not find what it should; the knowledge base goes on using the old one then.
    """
    started = time.perf_counter()
    record = SqliteStore(folder)
    try:
        if is_embedded(spec):
            if not record.inspect().sound:
                raise StoreError("store.record_unsound")
            record.set_meta(BOUND, "")
            total = _counted(record)
            return Migration(EMBEDDED, *total, 0, 0, 0, 0, time.perf_counter() - started)
        samples = _samples(record)
        expected = [one for one in samples if _is_found(record, one)]
        place = shown(located(spec, Path(folder)))
        moved = MirroredStore(folder, open_outer(spec, Path(folder)), place, told, trial=True)
        try:
            sent = _fill(moved)
            found = sum(_is_found(moved, one) for one in expected)
            if found < ENOUGH * len(expected):
                raise StoreError("store.not_found_there", place=place, found=found, expected=len(expected))
            moved.bind()
            counted = _counted(record)
            vectors = sum(held.vectors for held in moved.outer.listing())
        finally:
            moved.close()
        took = time.perf_counter() - started
        return Migration(place, *counted[:2], vectors, sent, len(samples), len(expected), found, took)
    finally:
        record.close()


def _fill(moved: MirroredStore) -> int:
    """Send what differs until nothing does; others may go on writing to the record meanwhile."""
    sent = 0
    for _ in range(_LOOP):
        differing = moved.drift()
        if not differing:
            return sent
        sent += moved.send_these(differing)
    if moved.drift():
        raise StoreError("store.differs", place=moved.place)
    return sent


def _counted(record: SqliteStore) -> tuple[int, int, int]:
    """Documents, chunks and vectors of the record."""
    with record._read() as connection:
        counts = [fetch(connection, f"SELECT count(*) FROM {table}")[0][0] for table in _TABLES]
    return int(counts[0]), int(counts[1]), int(counts[2])


def _samples(record: SqliteStore) -> list[_Sample]:
    """Chunks from all over, each to be searched by how it begins and by its own vector."""
    whole = [space for space in record.spaces() if space.whole]
    space = whole[-1] if whole else None
    with record._read() as connection:
        rows = [row[0] for row in fetch(connection, "SELECT rowid FROM chunks ORDER BY rowid")]
        chosen = sorted(random.Random(0).sample(rows, min(SAMPLES, len(rows))))
        query = f"SELECT c.id, c.text, v.vector FROM chunks AS c LEFT JOIN vectors AS v ON v.key = (? << {SHIFT} | c.rowid) WHERE c.rowid = ?"
        found = [fetch(connection, query, (space.id if space else 0, row))[0] for row in chosen]
    name = space.name if space else ""
    return [
        _Sample(id, text[:_CHARACTERS], None if held is None else np.frombuffer(held, "<f4"), name)
        for id, text, held in found
    ]


def _is_found(store: SqliteStore, sample: _Sample) -> bool:
    hits = store.search(sample.text, sample.vector, _K, space=sample.space)
    return sample.chunk in {hit.chunk.id for hit in hits}
