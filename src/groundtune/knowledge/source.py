"""What is to be read: a file, a file in an archive, or something that is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from groundtune.errors import DataError
from groundtune.knowledge.extract import Scalar


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a source beside its bytes: the ``suffix`` of its format (with the dot), the ``charset`` that a
    server named, metadata that goes into the document.
    """

    suffix: str
    charset: str = ""
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


class Origin(Protocol):
    """Where the bytes of a source that is not a file by itself come from."""

    def read(self) -> bytes:
        """The content. Raises ``DataError``."""

    def facts(self) -> Facts:
        """What came with the content; asked after ``read``."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document to be read. ``id`` is its path below ``root`` with forward slashes (its name when given directly),
    or its address; ``root`` is what was given: a path, or an address as text. ``keeps``: documents of the same root
    whose id starts with this stay though they were not found (an archive that cannot be opened, an address that does
    not answer, older entries of a feed); None: none.
    """

    id: str
    path: Path
    root: Path | str
    origin: Origin | None = None
    keeps: str | None = None


@dataclass(frozen=True)
class Unreadable:
    """Stands in the list for something that failed while sources were looked for, so that it is reported."""

    error: DataError

    def read(self) -> bytes:
        raise self.error

    def facts(self) -> Facts:
        return Facts("")


def not_found(sources: Sequence[Source], root: Path | str, held: Iterable[str]) -> set[str]:
    """Documents among ``held``, which came from ``root`` before, that are no source any more and that no source
    ``keeps``.
    """
    present = {source.id for source in sources}
    kept = tuple({source.keeps for source in sources if source.keeps is not None and source.root == root})
    return {document_id for document_id in held if document_id not in present and not document_id.startswith(kept)}
