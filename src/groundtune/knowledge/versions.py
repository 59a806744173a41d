"""What looking back needs of a store: the versions of documents and who may see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class StoredVersion(Protocol):
    """One version without its text; see the store's own class."""

    @property
    def seq(self) -> int: ...
    @property
    def document_id(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...
    @property
    def since(self) -> float: ...
    @property
    def until(self) -> float | None: ...
    @property
    def characters(self) -> int: ...


class Versions(Protocol):
    """Every version of every document. ``labels`` None means a reader who may see everything."""

    def rows(self, document_id: str | None = None, labels: Sequence[str] | None = None) -> Sequence[StoredVersion]:
        """Versions of one document (or all), oldest first."""

    def text(self, document_id: str, version: str | None, labels: Sequence[str] | None = None) -> str | None:
        """Text of the current or any stored version."""

    def text_at(self, seq: int) -> str:
        """Text of one row."""

    def visible(self, labels: Sequence[str]) -> frozenset[str]:
        """Ids of the current documents that a reader may see."""

    def drop(self, rows: Sequence[Any]) -> int:
        """Remove superseded versions, never a current one; returns how many went."""

    def shrink(self) -> None:
        """Give the space of dropped versions back to the disk."""

    def copy_to(self, folder: Path) -> None:
        """A consistent copy of the whole store in another folder."""
