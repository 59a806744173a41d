"""What a knowledge base needs of its store beyond ``ports.Store``, and what it hands over for one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from groundtune.ports import Store
from groundtune.types import Chunk, Document


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready to be stored. ``root`` ``""``: added by hand; None: keep what is recorded."""

    document: Document
    chunks: tuple[Chunk, ...]
    vectors: NDArray[Any] | None = None
    root: str | None = None
    file_digest: str = ""


class Inspected(Protocol):
    """Document ids by kind of drift; see the store's own class."""

    @property
    def documents(self) -> int: ...
    @property
    def chunk_count(self) -> int: ...
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


class Contents(Store, Protocol):
    """Reading and writing documents and their versions."""

    def apply(self, entries: Sequence[Prepared], deleted: Sequence[str] = ()) -> int:
        """Write and delete in one transaction; returns how many of ``deleted`` were there."""

    def document(self, document_id: str) -> Document | None:
        """The current version."""

    def text(self, document_id: str, version: str | None = None) -> str | None:
        """Text of the current or any stored version."""

    def chunks(self, document_id: str) -> list[Chunk]:
        """Chunks of the current version."""


class Backing(Contents, Protocol):
    """The whole store as a knowledge base uses it."""

    def vectors(self, document_id: str) -> Mapping[str, NDArray[Any]]:
        """Stored vectors by chunk id."""

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
