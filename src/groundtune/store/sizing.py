"""How much disk, memory and processor time so many chunks need: a calculation from what was measured per chunk.

Measured on 27 November 2026 (``benchmarks/stores.py``, ``benchmarks/ray_scaling.py``; one hyper-thread, other jobs beside,
three languages, 816 bytes of text a chunk, vectors of 96 numbers). Everything beyond 100,000 chunks is extrapolated in
proportion. See ``docs/how-to/sizing.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sqlite", "pgvector"]
MEASURED_TEXT = 816  # bytes of UTF-8 in a chunk
PREPARED = 2_170.0  # chunks per core-second: read, cut, count terms, embed with builtin:embed
# Chunks per core-second that the one writer stores: documents of one chunk, which is the slowest case; pgvector with its
# HNSW index kept up to date.
WRITTEN: dict[Kind, float] = {"sqlite": 1_347.0, "pgvector": 216.0}
_TEXT_AND_WORDS: dict[Kind, int] = {"sqlite": 4_666, "pgvector": 4_323}  # bytes of disk a chunk without its vector
_GRAPH = 310  # bytes that the HNSW index adds to the vector it holds a copy of
_WORDS_IN_MEMORY = 823  # bytes a chunk of the index of words that a server should keep in memory
_OWN_MEMORY = 13  # bytes a vector beside its codes in the embedded store


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of disk for the knowledge base's folder (the record) and for the server, bytes of memory that searches want,
    core-hours to prepare and to write everything once, and servers of ``shard_memory`` bytes (0: no server).
    """

    chunks: int
    record_disk: int
    server_disk: int
    memory: int
    prepare_hours: float
    write_hours: float
    shards: int


def size(
    chunks: int, *, store: Kind, dimension: int, text: int = MEASURED_TEXT, shard_memory: int = 64 * 1024**3
) -> Size:
    """What ``chunks`` chunks of ``text`` bytes with vectors of ``dimension`` numbers (0: search by words alone) need.

    Text and index of words grow with ``text``. The embedded store keeps ``1.125 * dimension + 13`` bytes a vector in
    memory; pgvector should have its HNSW index (``4 * dimension + 310``) and its words in memory. Raises ``ValueError``
    for negative numbers.
    """
    if min(chunks, dimension, text) < 0 or shard_memory <= 0:
        raise ValueError("chunks, dimension and text must not be negative, shard_memory must be positive")
    share = text / MEASURED_TEXT
    vector = 4 * dimension
    record = _TEXT_AND_WORDS["sqlite"] * share + vector
    prepare, write = (chunks * share / rate / 3600 for rate in (PREPARED, WRITTEN[store]))
    if store == "sqlite":
        memory = 1.125 * dimension + _OWN_MEMORY if dimension else 0.0
        return Size(chunks, round(chunks * record), 0, round(chunks * memory), prepare, write, 0)
    graph = vector + _GRAPH if dimension else 0
    server = _TEXT_AND_WORDS["pgvector"] * share + vector + graph
    memory = _WORDS_IN_MEMORY * share + graph
    shards = max(1, math.ceil(chunks * memory / shard_memory))
    return Size(chunks, round(chunks * record), round(chunks * server), round(chunks * memory), prepare, write, shards)
