"""``fake:``: an outer store in the memory of this process, for tests and as the shortest example of one. Stores that are
opened under the same name share their documents.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import StoreError
from groundtune.store.outer import Found, Held, OuterStore, Outgoing, Place, check_vectors
from groundtune.store.payload import Needs, access_fields, facets
from groundtune.store.rows import Terms


@dataclass
class Shelf:
    """What all stores of one name hold. ``down`` is how many calls from now on fail, as if the server were away;
    ``applied`` counts documents that were written.
    """

    entries: dict[str, tuple[Outgoing, list[Terms]]] = field(default_factory=dict)
    down: int = 0
    applied: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)


SHELVES: dict[str, Shelf] = {}


class FakeStore(OuterStore):
    """Looks at every chunk in turn."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.shelf = SHELVES.setdefault(name, Shelf())

    def apply(self, entries: Sequence[Outgoing], deleted: Sequence[str] = ()) -> int:
        """Replace and remove."""
        self._reach()
        check_vectors(entries)
        with self.shelf.lock:
            gone = [self.shelf.entries.pop(document_id, None) for document_id in dict.fromkeys(deleted)]
            for entry in entries:
                access_fields(entry.document.metadata)
                self.shelf.entries[entry.document.id] = (entry, entry.search_terms())
                self.shelf.applied += 1
        return sum(one is not None for one in gone)

    def listing(self) -> Iterable[Held]:
        """Everything that is held."""
        self._reach()
        with self.shelf.lock:
            kept = [entry for entry, _ in self.shelf.entries.values()]
        for one in kept:
            count = len(one.chunks)
            version = one.document.version
            yield Held(one.document.id, version, one.stamp, count, 0 if one.vectors is None else count)

    def lexical(self, terms: Mapping[str, float], count: int, wanted: Needs) -> list[Found]:
        """Sum of the inverse document frequencies of the terms that a chunk holds."""
        self._reach()
        with self.shelf.lock:
            every = [
                (entry, chunk, set(label.split()) | set(body.split()))
                for entry, made in self.shelf.entries.values()
                for chunk, (label, body) in zip(entry.chunks, made, strict=True)
            ]
        frequency = {term: sum(term in held for _, _, held in every) for term in terms}
        worth = {t: w * math.log(1 + len(every) / frequency[t]) for t, w in terms.items() if frequency[t]}
        found = [
            Found(chunk, sum(worth[term] for term in held & worth.keys()))
            for entry, chunk, held in every
            if held & worth.keys() and _passes(entry, wanted)
        ]
        return sorted(found, key=lambda one: (-one.score, one.chunk.id))[:count]

    def dense(self, vector: NDArray[Any], count: int, wanted: Needs) -> list[Found]:
        """Exact cosines."""
        self._reach()
        with self.shelf.lock:
            kept = [entry for entry, _ in self.shelf.entries.values() if entry.vectors is not None]
        found = [
            Found(chunk, float(np.dot(row, vector)))
            for entry in kept
            if entry.vectors is not None and _passes(entry, wanted)
            for chunk, row in zip(entry.chunks, entry.vectors, strict=True)
            if len(row) == len(vector)
        ]
        return sorted(found, key=lambda one: (-one.score, one.chunk.id))[:count]

    def close(self) -> None:
        """Nothing to let go of."""

    def _reach(self) -> None:
        with self.shelf.lock:
            if self.shelf.down:
                self.shelf.down -= 1
                raise StoreError("store.unreachable", place=f"fake:{self.name}", reason="down")


def _passes(entry: Outgoing, wanted: Needs) -> bool:
    if not wanted.asked:
        return True
    metadata = entry.document.metadata
    return wanted.passes(entry.document.id, facets(metadata), access_fields(metadata))


def open_store(place: str) -> FakeStore:
    """Factory of the ``fake:`` provider."""
    return FakeStore(Place.read(f"#{place.lstrip('#')}").name)
