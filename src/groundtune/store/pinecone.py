"""Pinecone as a search index (``pinecone:NAME#namespace``; SDK 9 and 10).

Two serverless indexes: ``NAME-words`` holds our search terms as sparse vectors (Pinecone's own text analysis knows no
Chinese and no Japanese), ``NAME-v256`` the embeddings of 256 numbers. One small record per document, its head, says which state is
held. Pinecone shows a write only after a while: ``apply`` returns when searches, look-ups and listings show it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from numpy.typing import NDArray

from groundtune.errors import StoreError
from groundtune.store.outer import Found, Held, OuterStore, Outgoing, Place, check_vectors
from groundtune.store.payload import Needs
from groundtune.store.pinecone_link import VARIABLE, Link, Table
from groundtune.store.pinecone_records import (
    Record,
    as_list,
    asked,
    chunk_key,
    document_key,
    head,
    to_chunk,
    to_filter,
    unfinished,
    vector_records,
    word_records,
)
from groundtune.store.waiting import wait_for

VISIBLE_WITHIN = 60.0  # seconds


class PineconeStore(OuterStore):
    """Implements ``ports.Store``. Indexes are made when the first document comes; those that are there already are used.
    ``visible_within`` in seconds is how long ``apply`` waits until its changes can be read.
    """

    def __init__(self, address: str, namespace: str, key: str, *, visible_within: float = VISIBLE_WITHIN) -> None:
        self.place = f"pinecone:{address}#{namespace}"
        self.visible_within = visible_within
        self._name, self._chunks, self._heads = address, namespace, f"{namespace}.heads"
        self._lock = threading.RLock()
        self._link = Link(self.place, key)
        self._tables: dict[int, Table] = {}
        # also when the store is forgotten and when the program ends
        self._finish = weakref.finalize(self, _finish, self._tables, self._link)
        try:
            self._follow()
        except BaseException:
            self._finish()
            raise

    def __repr__(self) -> str:
        return f"PineconeStore({self.place!r})"

    # -- writing -------------------------------------------------------------------------------------------------------

    def apply(self, entries: Sequence[Outgoing], deleted: Sequence[str] = ()) -> int:
        """See ``OuterStore.apply``. Raises ``StoreError`` ``store.not_yet_visible`` when everything was sent but cannot be
        read after ``visible_within`` seconds: doing it again later is safe.
        """
        dimension = check_vectors(entries)
        with self._lock:
            self._follow()
            if not entries and 0 not in self._tables:
                return 0
            words = [record for entry in entries for record in word_records(entry, self.place)]
            vectors = [record for entry in entries for record in vector_records(entry, self.place)]
            self._make_room(dimension)
            heads, gone = self._tables[0], list(dict.fromkeys(deleted))
            known = heads.fetch([document_key(i) for i in (*(e.document.id for e in entries), *gone)], self._heads)
            removed = [document_id for document_id in gone if document_key(document_id) in known]
            if not entries and not removed:
                return 0
            heads.upsert([unfinished(e) for e in entries if document_key(e.document.id) not in known], self._heads)
            heads.upsert(words, self._chunks)
            if vectors:
                self._tables[dimension].upsert(vectors, self._chunks)
            heads.upsert([head(entry) for entry in entries], self._heads)
            self._clear(entries, removed, known)
            self._wait(entries, removed)
            return len(removed)

    def _make_room(self, dimension: int) -> None:
        for held, table in self._tables.items():
            if held and dimension and held != dimension and table.count(self._chunks):
                raise StoreError("store.dimension", place=self.place, held=held, given=dimension)
        for wanted in (0, dimension):
            if wanted not in self._tables:
                self._tables[wanted] = self._link.made(self._name, wanted)

    def _clear(self, entries: Sequence[Outgoing], removed: Sequence[str], known: Mapping[str, Any]) -> None:
        """Take away what the new state does not have."""
        words: dict[str, set[str]] = {document_key(document_id): set() for document_id in removed}
        vectors = dict(words)
        for entry in entries:
            key = document_key(entry.document.id)
            if key in known:
                words[key] = {chunk_key(chunk) for chunk in entry.chunks}
                vectors[key] = words[key] if entry.vectors is not None else set()
        for dimension, table in self._tables.items():
            kept = vectors if dimension else words
            held = {key: table.ids(self._chunks, f"{key}#") for key in kept}
            stale = [name for key, names in held.items() for name in names if name not in kept[key]]
            table.delete(stale, self._chunks)
        self._tables[0].delete([document_key(document_id) for document_id in removed], self._heads)

    def _wait(self, entries: Sequence[Outgoing], removed: Sequence[str]) -> None:
        stamps = {document_key(entry.document.id): entry.stamp for entry in entries}
        gone = [document_key(document_id) for document_id in removed]
        heads = self._tables[0]

        def heads_seen() -> bool:
            found = heads.fetch([*stamps, *gone], self._heads)
            written = all(found.get(key, {}).get("stamp") == stamp for key, stamp in stamps.items())
            return written and not any(key in found for key in gone)

        fences = [table.fence(self._chunks) for table in self._tables.values()]
        if not wait_for([*fences, heads_seen], self.visible_within):
            raise StoreError("store.not_yet_visible", place=self.place, seconds=f"{self.visible_within:g}")

    # -- reading -------------------------------------------------------------------------------------------------------

    def listing(self) -> Iterable[Held]:
        """See ``OuterStore.listing``: asks for every id, a hundred at a time."""
        words = self._table(0)
        if words is None:
            return
        heads = words.fetch(list(words.ids(self._heads)), self._heads)
        chunks: Counter[str] = Counter()
        vectors: Counter[str] = Counter()
        for dimension, table in list(self._tables.items()):
            counted = vectors if dimension else chunks
            counted.update(name.partition("#")[0] for name in table.ids(self._chunks))
        for key, one in heads.items():
            yield Held(str(one["document_id"]), str(one["version"]), str(one["stamp"]), chunks[key], vectors[key])

    def lexical(self, terms: Mapping[str, float], count: int, wanted: Needs) -> list[Found]:
        """See ``OuterStore.lexical``. Pinecone does not count how many records hold a term; ``weigh`` does."""
        worth = self.weigh(list(terms)) if self.weigh is not None else None
        vector, table = asked(terms, worth), self._table(0)
        if table is None or not vector["indices"]:
            return []
        return self._found(table, {"sparse_vector": vector}, count, wanted)

    def dense(self, vector: NDArray[Any], count: int, wanted: Needs) -> list[Found]:
        """See ``OuterStore.dense``."""
        table = self._table(len(vector))
        return self._found(table, {"vector": as_list(vector)}, count, wanted) if table is not None else []

    def _found(self, table: Table, values: Record, count: int, wanted: Needs) -> list[Found]:
        found = table.query(values, count, to_filter(wanted), self._chunks)
        return [Found(to_chunk(metadata), score) for _, score, metadata in found]

    def _table(self, dimension: int) -> Table | None:
        """The index of that length; another process may have made it since this one was opened."""
        if dimension not in self._tables:
            with self._lock:
                self._follow()
        return self._tables.get(dimension)

    def _follow(self) -> None:
        """Which indexes there are now."""
        if not self._finish.alive:
            raise StoreError("store.unreachable", place=self.place, reason="closed")
        found = self._link.tables(self._name, self._tables)
        self._tables.update(found)
        for dimension in self._tables.keys() - found.keys():
            del self._tables[dimension]

    def close(self) -> None:
        """See ``OuterStore.close``."""
        with self._lock:
            self._finish()


def _finish(tables: dict[int, Table], link: Link) -> None:
    """What cannot be reached any more is not tidied."""
    with suppress(StoreError):
        for table in tables.values():
            table.close()
    tables.clear()
    link.close()


def open_store(place: str) -> PineconeStore:
    """Factory of the ``pinecone:`` provider. The key is read from PINECONE_API_KEY only.

    Raises ``StoreError`` without a key, for a key that is refused and when Pinecone cannot be reached; ``MissingExtra``.
    """
    where = Place.read(place)
    key = os.environ.get(VARIABLE, "").strip()
    if not key:
        raise StoreError("store.key_missing", place=f"pinecone:{where.address}", variable=VARIABLE)
    return PineconeStore(where.address, where.name, key)
