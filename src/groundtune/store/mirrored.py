"""The embedded store as the record, and an outer store that searches.

Everything is written here first, together with a note of what the outer store must hear of (``store/outbox.py``), in one
transaction; then it is sent and the note goes. So after a crash or an outage nothing is lost or doubled: the notes that
are left are sent again. What the outer store finds is shown only as far as the record holds it, for this reader.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from groundtune.errors import StoreError
from groundtune.ports import READER, Filter
from groundtune.store.filters import FOLDERS, visible_to
from groundtune.store.fusion import EVEN, fuse
from groundtune.store.inspect import Inspection
from groundtune.store.outbox import Outbox, pending
from groundtune.store.outer import CANDIDATES, Held, OuterStore
from groundtune.store.payload import needs
from groundtune.store.rows import TERMS
from groundtune.store.schema import fetch
from groundtune.store.sending import Sender, owner_of, rules_of
from groundtune.store.sqlite import BOUND, SqliteStore
from groundtune.store.writing import Entry
from groundtune.text.inverted import Packed
from groundtune.types import Fusion, Hit

_AT_ONCE = 50  # documents

Told = Callable[[int, int, str], None]

SENT_SPACE = "outer_space"  # ``=`` and the name of the vectors that the outer store was sent; empty: none yet


class MirroredStore(SqliteStore):
    """A ``SqliteStore`` whose searches are answered by ``outer``."""

    def __init__(
        self, folder: str | Path, outer: OuterStore, place: str, told: Told | None = None, *, trial: bool = False
    ) -> None:
        """``place`` names the outer store without secrets. When it is another one than before, it is brought up to date
        first; ``told(done, total, place)`` hears how far. On ``trial`` the record goes on using the one that it uses
        until ``bind`` is called. Raises ``StoreError``.
        """
        super().__init__(folder)
        self.outer, self.place, self._told, self._trial = outer, place, told, trial
        try:
            self._outbox = Outbox(self.path.parent, self._read, self._write)
            self._sender = Sender(self._read, self._write)
            owner_of(self)
            outer.weigh = self.worth
            if not trial:
                self.follow()
        except BaseException:
            super().close()
            raise

    @property
    def _binding(self) -> str:
        return f"{self.place}|{TERMS}"

    def follow(self) -> None:
        """Send what the outer store lacks: everything that differs when the record has used another one."""
        if self._is_bound():
            self.send(self._told)
        else:
            self.bind()

    def _is_bound(self) -> bool:
        """False when another process has moved the record to another store since."""
        return self.get_meta(BOUND) == self._binding

    # -- writing ---------------------------------------------------------------------------------------------------

    def apply_all(self, batches: Iterable[tuple[Sequence[Entry], Packed | None]], deleted: Sequence[str] = ()) -> int:
        """As ``SqliteStore.apply_all``; returns when the outer store has everything too. Raises ``StoreError`` when it
        cannot be reached: what was written is in the record then, and sent the next time.
        """
        removed = super().apply_all(self._noted(batches, deleted), deleted)
        self.send()
        return removed

    def _noted(
        self, batches: Iterable[tuple[Sequence[Entry], Packed | None]], deleted: Sequence[str]
    ) -> Iterator[tuple[Sequence[Entry], Packed | None]]:
        """Notes are written in the transaction that writes what they are about."""
        self._outbox.note(self._connection, deleted)
        for entries, packed in batches:
            self._outbox.note(self._connection, [entry.document.id for entry in entries])
            yield entries, packed

    def set_meta(self, key: str, value: str) -> None:
        """New folder rules change what the outer store must know of the documents that they are about."""
        if key != FOLDERS:
            super().set_meta(key, value)
            return
        with self._write() as connection:
            before = rules_of(connection)
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
            after = rules_of(connection)
            ids = [row[0] for row in fetch(connection, "SELECT id FROM documents")]
            self._outbox.note(connection, [i for i in ids if before.labels(i) != after.labels(i)])
        self.send()

    def fill(self, space: str, rows: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Add vectors; the outer store is told when it is their space that it holds."""
        super().fill(space, rows, vectors)
        if space == self.sent_space:
            with self._write() as connection:
                query = "SELECT DISTINCT c.document_id FROM json_each(?) AS w JOIN chunks AS c ON c.rowid = w.value"
                found = fetch(connection, query, (json.dumps([int(row) for row in rows]),))
                self._outbox.note(connection, [row[0] for row in found])

    def take_over(self, space: str) -> bool:
        """Make a space the only one, here and in the outer store."""
        if not super().take_over(space):
            return False
        if space != self.sent_space:
            with self._write() as connection:
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (SENT_SPACE, f"={space}"))
                self._outbox.note_all(connection)
        self.send()
        return True

    def send(self, told: Told | None = None) -> int:
        """Send what is pending, until nothing is; returns how many documents that were. Raises ``StoreError``."""
        sent = 0
        if not self._pending():
            return sent
        with self._outbox.alone():
            if not self._is_bound():
                raise StoreError("store.moved", place=self.place)
            self._choose_space()
            total = self._pending()
            while batch := self._outbox.next():
                entries, gone = self._sender.prepared(batch.ids, self.sent_space)
                self.outer.apply(entries, gone)
                self._outbox.done(batch)
                sent += len(batch.ids)
                if told:
                    told(min(sent, total), total, self.place)
        return sent

    def send_these(self, ids: Sequence[str]) -> int:
        """Send some documents as they are now; returns how many they were."""
        for start in range(0, len(ids), _AT_ONCE):
            entries, gone = self._sender.prepared(ids[start : start + _AT_ONCE], self.sent_space)
            self.outer.apply(entries, gone)
            if self._told:
                self._told(min(start + _AT_ONCE, len(ids)), len(ids), self.place)
        return len(ids)

    def _pending(self) -> int:
        with self._read() as connection:
            return pending(connection)

    def _choose_space(self) -> None:
        """The outer store is sent the vectors of one embedder: the first that the record has a whole space of."""
        if self.sent_space is None and (name := self._whole_space()) is not None:
            super().set_meta(SENT_SPACE, f"={name}")

    def _whole_space(self) -> str | None:
        whole = [space.name for space in self.spaces() if space.whole]
        return whole[-1] if whole else None

    @property
    def sent_space(self) -> str | None:
        """Whose vectors the outer store holds, None when it holds none."""
        if self._trial:
            return self._whole_space()
        held = self.get_meta(SENT_SPACE)
        return held[1:] if held else None

    # -- searching -------------------------------------------------------------------------------------------------

    def search(
        self,
        text: str,
        vector: NDArray[Any] | None,
        k: int,
        filter: Filter | None = None,
        *,
        space: str = "",
        fusion: Fusion = EVEN,
    ) -> list[Hit]:
        """As ``SqliteStore.search``; candidates come from the outer store, their lexical order from the record. When
        another process has moved the record to another store meanwhile, the record answers.
        """
        if not (self._trial or self._is_bound()):
            return super().search(text, vector, k, filter, space=space, fusion=fusion)
        wanted = needs(filter)
        if k <= 0 or wanted.never:
            return []
        by_meaning = vector is not None and bool(fusion.dense) and space == self.sent_space
        count = max(CANDIDATES, 2 * k)
        with self._read() as connection:
            query, _ = self._lexical.query(connection, self._generation(connection), text)
        terms = query.strongest() if fusion.lexical or not by_meaning else {}
        words = self.outer.lexical(terms, count, wanted) if terms else []
        meanings = self.outer.dense(vector, count, wanted) if by_meaning and vector is not None else []
        with self._read() as connection:
            rows = self._shown(connection, {one.chunk.id for one in (*words, *meanings)}, filter)
            lexical = [(rows[one.chunk.id], one.score) for one in words if one.chunk.id in rows]
            lexical = self._lexical.order(connection, self._generation(connection), text, lexical, 2 * k)
            if not by_meaning:
                return self._hits(connection, [(row, score, score, None) for row, score in lexical[:k]])
            dense = [(rows[one.chunk.id], one.score) for one in meanings if one.chunk.id in rows]
            return self._hits(connection, fuse(lexical, dense, fusion)[:k])

    def _shown(self, connection: apsw.Connection, ids: Iterable[str], filter: Filter | None) -> dict[str, int]:
        """Rows of those chunks that the record holds now and lets this reader see."""
        clause, bindings = "true", ()
        if filter and READER in filter:
            labels = filter[READER]
            clause, bindings = visible_to(labels if isinstance(labels, tuple) else (), "d.id", "d.metadata")
        query = (
            "SELECT c.id, c.rowid FROM json_each(?) AS w CROSS JOIN chunks AS c ON c.id = w.value"
            f" JOIN documents AS d ON d.id = c.document_id AND d.version = c.version WHERE {clause}"
        )
        wanted = json.dumps(sorted(ids), ensure_ascii=False)
        return dict(fetch(connection, query, (wanted, *bindings)))

    def worth(self, terms: Sequence[str]) -> dict[str, float]:
        """Inverse document frequency of each term in the record."""
        with self._read() as connection:
            return self._lexical.worth(connection, self._generation(connection), terms)

    # -- both together ---------------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Use this outer store from now on, and make it hold what the record holds: only what differs is sent.

        Raises ``StoreError`` when it holds documents of another knowledge base; nothing is changed then.
        """
        with self._outbox.alone():
            space = self._whole_space()
            differing = self._drift(space)
            with self._write() as connection:
                self._outbox.note(connection, differing)
                held = ((BOUND, self._binding), (SENT_SPACE, "" if space is None else f"={space}"))
                connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", held)
            self._trial = False
        self.send(self._told)

    def drift(self) -> list[str]:
        """Ids of documents that the outer store lacks, holds in another state, or should not hold.

        Raises ``StoreError`` for documents of another knowledge base.
        """
        return self._drift(self.sent_space)

    def _drift(self, space: str | None) -> list[str]:
        held = {one.id: one for one in self.outer.listing()}
        expected = self._sender.expected(space)
        owner = owner_of(self)
        if any(_is_foreign(one, owner) for one in held.values()):
            raise StoreError("store.foreign", place=self.place)
        differing = [i for i, one in expected.items() if held.get(i) != one]
        return differing + sorted(held.keys() - expected.keys())

    def inspect(self) -> Inspection:
        """Check the record, and the outer store against it."""
        return replace(super().inspect(), outer=tuple(self.drift()))

    def rebuild_lexical(self) -> None:
        """Make the record's word index again, and send what differs."""
        super().rebuild_lexical()
        if hasattr(self, "_sender"):  # not while the record itself is being opened
            self.bind()

    def close(self) -> None:
        """Close both."""
        self.outer.close()
        super().close()


def _is_foreign(held: Held, owner: str) -> bool:
    return held.stamp.partition(":")[0] != owner
