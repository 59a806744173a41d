"""Vectors of another embedder are made beside those in use, compared with them, and take their place when whole.

Until then questions are answered from the old ones. Every batch is committed: after a crash the rest is made.
"""

from __future__ import annotations

from collections.abc import Callable

from groundtune import registry
from groundtune.errors import DataError, GroundtuneError
from groundtune.knowledge.backing import Backing
from groundtune.knowledge.prepare import Preparer
from groundtune.knowledge.selftest import Choice, OpenStore, keep_choice, self_test, stored_choice

_FIRST, _LARGEST = 32, 2_000
_SECONDS = 3.0

Progress = Callable[[int, int, str], None]


def complete(store: Backing, preparer: Preparer, open_store: OpenStore, progress: Progress | None = None) -> bool:
    """Give every chunk a vector of the preparer's embedder; True when it took the place of another one.

    ``progress(done, total, embedder)`` is called after each batch.
    """
    if preparer.embedder is None:
        return False
    before = store.spaces()
    if any(space.whole and space.name == preparer.space for space in before):
        return False  # what another embedder has half made is left for whoever goes on with it
    others = [space for space in before if space.name != preparer.space and space.whole]
    _fill(store, preparer, progress)
    compared = _compare(store, preparer, others[-1].name, open_store) if others else None
    while not store.take_over(preparer.space):  # somebody wrote meanwhile
        _fill(store, preparer, progress)
    if compared is not None:
        keep_choice(store, compared)
    return bool(others)


def _fill(store: Backing, preparer: Preparer, progress: Progress | None) -> None:
    total = store.missing(preparer.space)
    after = done = 0
    while True:
        rate = preparer.texts_per_second
        size = min(_LARGEST, max(1, int(rate * _SECONDS))) if rate else _FIRST
        chunks = store.without_vector(preparer.space, after, size)
        if not chunks:
            return
        vectors = preparer.embed([(chunk.title, chunk.heading, chunk.text) for chunk in chunks])
        store.fill(preparer.space, [chunk.row for chunk in chunks], vectors)
        after, done = chunks[-1].row, done + len(chunks)
        if progress:
            progress(min(done, total), total, preparer.space)


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
