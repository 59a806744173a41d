"""What a knowledge base needs of its store beyond ``ports.Store``, and what it hands over for one document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from groundtune.knowledge.versions import Versions
from groundtune.ports import Filter, Store
from groundtune.text.inverted import Packed
from groundtune.types import Chunk, Document, Fusion, Hit

Terms = tuple[str, str]  # search terms of a chunk's label and body, each joined by spaces


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be stored. ``root`` ``""``: added by hand; None: keep what is recorded. ``space`` names the
    embedder of the vectors.
    """

    document: Document
    chunks: tuple[Chunk, ...]
    vectors: NDArray[Any] | None = None
    root: str | None = None
    file_digest: str = ""
    terms: Sequence[Terms] | None = None
    space: str = ""


class Inspected(Protocol):
    """Document ids by kind of drift; see the store's own class."""

    @property
    def documents(self) -> int: ...
    @property
    def chunk_count(self) -> int: ...
    @property
    def manifest(self) -> tuple[str, ...]: ...
    @property
    def text(self) -> tuple[str, ...]: ...
    @property
    def chunks(self) -> tuple[str, ...]: ...
    @property
    def terms(self) -> tuple[str, ...]: ...
    @property
    def vectors(self) -> tuple[str, ...]: ...
    @property
    def lexical(self) -> bool: ...
    @property
    def file(self) -> tuple[str, ...]: ...
    @property
    def outer(self) -> tuple[str, ...]: ...


class VectorSpace(Protocol):
    """The vectors of one embedder; not ``whole`` while some are missing."""

    @property
    def name(self) -> str: ...
    @property
    def whole(self) -> bool: ...


class Lacking(Protocol):
    """A chunk without a vector."""

    @property
    def row(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def heading(self) -> str: ...
    @property
    def text(self) -> str: ...


class StoredDocument(Protocol):
    """What the store holds of a document. ``since``: Unix seconds; ``lacking``: chunks without a vector."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def chunks(self) -> int: ...
    @property
    def since(self) -> float: ...
    @property
    def lacking(self) -> int: ...


class Contents(Store, Protocol):
    """Reading and writing documents and their versions."""

    def apply(self, entries: Sequence[Prepared], deleted: Sequence[str] = (), packed: Packed | None = None) -> int:
        """Write and delete in one transaction; returns how many of ``deleted`` were there."""

    def apply_all(
        self, batches: Iterable[tuple[Sequence[Prepared], Packed | None]], deleted: Sequence[str] = ()
    ) -> int:
        """``apply`` batch by batch as they come, in one transaction."""

    def document(self, document_id: str) -> Document | None:
        """The current version."""

    def text(self, document_id: str, version: str | None = None) -> str | None:
        """Text of the current or any stored version."""

    def chunks(self, document_id: str) -> list[Chunk]:
        """Chunks of the current version."""


class Backing(Contents, Protocol):
    """The whole store as a knowledge base uses it."""

    def search(
        self,
        text: str,
        vector: NDArray[Any] | None,
        k: int,
        filter: Filter | None = None,
        *,
        space: str = "",
        fusion: Fusion = Fusion(),  # noqa: B008 - frozen
    ) -> list[Hit]:
        """Best ``k`` chunks; ``vector`` is of the embedder that ``space`` names."""

    @property
    def history(self) -> Versions:
        """Every version of every document."""

    def vectors(self, document_id: str, space: str = "") -> Mapping[str, NDArray[Any]]:
        """Stored vectors by chunk id."""

    def listing(self, space: str = "") -> Sequence[StoredDocument]:
        """All current documents by id."""

    def spaces(self) -> Sequence[VectorSpace]:
        """The embedders that there are vectors of, oldest first."""

    def without_vector(self, space: str, after: int, limit: int) -> Sequence[Lacking]:
        """Chunks beyond a row that have no vector in a space."""

    def missing(self, space: str) -> int:
        """How many chunks have no vector in a space."""

    def fill(self, space: str, rows: Sequence[int], vectors: NDArray[Any]) -> None:
        """Add vectors to a space."""

    def take_over(self, space: str) -> bool:
        """Make a space the only one; False when it lacks vectors."""

    def sources(self, root: str) -> dict[str, str]:
        """File digest by id of the documents that came from ``root``."""

    def set_sources(self, root: str, digests: Mapping[str, str]) -> None:
        """Record where documents came from."""

    def get_meta(self, key: str, default: str = "") -> str:
        """A setting kept in the store."""

    def set_meta(self, key: str, value: str) -> None:
        """Keep a setting."""

    def inspect(self) -> Inspected:
        """Compare the tables with each other."""

    def rebuild_lexical(self) -> None:
        """Make the lexical index again."""

    def close(self) -> None:
        """Close the store."""
