"""``jsonfile:folder``: a store that is one JSON file, read anew for every search. For a few hundred documents, and to show
what a store has to do: five methods; the rest comes with ``OuterStore``.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.store.outer import Found, Held, OuterStore, Outgoing, Place, check_vectors
from groundtune.store.payload import Needs, access_fields, facets
from groundtune.types import Chunk

_WRITING = threading.Lock()


class JsonFile(OuterStore):
    """Documents by id: version, stamp, metadata for filters, and chunks with their words and vectors."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def apply(self, entries: Sequence[Outgoing], deleted: Sequence[str] = ()) -> int:
        """Everything or nothing: a new file takes the place of the old one."""
        check_vectors(entries)
        with _WRITING:
            held = self._read()
            gone = [held.pop(document_id, None) for document_id in dict.fromkeys(deleted)]
            held |= {entry.document.id: _row(entry) for entry in entries}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(held, file, ensure_ascii=False)
            os.replace(name, self._path)
        return sum(one is not None for one in gone)

    def listing(self) -> Iterable[Held]:
        """What the file says."""
        for document_id, row in self._read().items():
            chunks = row["chunks"]
            vectors = sum(chunk["vector"] is not None for chunk in chunks)
            yield Held(document_id, row["version"], row["stamp"], len(chunks), vectors)

    def lexical(self, terms: Mapping[str, float], count: int, wanted: Needs) -> list[Found]:
        """Sum of the inverse document frequencies of the words that a chunk holds."""
        rows = [(row, one) for row in self._read().values() for one in row["chunks"]]
        seen = {term: sum(term in one["words"] for _, one in rows) for term in terms}
        worth = {t: weight * math.log(1 + len(rows) / seen[t]) for t, weight in terms.items() if seen[t]}
        found = [
            Found(Chunk(**one["chunk"]), sum(worth[term] for term in worth if term in one["words"]))
            for row, one in rows
            if any(term in one["words"] for term in worth) and _passes(row, one, wanted)
        ]
        return sorted(found, key=lambda one: (-one.score, one.chunk.id))[:count]

    def dense(self, vector: NDArray[Any], count: int, wanted: Needs) -> list[Found]:
        """Exact cosines: all vectors have length 1."""
        found = [
            Found(Chunk(**one["chunk"]), float(np.dot(one["vector"], vector)))
            for row in self._read().values()
            for one in row["chunks"]
            if one["vector"] is not None and len(one["vector"]) == len(vector) and _passes(row, one, wanted)
        ]
        return sorted(found, key=lambda one: (-one.score, one.chunk.id))[:count]

    def close(self) -> None:
        """Nothing is kept open."""

    def _read(self) -> dict[str, Any]:
        try:
            held: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return held


def _row(entry: Outgoing) -> dict[str, Any]:
    rows = [None] * len(entry.chunks) if entry.vectors is None else np.asarray(entry.vectors).tolist()
    chunks = [
        {"chunk": asdict(chunk), "words": f"{label} {body}".split(), "vector": vector}
        for chunk, (label, body), vector in zip(entry.chunks, entry.search_terms(), rows, strict=True)
    ]
    metadata = entry.document.metadata
    return {
        "version": entry.document.version,
        "stamp": entry.stamp,
        "facets": facets(metadata),
        "access": access_fields(metadata),
        "chunks": chunks,
    }


def _passes(row: Mapping[str, Any], one: Mapping[str, Any], wanted: Needs) -> bool:
    access = [tuple(field) for field in row["access"]]
    return not wanted.asked or wanted.passes(one["chunk"]["document_id"], row["facets"], access)


def open_store(place: str) -> JsonFile:
    """The factory: ``folder#name``."""
    found = Place.read(place)
    return JsonFile(Path(found.address or ".") / f"{found.name}.json")
