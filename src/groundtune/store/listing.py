"""What the store holds of each document, in one line."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from groundtune.store.schema import fetch
from groundtune.store.spaces import Space


@dataclass(frozen=True, slots=True)
class Listed:
    """A current document: since when (Unix seconds) in this version, and how many of its chunks lack a vector."""

    id: str
    version: str
    chunks: int
    since: float
    lacking: int


def listed(connection: apsw.Connection, space: Space | None, vectors: bool) -> list[Listed]:
    """All current documents by id. Without ``vectors`` nothing is lacking; without ``space`` every vector is."""
    lacking: dict[str, int] = {}
    if vectors:
        query = (
            "SELECT document_id, count(*) FROM chunks AS c WHERE NOT EXISTS"
            " (SELECT 1 FROM vectors AS v WHERE v.key = (? << 40 | c.rowid)) GROUP BY document_id"
        )
        lacking = dict(fetch(connection, query, (space.id if space else 0,)))
    rows = fetch(
        connection,
        "SELECT d.id, d.version, d.chunk_count, max(v.since) FROM documents AS d"
        " LEFT JOIN versions AS v ON v.document_id = d.id AND v.until IS NULL GROUP BY d.id ORDER BY d.id",
    )
    return [
        Listed(str(id), str(version), int(chunks), float(since or 0), int(lacking.get(id, 0)))
        for id, version, chunks, since in rows
    ]
