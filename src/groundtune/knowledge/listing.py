"""The state of each document: is what the knowledge base holds what its file says, and can it be found?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from groundtune.errors import DataError
from groundtune.knowledge.backing import Backing
from groundtune.knowledge.read import file_digest, find_sources, read_bytes
from groundtune.knowledge.source import Source
from groundtune.knowledge.sync import root_key

# ready: searched as it stands; no_vectors: found by words only; changed, gone, new: the file differs, ingest it.
State = Literal["ready", "no_vectors", "changed", "gone", "new"]


@dataclass(frozen=True, slots=True)
class DocumentState:
    """One document. ``since`` is the ISO time (UTC) from which on this version is current; a new one has none."""

    id: str
    version: str
    chunks: int
    since: str
    state: State


def document_states(store: Backing, space: str, folder: Path, roots: Sequence[Path]) -> tuple[DocumentState, ...]:
    """Every document, and files below ``roots`` that are not in yet, by id. Reads the files, changes nothing."""
    differs, new = _against_files(store, folder, roots)
    found: list[DocumentState] = []
    for row in store.listing(space):
        state: State = differs.get(row.id, "no_vectors" if row.lacking else "ready")
        since = datetime.fromtimestamp(row.since, UTC).isoformat(timespec="seconds")
        found.append(DocumentState(row.id, row.version, row.chunks, since, state))
    found += [DocumentState(document_id, "", 0, "", "new") for document_id in new]
    return tuple(sorted(found, key=lambda one: one.id))


def _against_files(store: Backing, folder: Path, roots: Sequence[Path]) -> tuple[dict[str, State], list[str]]:
    differs: dict[str, State] = {}
    new: list[str] = []
    current = store.digests()
    for root in roots:
        held = store.sources(root_key(root, folder))
        try:
            sources = find_sources([root])
        except DataError:  # the folder is gone or empty
            differs.update(dict.fromkeys(held, "gone"))
            continue
        for source in sources:
            if source.id not in current:
                new.append(source.id)
            elif source.id in held and not _same(source, held[source.id]):
                differs[source.id] = "changed"
        differs.update(dict.fromkeys(held.keys() - {source.id for source in sources}, "gone"))
    return differs, new


def _same(source: Source, digest: str) -> bool:
    try:
        return file_digest(read_bytes(source)) == digest
    except DataError:
        return False
