"""Documents to chunks, search terms and vectors; vectors of text that did not change are used again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.knowledge.backing import Backing, Prepared, Terms
from groundtune.knowledge.chunk import RECIPE, chunk_document
from groundtune.ports import Embedder
from groundtune.text.batch import invert
from groundtune.text.inverted import Packed
from groundtune.text.prompts import label
from groundtune.types import Chunk, Document

# Texts per call of the embedder: enough for it to fill its own batches, few enough to stop within seconds.
_TEXTS = 512
_ELSEWHERE = 8_192  # that many keep all workers busy

Known = dict[tuple[str, str, str], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Cut:
    """A document with its chunks and their search terms: what needs neither a store nor an embedder."""

    document: Document
    chunks: tuple[Chunk, ...]
    terms: tuple[Terms, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """A document to be prepared. ``before`` is the id under which the store may hold vectors of the same text: its own,
    or that of the document it was renamed from; empty for a new one. ``vectors`` of its chunks, where they were made
    already: what the store holds comes first.
    """

    cut: Cut
    before: str = ""
    root: str | None = None
    file_digest: str = ""
    vectors: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Cuts:
    """Documents cut together, and the inverted lists of all their chunks."""

    made: tuple[Cut, ...]
    packed: Packed


def cut(document: Document, characters: int) -> Cut:
    """Chunks of about ``characters`` Latin characters, and their terms."""
    return cut_together([document], characters).made[0]


def cut_together(documents: Sequence[Document], characters: int) -> Cuts:
    """``cut`` of many documents; their terms are made together."""
    chunks = [chunk_document(document, characters) for document in documents]
    found = invert([(chunk.title, chunk.heading, chunk.text) for group in chunks for chunk in group])
    made: list[Cut] = []
    start = 0
    for document, group in zip(documents, chunks, strict=True):
        made.append(Cut(document, group, tuple(found.terms[start : start + len(group)])))
        start += len(group)
    return Cuts(tuple(made), found.packed)


@dataclass
class Work:
    """What an embedder has done so far; ``given`` counts the vectors that came ready."""

    texts: int = 0
    seconds: float = 0.0
    given: int = 0


@dataclass(frozen=True)
class Preparer:
    """How documents are prepared; the same settings always give the same chunks. ``spec`` is what the embedder was made
    from; ``elsewhere`` embeds in its place, many texts at once.
    """

    chunk_characters: int = 1200
    embedder: Embedder | None = None
    work: Work = field(default_factory=lambda: Work(), compare=False)
    spec: str = ""
    elsewhere: Callable[[Sequence[str]], NDArray[Any]] | None = field(default=None, compare=False)

    @property
    def recipe(self) -> str:
        """Changes when stored chunks would have to be made again."""
        return f"{RECIPE}|{self.chunk_characters}"

    @property
    def space(self) -> str:
        """Name of the vectors that the embedder makes; empty without one."""
        return self.embedder.name if self.embedder else ""

    @property
    def embedded(self) -> int:
        """How many texts were embedded so far."""
        return self.work.texts + self.work.given

    @property
    def texts_per_second(self) -> float:
        """How fast the embedder has been; 0 when that is not known yet."""
        return self.work.texts / self.work.seconds if self.work.seconds and self.work.texts >= 32 else 0.0

    def prepare(
        self, store: Backing, document: Document, *, root: str | None = None, file_digest: str = "", fresh: bool = False
    ) -> Prepared:
        """Chunk and embed. With ``fresh`` no stored vector is used again."""
        before = "" if fresh else document.id
        return self.prepare_all(store, [Task(cut(document, self.chunk_characters), before, root, file_digest)])[0]

    def prepare_all(self, store: Backing, tasks: Sequence[Task]) -> list[Prepared]:
        """Embed what has no vector yet, over all documents together."""
        if self.embedder is None:
            return [Prepared(t.cut.document, t.cut.chunks, None, t.root, t.file_digest, t.cut.terms) for t in tasks]
        known = [_known(store, task, self.space) for task in tasks]
        new = [
            (number, place)
            for number, task in enumerate(tasks)
            for place, chunk in enumerate(task.cut.chunks)
            if _key(task, chunk) not in known[number]
        ]
        new = self._taken(tasks, known, new)
        chunks = [tasks[number].cut.chunks[place] for number, place in new]
        made = self.embed([(chunk.title, chunk.heading, chunk.text) for chunk in chunks])
        for (number, _), chunk, vector in zip(new, chunks, made, strict=True):
            known[number][_key(tasks[number], chunk)] = vector
        return [self._prepared(task, known[number]) for number, task in enumerate(tasks)]

    def _taken(
        self, tasks: Sequence[Task], known: Sequence[Known], new: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Take the vectors that came with the tasks; what is left over has to be embedded."""
        for number, place in new:
            given = tasks[number].vectors
            if given is not None:
                known[number][_key(tasks[number], tasks[number].cut.chunks[place])] = given[place]
        left = [(number, place) for number, place in new if tasks[number].vectors is None]
        self.work.given += len(new) - len(left)
        return left

    def _prepared(self, task: Task, known: Known) -> Prepared:
        assert self.embedder is not None
        vectors = np.zeros((len(task.cut.chunks), self.embedder.dimension), dtype=np.float32)
        for place, chunk in enumerate(task.cut.chunks):
            vectors[place] = known[_key(task, chunk)]
        made = task.cut
        return Prepared(made.document, made.chunks, vectors, task.root, task.file_digest, made.terms, self.space)

    def embed(
        self, parts: Sequence[tuple[str, str, str]], told: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """Vectors of chunks given as (title, heading, text); ``told`` hears how many are done."""
        assert self.embedder is not None
        made = np.zeros((len(parts), self.embedder.dimension), dtype=np.float32)
        size = _TEXTS if self.elsewhere is None else _ELSEWHERE
        for start in range(0, len(parts), size):
            texts = [f"{label(title, heading)}\n{text}" for title, heading, text in parts[start : start + size]]
            begun = time.perf_counter()
            vectors = self.elsewhere(texts) if self.elsewhere else self.embedder.embed(texts, kind="document")
            made[start : start + len(texts)] = vectors
            self.work.seconds += time.perf_counter() - begun
            self.work.texts += len(texts)
            if told:
                told(start + len(texts))
        return made


def _key(task: Task, chunk: Chunk) -> tuple[str, str, str]:
    """What the vector of a chunk depends on. A renamed document keeps its vectors though its title may have been the
    name of its file.
    """
    renamed = task.before not in ("", task.cut.document.id)
    return chunk.digest, "" if renamed else chunk.title, chunk.heading


def _known(store: Backing, task: Task, space: str) -> Known:
    if not task.before:
        return {}
    vectors: Mapping[str, NDArray[Any]] = store.vectors(task.before, space)
    if not vectors:
        return {}
    return {_key(task, chunk): vectors[chunk.id] for chunk in store.chunks(task.before) if chunk.id in vectors}
