"""What stores outside the knowledge base's own folder have in common. Such a store is a search index: it is told what to
hold, document by document, and says what it holds; the embedded store beside it stays the record (``store/mirrored.py``).

A store that derives from ``OuterStore`` writes five methods: ``apply``, ``listing``, ``lexical``, ``dense``, ``close``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from numpy.typing import NDArray

from groundtune.errors import SpecError
from groundtune.ports import Filter
from groundtune.store.evidence import parse_query
from groundtune.store.fusion import fuse
from groundtune.store.payload import Needs, needs
from groundtune.store.rows import Terms, terms_of
from groundtune.types import Chunk, Document, Hit

CANDIDATES = 100
DEFAULT_NAME = "groundtune"

# How telling terms are: inverse document frequency by term, from whoever knows it.
Weigh = Callable[[Sequence[str]], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A document as it is sent. ``vectors`` has one row of length 1 per chunk, or is None. ``terms`` are the search terms
    per chunk (label, body) when they were made already. ``stamp`` stands for everything that is sent; it is given back
    by ``listing``.
    """

    document: Document
    chunks: Sequence[Chunk]
    vectors: NDArray[Any] | None = None
    terms: Sequence[Terms] | None = None
    stamp: str = ""

    def search_terms(self) -> list[Terms]:
        """Terms of each chunk, made when they are not there."""
        return list(self.terms) if self.terms is not None else [terms_of(chunk) for chunk in self.chunks]


@dataclass(frozen=True, slots=True)
class Held:
    """What a store says that it holds of a document: numbers are counted, not remembered."""

    id: str
    version: str
    stamp: str
    chunks: int
    vectors: int


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk that one side of a search has found. Higher ``score`` is better."""

    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where an outer store is: ``address#name``, e.g. ``postgresql://host/db#handbook``."""

    address: str
    name: str = DEFAULT_NAME
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Place:
        """Take ``address#name`` apart. Raises ``SpecError`` for a name with anything but letters, digits, ``_``, ``-``."""
        address, _, name = text.partition("#")
        name = unquote(name) or DEFAULT_NAME
        if not name.replace("_", "").replace("-", "").isalnum() or not name.isascii() or len(name) > 40:
            raise SpecError("store.bad_name", name=name)
        return cls(address, name)


class OuterStore(ABC):
    """Implements ``ports.Store``. ``weigh`` is set by who knows the inverse document frequencies, for engines that do
    not count words themselves.
    """

    weigh: Weigh | None = None

    # -- ports.Store -----------------------------------------------------------------------------------------------

    def upsert(self, document: Document, chunks: Sequence[Chunk], vectors: NDArray[Any] | None) -> None:
        """Replace what is held of a document; visible when this returns. Raises ``ValueError`` for a number of vectors
        that is not that of chunks, ``StoreError`` for what the engine refuses; nothing is changed then.
        """
        self.apply([Outgoing(document, chunks, vectors, None, document.version)])

    def delete(self, ids: Sequence[str]) -> int:
        """Remove documents; returns how many were there."""
        return self.apply((), ids)

    def digests(self) -> dict[str, str]:
        """Version by document id, sorted by id."""
        return dict(sorted((held.id, held.version) for held in self.listing()))

    def search(self, text: str, vector: NDArray[Any] | None, k: int, filter: Filter | None = None) -> list[Hit]:
        """Best ``k`` chunks, best first. With a vector the lexical and the dense order are fused (reciprocal ranks);
        ``Hit.lexical`` and ``Hit.dense`` are the scores of the two sides, None where a side did not find the chunk.
        """
        wanted = needs(filter)
        if k <= 0 or wanted.never:
            return []
        terms = parse_query(text).strongest()
        if vector is None:
            found = self.lexical(terms, k, wanted) if terms else []
            return [Hit(one.chunk, one.score, one.score, None) for one in found[:k]]
        count = max(CANDIDATES, 2 * k)
        return fused(self.lexical(terms, count, wanted) if terms else [], self.dense(vector, count, wanted), k)

    # -- what an engine writes -------------------------------------------------------------------------------------

    @abstractmethod
    def apply(self, entries: Sequence[Outgoing], deleted: Sequence[str] = ()) -> int:
        """Replace ``entries`` and remove ``deleted``; returns how many of ``deleted`` were there. Visible to every
        reader when this returns; doing it again changes nothing. One transaction where the engine has them; elsewhere
        what a crash leaves half done is put right by doing it again.
        """

    @abstractmethod
    def listing(self) -> Iterable[Held]:
        """Everything that is held, also documents without chunks."""

    @abstractmethod
    def lexical(self, terms: Mapping[str, float], count: int, wanted: Needs) -> list[Found]:
        """Best ``count`` chunks that hold one of ``terms`` (with their worth in (0, 1], without document frequencies)."""

    @abstractmethod
    def dense(self, vector: NDArray[Any], count: int, wanted: Needs) -> list[Found]:
        """Best ``count`` chunks by cosine with a vector of length 1; [] when no vectors are held."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection. Closing twice is allowed."""


def fused(lexical: Sequence[Found], dense: Sequence[Found], k: int) -> list[Hit]:
    """Both orders as one."""
    rows: dict[str, int] = {}
    chunks: list[Chunk] = []
    for one in (*lexical, *dense):
        if one.chunk.id not in rows:
            rows[one.chunk.id] = len(chunks)
            chunks.append(one.chunk)
    words = [(rows[one.chunk.id], one.score) for one in lexical]
    meanings = [(rows[one.chunk.id], one.score) for one in dense]
    return [Hit(chunks[row], score, word, meaning) for row, score, word, meaning in fuse(words, meanings)[:k]]


def check_vectors(entries: Sequence[Outgoing]) -> int:
    """The length of the vectors of all entries, 0 when there are none. Raises ``ValueError`` when numbers or lengths
    differ.
    """
    lengths: set[int] = set()
    for entry in entries:
        if entry.vectors is None:
            continue
        if len(entry.vectors) != len(entry.chunks):
            raise ValueError(f"{len(entry.vectors)} vectors for {len(entry.chunks)} chunks of {entry.document.id}")
        if len(entry.vectors):
            lengths.add(int(entry.vectors.shape[1]))
    if len(lengths) > 1:
        raise ValueError(f"vectors of different lengths: {sorted(lengths)}")
    return lengths.pop() if lengths else 0
