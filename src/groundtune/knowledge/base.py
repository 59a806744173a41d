"""``KnowledgeBase``: documents in, checked answers out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from groundtune import registry
from groundtune.errors import DataError
from groundtune.knowledge.ask import answer_by_quoting, answer_by_writing
from groundtune.knowledge.backing import Backing, Prepared
from groundtune.knowledge.prepare import Preparer
from groundtune.knowledge.sync import Progress, sync
from groundtune.knowledge.verify import VerifyReport, verify
from groundtune.ports import Embedder, Filter, Model, Reader
from groundtune.types import Answer, Chunk, Document, Hit, SyncReport

DEFAULT_READER = "builtin:reader"
_BATCH = 200


class KnowledgeBase:
    """A folder that holds documents, every version of them, and the index over them. Use as a context manager or
    call ``close``. Safe to use from several threads; several processes may read and write it.
    """

    def __init__(self, store: Backing, folder: Path, preparer: Preparer) -> None:
        """Use ``KnowledgeBase.open``."""
        self._store = store
        self._folder = folder
        self._preparer = preparer

    @classmethod
    def open(cls, path: str | Path, *, embedder: str = "", chunk_characters: int = 1200) -> KnowledgeBase:
        """Open the knowledge base in a folder; made when missing. ``embedder`` is a ``provider:name`` spec; without one
        search is lexical. When the settings differ from those it was built with, the index is built again.

        Raises ``StoreError`` for a damaged or unwritable one, ``SpecError`` or ``MissingExtra`` for the embedder.
        """
        made: Embedder | None = registry.load("embedder", embedder) if embedder else None
        store: Backing = registry.load("store", f"sqlite:{path}")
        base = cls(store, Path(path), Preparer(chunk_characters, made))
        try:
            base._follow_settings()
        except BaseException:
            store.close()
            raise
        return base

    # -- documents -------------------------------------------------------------------------------------------------

    def sync(self, paths: Sequence[str | Path], *, progress: Progress | None = None) -> SyncReport:
        """Bring the knowledge base up to date with files and folders; see ``knowledge.sync.sync``."""
        given = [paths] if isinstance(paths, (str, Path)) else list(paths)
        return sync(self._store, self._preparer, self._folder, given, progress)

    def add(self, documents: Sequence[Document]) -> SyncReport:
        """Add or update documents in one transaction, visible when this returns.

        Raises ``DataError`` for an empty id or one that is given twice; nothing is changed then.
        """
        started = time.perf_counter()
        entries: list[Prepared] = []
        added: list[str] = []
        updated: list[str] = []
        unchanged: list[str] = []
        seen: set[str] = set()
        for document in documents:
            if not document.id or document.id in seen:
                raise DataError("knowledge.bad_id", id=document.id)
            seen.add(document.id)
            held = self._store.document(document.id)
            if held is not None and held.text == document.text and dict(held.metadata) == dict(document.metadata):
                unchanged.append(document.id)
                continue
            (added if held is None else updated).append(document.id)
            entries.append(self._preparer.prepare(self._store, document, root=""))
        if entries:
            self._store.apply(entries)
        seconds = time.perf_counter() - started
        return SyncReport(tuple(added), tuple(updated), (), tuple(unchanged), seconds=seconds)

    def delete(self, ids: Sequence[str]) -> SyncReport:
        """Remove documents in one transaction; their versions stay readable with ``text``. Unknown ids are ignored."""
        started = time.perf_counter()
        given = [ids] if isinstance(ids, str) else list(dict.fromkeys(ids))
        current = self._store.digests()
        gone = [document_id for document_id in given if document_id in current]
        if gone:
            self._store.delete(gone)
        return SyncReport(deleted=tuple(gone), seconds=time.perf_counter() - started)

    def documents(self) -> tuple[Document, ...]:
        """Current documents, by id."""
        return tuple(self._each())

    def text(self, document_id: str, version: str | None = None) -> str | None:
        """Text of the current version or of any version ever stored; None when there is none."""
        return self._store.text(document_id, version)

    def chunks(self, document_id: str) -> tuple[Chunk, ...]:
        """Chunks of the current version of a document, in order."""
        return tuple(self._store.chunks(document_id))

    # -- questions -------------------------------------------------------------------------------------------------

    def search(self, query: str, k: int = 10, filter: Filter | None = None) -> list[Hit]:
        """Best ``k`` chunks, best first. ``filter`` keeps documents whose metadata has these values."""
        return self.search_many([query], k, filter)[0]

    def search_many(self, queries: Sequence[str], k: int = 10, filter: Filter | None = None) -> list[list[Hit]]:
        """``search`` for several queries; they are embedded together."""
        embedder = self._preparer.embedder
        if embedder is None or not queries:
            return [self._store.search(query, None, k, filter) for query in queries]
        vectors = np.asarray(embedder.embed(list(queries), kind="query"))
        return [self._store.search(query, vectors[i], k, filter) for i, query in enumerate(queries)]

    def ask(
        self,
        question: str,
        model: Model | str | None = None,
        *,
        reader: Reader | str | None = None,
        k: int = 10,
        filter: Filter | None = None,
    ) -> Answer:
        """Answer from the ``k`` best chunks. Without ``model`` the answer is a quoted sentence that the reader found;
        with one (a ``Model`` or its spec) it is written from the best passages. Every shown quote stands in the store.
        """
        started = time.perf_counter()
        hits = self.search(question, k, filter)
        used: Reader = registry.load("reader", reader or DEFAULT_READER) if not isinstance(reader, Reader) else reader
        if model is None:
            answer = answer_by_quoting(question, hits, used, self._store.text)
        else:
            writer: Model = registry.load("model", model) if isinstance(model, str) else model
            answer = answer_by_writing(question, hits, writer, self._store.text, reader=used)
        return replace(answer, seconds=time.perf_counter() - started)

    # -- upkeep ----------------------------------------------------------------------------------------------------

    def verify(self, repair: bool = False) -> VerifyReport:
        """Does the index hold exactly what the documents say? With ``repair`` it is made to."""
        return verify(self._store, self._preparer, repair=repair)

    def close(self) -> None:
        """Close the files. Closing twice is allowed."""
        self._store.close()

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _each(self) -> Iterator[Document]:
        for document_id in self._store.digests():
            document = self._store.document(document_id)
            if document is not None:
                yield document

    def _follow_settings(self) -> None:
        """Build chunks and vectors again when they were made with other settings. The new settings are recorded last,
        so that an interrupted rebuild starts again.
        """
        recipe = self._preparer.recipe
        if self._store.get_meta("recipe") == recipe:
            return
        waiting: list[Prepared] = []
        for document in self._each():
            waiting.append(self._preparer.prepare(self._store, document, fresh=True))
            if len(waiting) >= _BATCH:
                self._store.apply(waiting)
                waiting = []
        self._store.apply(waiting)
        self._store.set_meta("recipe", recipe)
