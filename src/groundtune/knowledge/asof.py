"""Searching the documents as they were at a date: the index of that date, made on demand and kept.

The index of a date is a copy of the present one in which only the documents that differ are exchanged. So it is searched
by the same code with the same statistics as if that date were today, and costs what the changes cost.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundtune.knowledge.backing import Backing, Prepared
from groundtune.knowledge.history import lives, version_at
from groundtune.knowledge.prepare import Preparer
from groundtune.knowledge.versions import StoredVersion
from groundtune.types import Document, digest

FOLDER = "as-of"
_KEPT = 3
_BATCH = 200
_HALF_MADE = 3600.0  # seconds; a younger one may still be in the making by another process


@dataclass(frozen=True, slots=True)
class _Difference:
    """What an earlier date has instead of the present: rows to put and ids to take away."""

    put: tuple[StoredVersion, ...]
    gone: tuple[str, ...]
    key: str


class PastIndex:
    """Indexes of earlier dates beside a store. Safe to use from several threads."""

    def __init__(self, store: Backing, folder: Path, preparer: Preparer, open_store: Callable[[Path], Backing]) -> None:
        self._store = store
        self._folder = folder / FOLDER
        self._preparer = preparer
        self._open_store = open_store
        self._open: dict[str, Backing] = {}
        self._lock = threading.Lock()

    def at(self, instant: float) -> Backing:
        """The store as it was at an instant (Unix seconds): the store itself when nothing has changed since."""
        rows = self._store.history.rows()
        difference = _difference(rows, instant, self._preparer.recipe, self._store.get_meta("access_folders"))
        if not difference.put and not difference.gone:
            return self._store
        with self._lock:
            held = self._open.get(difference.key)
            if held is None:
                held = self._open[difference.key] = self._made(difference)
                self._forget(difference.key)
            return held

    def close(self) -> None:
        """Close what is open; the files stay for the next time."""
        with self._lock:
            for store in self._open.values():
                store.close()
            self._open.clear()

    def clear(self) -> None:
        """Close and remove all indexes of earlier dates."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _made(self, difference: _Difference) -> Backing:
        place = self._folder / difference.key
        if not place.is_dir():
            making = self._folder / f".{uuid.uuid4().hex}"
            making.mkdir(parents=True)
            try:
                self._build(making, difference)
                os.replace(making, place)
            except OSError:
                if not place.is_dir():  # nobody else made it meanwhile
                    raise
            finally:
                shutil.rmtree(making, ignore_errors=True)
        os.utime(place)
        return self._open_store(place)

    def _build(self, folder: Path, difference: _Difference) -> None:
        self._store.history.copy_to(folder)
        store = self._open_store(folder)
        try:
            waiting: list[Prepared] = []
            for row in difference.put:
                document = Document(row.document_id, self._store.history.text_at(row.seq), row.metadata)
                waiting.append(self._preparer.prepare(store, document))
                if len(waiting) >= _BATCH:
                    store.apply(waiting)
                    waiting = []
            store.apply(waiting, difference.gone)
            # An index in which much was exchanged still counts words of what is gone; this one is made to be right.
            store.rebuild_lexical()
        finally:
            store.close()

    def _forget(self, newest: str) -> None:
        """Keep the indexes that were used last and what this process has open; what a crash left half-made goes."""
        folders = [path for path in self._folder.iterdir() if path.is_dir()]
        for path in [path for path in folders if path.name.startswith(".")]:
            folders.remove(path)
            if time.time() - path.stat().st_mtime > _HALF_MADE:
                shutil.rmtree(path, ignore_errors=True)
        for path in sorted(folders, key=lambda path: -path.stat().st_mtime)[_KEPT:]:
            if path.name != newest and path.name not in self._open:
                shutil.rmtree(path, ignore_errors=True)
        while len(self._open) > _KEPT:
            oldest = next(name for name in self._open if name != newest)
            del self._open[oldest]  # closed with its last user


def _difference(rows: Sequence[StoredVersion], instant: float, recipe: str, folders: str) -> _Difference:
    by_seq = {row.seq: row for row in rows}
    last = {row.document_id: row for row in rows}
    put: list[StoredVersion] = []
    gone: list[str] = []
    parts: list[str] = []
    for document_id, life in sorted(lives(rows).items()):
        then = version_at(life, instant)
        now = life[-1] if life[-1].current else None
        parts.append(f"{document_id}\t{last[document_id].seq}")
        if then is None:
            gone += [document_id] if now else []
        elif now is None or then.seq != now.seq:
            put.append(_Past(by_seq[then.seq], last[document_id].metadata.get("access")))
            parts.append(f"\t{then.seq}")
    key = digest("\n".join([recipe, folders, *gone, "", *parts]))[:16]
    return _Difference(tuple(put), tuple(gone), key)


class _Past:
    """A version of an earlier date under the labels that its document carries today as well as its own."""

    def __init__(self, row: StoredVersion, access: object) -> None:
        self.seq, self.document_id, self.version = row.seq, row.document_id, row.version
        self.since, self.until, self.characters = row.since, row.until, row.characters
        self.metadata = dict(row.metadata) if access is None else {**row.metadata, "access_now": str(access)}
