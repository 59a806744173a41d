"""``KnowledgeBase``: documents in, checked answers out."""

from __future__ import annotations

import copy
import time
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from groundtune import registry
from groundtune.errors import DataError
from groundtune.knowledge.ask import answer_by_quoting, answer_by_writing
from groundtune.knowledge.asof import PastIndex
from groundtune.knowledge.backing import Backing, Prepared
from groundtune.knowledge.calibrate import Calibration, store_threshold, stored_threshold
from groundtune.knowledge.diff import DocumentDiff, compare_versions
from groundtune.knowledge.elsewhere import search_elsewhere
from groundtune.knowledge.history import (
    DocumentVersion,
    choose,
    droppable,
    life_of,
    lives,
    mark_superseded,
    read_moment,
)
from groundtune.knowledge.labels import FolderRule, annotated, parse_labels, rules_json
from groundtune.knowledge.listing import DocumentState, document_states
from groundtune.knowledge.prepare import Preparer, Task
from groundtune.knowledge.selftest import Choice, keep_choice, self_test, stored_choice
from groundtune.knowledge.sight import Seen, seen
from groundtune.knowledge.site import Link
from groundtune.knowledge.space import Switch, Switching, complete, replaced
from groundtune.knowledge.study import cut_all
from groundtune.knowledge.sync import Progress, sync
from groundtune.knowledge.verify import VerifyReport, verify
from groundtune.parallel import Engine
from groundtune.ports import READER, Embedder, Filter, Model, Reader, Reranker, Retriever
from groundtune.text.dates import iso_date
from groundtune.text.inverted import Packed
from groundtune.types import Answer, Chunk, Document, Fusion, Hit, Question, SyncReport, Unsupported

DEFAULT_READER = "builtin:reader"
_BATCH = 200
RERANKED = 30  # passages that a reranker reads
_SAMPLE = 400  # documents


class KnowledgeBase:
    """A folder that holds documents, every version of them, and the index over them. Use as a context manager or
    call ``close``. Safe to use from several threads; several processes may read and write it.
    """

    def __init__(self, store: Backing, folder: Path, preparer: Preparer) -> None:
        """Use ``KnowledgeBase.open``."""
        self._store = store
        self._folder = folder
        self._preparer = preparer
        self._labels: tuple[str, ...] | None = None
        self._retriever: Retriever | None = None
        self._reranker: Reranker | None = None
        self._switch: Switch | None = None
        self._past = PastIndex(store, folder, preparer, lambda place: registry.load("store", f"sqlite:{place}"))

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        embedder: str = "",
        chunk_characters: int = 1200,
        store: str = "",
        retriever: str = "",
        reranker: str = "",
        progress: Progress | None = None,
        background: bool = False,
    ) -> KnowledgeBase:
        """Open the knowledge base in a folder; made when missing. ``embedder`` is a ``provider:name`` spec; without one
        search is lexical. When the settings differ from those it was built with, the index is built again first:
        ``progress(done, total, embedder)`` hears of it, others go on reading the old one, and a crash loses little.
        ``store`` is the spec of the store that searches, e.g. ``pgvector:postgresql://host/db#handbook``; without one
        the folder does. Another one than before is filled first. ``retriever`` is the spec of one of yours that finds the
        passages instead, e.g. ``langchain:my_app:retriever``; documents, citations and rights stay here.
        ``reranker`` is the spec of a cross-encoder that orders the best ``RERANKED`` passages again.
        ``background``: the vectors of another embedder are made in a thread while the old one answers (``switching``).

        Raises ``StoreError`` for a damaged or unwritable one, ``SpecError`` or ``MissingExtra`` for embedder or store.
        """
        made: Embedder | None = registry.load("embedder", embedder) if embedder else None
        outer = "" if store.partition(":")[0] == "sqlite" else store
        backing: Backing = registry.load("store", f"sqlite:{path}", outer=outer, told=progress)
        base = cls(backing, Path(path), Preparer(chunk_characters, made, spec=embedder))
        try:
            base._retriever = registry.load("retriever", retriever) if retriever else None
            base._reranker = registry.load("reranker", reranker) if reranker else None
            base._follow_settings(progress, background and not outer)
        except BaseException:
            backing.close()
            raise
        return base

    # -- documents -------------------------------------------------------------------------------------------------

    def sync(
        self,
        paths: Sequence[str | Path | Link],
        *,
        progress: Progress | None = None,
        engine: Engine | None = None,
    ) -> SyncReport:
        """Bring the knowledge base up to date with files and folders; see ``knowledge.sync.sync``."""
        given = [paths] if isinstance(paths, (str, Path)) else list(paths)
        return sync(self._store, self._preparer, self._folder, given, progress, engine)

    def add(self, documents: Sequence[Document]) -> SyncReport:
        """Add or update documents in one transaction, visible when this returns.

        Raises ``DataError`` for an empty id or one that is given twice; nothing is changed then.
        """
        started, embedded = time.perf_counter(), self._preparer.embedded
        given: dict[str, Document] = {}
        for document in map(annotated, documents):
            if not document.id or document.id in given:
                raise DataError("knowledge.bad_id", id=document.id)
            given[document.id] = document
        current = self._current(given)
        unchanged = {i for i, document in given.items() if i in current and self._same(document)}
        changed = [document for i, document in given.items() if i not in unchanged]
        if changed:
            self._store.apply_all(self._prepared(changed, current))
        return SyncReport(
            added=tuple(document.id for document in changed if document.id not in current),
            updated=tuple(document.id for document in changed if document.id in current),
            unchanged=tuple(i for i in given if i in unchanged),
            seconds=time.perf_counter() - started,
            embedded=self._preparer.embedded - embedded,
        )

    def _current(self, ids: Collection[str]) -> Set[str]:
        """Those of the ids that there are documents of. Listing all documents costs more than asking for a few."""
        if len(ids) > _BATCH:
            return self._store.digests().keys() & set(ids)
        return {document_id for document_id in ids if self._store.document(document_id) is not None}

    def _same(self, document: Document) -> bool:
        held = self._store.document(document.id)
        return held is not None and held.text == document.text and dict(held.metadata) == dict(document.metadata)

    def _prepared(
        self, documents: Sequence[Document], held: Set[str], root: str | None = ""
    ) -> Iterator[tuple[list[Prepared], Packed]]:
        for cuts in cut_all(documents, self._preparer.chunk_characters):
            tasks = [Task(one, one.document.id if one.document.id in held else "", root) for one in cuts.made]
            yield self._preparer.prepare_all(self._store, tasks), cuts.packed

    def delete(self, ids: Sequence[str]) -> SyncReport:
        """Remove documents in one transaction; their versions stay readable with ``text``. Unknown ids are ignored."""
        started = time.perf_counter()
        given = [ids] if isinstance(ids, str) else list(dict.fromkeys(ids))
        current = self._current(given)
        gone = [document_id for document_id in given if document_id in current]
        if gone:
            self._store.delete(gone)
        return SyncReport(deleted=tuple(gone), seconds=time.perf_counter() - started)

    def documents(self) -> tuple[Document, ...]:
        """Current documents, by id."""
        seen = None if self._labels is None else self._store.history.visible(self._labels)
        return tuple(document for document in self._each() if seen is None or document.id in seen)

    def text(self, document_id: str, version: str | None = None) -> str | None:
        """Text of the current version or of any version ever stored; None when there is none."""
        if self._labels is not None:
            return self._store.history.text(document_id, version, self._labels)
        return self._store.text(document_id, version)

    def chunks(self, document_id: str) -> tuple[Chunk, ...]:
        """Chunks of the current version of a document, in order."""
        if self._labels is not None and document_id not in self._store.history.visible(self._labels):
            return ()
        return tuple(self._store.chunks(document_id))

    # -- time and access -------------------------------------------------------------------------------------------

    def seen_by(self, labels: Iterable[str] | str | None) -> KnowledgeBase:
        """The same knowledge base as a reader with these access labels sees it: nothing that it returns comes from a
        document that is not for this reader. No labels: only what everybody may see; None: everything that this one
        sees. It shares the files: close one of the two.
        """
        if labels is None:
            return self
        asked = parse_labels(labels)
        view = copy.copy(self)
        view._labels = asked if self._labels is None else tuple(label for label in asked if label in self._labels)
        return view

    def restrict(self, rules: Sequence[FolderRule]) -> None:
        """Which folders need which labels, besides what documents carry themselves. Kept in the knowledge base."""
        if self._store.get_meta("access_folders", "[]") != (wanted := rules_json(rules)):
            self._store.set_meta("access_folders", wanted)

    def at(self, moment: str) -> KnowledgeBase:
        """The knowledge base as it was at a date, for ``search``. Raises ``UserError`` for what is not a date."""
        view = copy.copy(self)
        view._store = self._past.at(read_moment(moment).last)
        view._retriever = None  # it knows only today
        return view

    def history(self, document_id: str) -> tuple[DocumentVersion, ...]:
        """The versions of a document, oldest first. Raises ``DataError`` when there is none for this reader."""
        return life_of(self._store.history, document_id, self._labels)

    def diff(self, document_id: str, old: str = "", new: str = "") -> DocumentDiff:
        """What changed between two versions, sentence by sentence: by default between the last two. A version is named
        by its number, the beginning of its id or a date. Raises ``DataError`` or ``UserError`` when there is none.
        """
        life = self.history(document_id)
        after = choose(life, new, document_id) if new else life[-1]
        before = choose(life, old, document_id) if old else life[max(0, after.number - 2)]
        read = self._store.history.text_at
        return compare_versions(before, read(before.seq), after, read(after.seq))

    def compact(
        self, *, keep: int | None = None, before: str = "", dry_run: bool = False
    ) -> tuple[DocumentVersion, ...]:
        """Drop superseded versions beyond the newest ``keep`` of each document, or that ceased to hold before a date;
        with both, what both would drop. Never a current version. Returns what was (or would be) dropped.
        """
        rows = self._store.history.rows()
        limit = read_moment(before).start if before else None
        doomed = droppable(rows, keep=keep, before=limit)
        gone = {row.seq for row in doomed}
        dropped = tuple(v for life in lives(rows).values() for v in life if v.seq in gone)
        if doomed and not dry_run:
            self._past.clear()
            self._store.history.drop(doomed)
            self._store.history.shrink()
        return dropped

    # -- questions -------------------------------------------------------------------------------------------------

    def search(self, query: str, k: int = 10, filter: Filter | None = None) -> list[Hit]:
        """Best ``k`` chunks, best first. ``filter`` keeps documents whose metadata has these values."""
        return self.search_many([query], k, filter)[0]

    def search_many(self, queries: Sequence[str], k: int = 10, filter: Filter | None = None) -> list[list[Hit]]:
        """``search`` for several queries; they are embedded together."""
        reranker = self._reranker
        if reranker is None:
            return self._found(queries, k, filter)
        found = self._found(queries, max(k, RERANKED), filter)
        return [reranker.rerank(query, hits)[:k] for query, hits in zip(queries, found, strict=True)]

    def _found(self, queries: Sequence[str], k: int, filter: Filter | None) -> list[list[Hit]]:
        if self._labels is not None:
            filter = {**(filter or {}), READER: self._labels}
        if self._retriever is not None:
            return [search_elsewhere(self._retriever, self._store, query, k, filter) for query in queries]
        asked = self._asked()
        embedder, fusion = asked.embedder, self._fusion(asked)
        if embedder is None or not queries or not fusion.dense:
            return [self._store.search(query, None, k, filter) for query in queries]
        vectors = np.asarray(embedder.embed(list(queries), kind="query"))
        space = asked.space
        return [
            self._store.search(query, vectors[i], k, filter, space=space, fusion=fusion)
            for i, query in enumerate(queries)
        ]

    def _asked(self) -> Preparer:
        """Whose vectors answer: the old ones until the new ones are whole."""
        return self._preparer if self._switch is None or self._switch.done else self._switch.old

    def switching(self) -> Switching | None:
        """How far the vectors of another embedder are; None when those of the configured one answer."""
        return self._switch.state if self._switch is not None else None

    def _fusion(self, asked: Preparer) -> Fusion:
        """The mix that the self-test chose, else both orders alike."""
        choice = stored_choice(self._store, asked.space) if asked.embedder else None
        return choice.fusion if choice else Fusion()

    def ask(
        self,
        question: str,
        model: Model | str | None = None,
        *,
        reader: Reader | str | None = None,
        k: int = 10,
        filter: Filter | None = None,
        as_of: str = "",
        threshold: float | None = None,
        unsupported: Unsupported = "flag",
    ) -> Answer:
        """Answer from the ``k`` best chunks. Without ``model`` the answer is a quoted sentence that the reader found;
        with one (a ``Model`` or its spec) it is written from the best passages. Every shown quote stands in the store.

        ``as_of`` answers from the documents as they were at a date. ``threshold`` in [0, 1] is how sure the reader must
        be (default: as calibrated for this knowledge base, else the reader's own). ``unsupported`` says what happens to
        written sentences without support: marked (``flag``), cut (``remove``) or not looked at (``keep``).
        """
        started = time.perf_counter()
        hits = (self.at(as_of) if as_of else self).search(question, k, filter)
        used: Reader = registry.load("reader", reader or DEFAULT_READER) if not isinstance(reader, Reader) else reader
        if model is None:
            fitted = stored_threshold(self._store, used.name) if threshold is None else threshold
            answer = answer_by_quoting(question, hits, used, self._store.text, threshold=fitted)
        else:
            writer: Model = registry.load("model", model) if isinstance(model, str) else model
            lookup = self._store.text
            answer = answer_by_writing(question, hits, writer, lookup, reader=used, unsupported=unsupported)
        answer = mark_superseded(answer, self._store.history, time.time())
        asked = iso_date(read_moment(as_of).last) if as_of else ""
        return replace(answer, as_of=asked, seconds=time.perf_counter() - started)

    def keep_threshold(self, found: Calibration, day: str) -> None:
        """Use a fitted threshold from now on; ``day`` is the ISO date that is recorded with it."""
        store_threshold(self._store, found, day)

    # -- upkeep ----------------------------------------------------------------------------------------------------

    def verify(self, repair: bool = False) -> VerifyReport:
        """Does the index hold exactly what the documents say? With ``repair`` it is made to."""
        return verify(self._store, self._preparer, repair=repair)

    def close(self) -> None:
        """Close the files. Closing twice is allowed."""
        if self._switch is not None:
            self._switch.close()
        self._past.close()
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

    def _follow_settings(self, progress: Progress | None, background: bool) -> None:
        """Make the chunks again when they were made with other settings, and the vectors that the embedder lacks. The
        new settings are recorded last, so that an interrupted rebuild starts again; vectors of the same text are kept.
        """
        recipe = self._preparer.recipe
        if self._store.get_meta("recipe") != recipe:
            ids = list(self._store.digests())
            for start in range(0, len(ids), _BATCH):
                found = [self._store.document(document_id) for document_id in ids[start : start + _BATCH]]
                documents = [document for document in found if document is not None]
                self._store.apply_all(self._prepared(documents, set(ids), root=None))
            self._store.set_meta("recipe", recipe)
        old = replaced(self._store, self._preparer) if background else None
        if old is not None:
            self._switch = Switch(self._store, self._preparer, old, _open_store)
        else:
            complete(self._store, self._preparer, _open_store, progress)

    def self_test(self, questions: Sequence[Question] = ()) -> Choice:
        """Measure which mix of words and vectors finds more (see ``knowledge.selftest``) and use it from now on.

        Raises ``DataError`` when there are too few documents and questions to tell.
        """
        choice = self_test(self._store, self._preparer, _open_store, questions)
        keep_choice(self._store, choice)
        return choice

    def states(self, roots: Sequence[Path] = ()) -> tuple[DocumentState, ...]:
        """The state of every document, compared with the files below ``roots``."""
        seen = None if self._labels is None else self._store.history.visible(self._labels)
        found = document_states(self._store, self._preparer.space, self._folder, roots)
        return tuple(one for one in found if seen is None or one.id in seen)

    def seen(self, ids: Sequence[str]) -> Seen:
        """What search and the built-in models will miss of some documents, judged by a sample of them."""
        step = max(1, len(ids) // _SAMPLE)
        return seen(self._preparer.embedder, [self._store.text(document_id) or "" for document_id in ids[::step]])

    def retrieval(self) -> Choice | None:
        """What the last self-test chose, None when there was none for these vectors."""
        return stored_choice(self._store, self._preparer.space)


def _open_store(folder: str) -> Backing:
    store: Backing = registry.load("store", f"sqlite:{folder}")
    return store
