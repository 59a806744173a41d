"""Vectors of another embedder are made beside those in use, compared with them, and take their place when whole.

Until then questions are answered from the old ones. Every batch is committed: after a crash the rest is made.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from groundtune import registry
from groundtune.errors import DataError, GroundtuneError
from groundtune.knowledge.backing import Backing
from groundtune.knowledge.prepare import Preparer
from groundtune.knowledge.selftest import Choice, OpenStore, keep_choice, self_test, stored_choice

_FIRST, _LARGEST = 32, 2_000
_SECONDS = 3.0

Progress = Callable[[int, int, str], None]


Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Switching:
    """Vectors of ``new`` are being made: ``lacking`` of ``total`` chunks have none yet. ``old`` answers meanwhile."""

    old: str
    new: str
    lacking: int
    total: int


class Switch:
    """Completes the vectors of another embedder in a thread, while ``old`` answers. What it has made is kept when it is
    stopped, and when the embedder fails: whoever opens the knowledge base next goes on.
    """

    def __init__(self, store: Backing, preparer: Preparer, old: Preparer, open_store: OpenStore) -> None:
        self.old = old
        self._store, self._preparer, self._open_store = store, preparer, open_store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="groundtune-vectors", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """The new vectors are in use."""
        return any(space.whole and space.name == self._preparer.space for space in self._store.spaces())

    @property
    def state(self) -> Switching | None:
        """How far it is, None when it is done."""
        if self.done:
            return None
        total = sum(document.chunks for document in self._store.listing())
        return Switching(self.old.space, self._preparer.space, self._store.missing(self._preparer.space), total)

    def close(self) -> None:
        """Stop after the batch in hand."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            complete(self._store, self._preparer, self._open_store, stop=self._stop.is_set)
        except GroundtuneError:  # an embedder that cannot be reached: the next ``ingest`` says so
            return


def replaced(store: Backing, preparer: Preparer) -> Preparer | None:
    """The embedder that can answer while the vectors of the preparer's are made; None when there is none or no need."""
    spaces = store.spaces()
    if preparer.embedder is None or any(space.whole and space.name == preparer.space for space in spaces):
        return None
    for space in reversed(spaces):
        if space.name != preparer.space:
            try:
                return Preparer(preparer.chunk_characters, registry.load("embedder", space.name))
            except (GroundtuneError, OSError):  # not there any more
                continue
    return None


def complete(
    store: Backing,
    preparer: Preparer,
    open_store: OpenStore,
    progress: Progress | None = None,
    stop: Stop = lambda: False,
) -> bool:
    """Give every chunk a vector of the preparer's embedder; True when it took the place of another one.

    ``progress(done, total, embedder)`` is called after each batch; ``stop()`` before each: what is made is kept then.
    """
    if preparer.embedder is None:
        return False
    before = store.spaces()
    if any(space.whole and space.name == preparer.space for space in before):
        return False  # what another embedder has half made is left for whoever goes on with it
    others = [space for space in before if space.name != preparer.space and space.whole]
    if not _fill(store, preparer, progress, stop):
        return False
    compared = _compare(store, preparer, others[-1].name, open_store) if others else None
    while not store.take_over(preparer.space):  # somebody wrote meanwhile
        if not _fill(store, preparer, progress, stop):
            return False
    if compared is not None:
        keep_choice(store, compared)
    return bool(others)


def _fill(store: Backing, preparer: Preparer, progress: Progress | None, stop: Stop) -> bool:
    """False when it was stopped."""
    total = store.missing(preparer.space)
    after = done = 0
    while not stop():
        rate = preparer.texts_per_second
        size = min(_LARGEST, max(1, int(rate * _SECONDS))) if rate else _FIRST
        chunks = store.without_vector(preparer.space, after, size)
        if not chunks:
            return True
        vectors = preparer.embed([(chunk.title, chunk.heading, chunk.text) for chunk in chunks])
        store.fill(preparer.space, [chunk.row for chunk in chunks], vectors)
        after, done = chunks[-1].row, done + len(chunks)
        if progress:
            progress(min(done, total), total, preparer.space)
    return False


def _compare(store: Backing, preparer: Preparer, old: str, open_store: OpenStore) -> Choice | None:
    """The self-test of the new embedder; that of the old one is made and kept first when it never was."""
    try:
        if stored_choice(store, old) is None:
            previous = Preparer(preparer.chunk_characters, registry.load("embedder", old))
            keep_choice(store, self_test(store, previous, open_store))
        found = stored_choice(store, old)
        if found is not None:
            store.set_meta("retrieval_before", store.get_meta("retrieval"))
        return self_test(store, preparer, open_store)
    except DataError:  # too few documents to tell
        return None
    except (GroundtuneError, OSError):  # the old embedder is not there any more
        return self_test(store, preparer, open_store)
