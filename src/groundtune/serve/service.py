"""What is served: an approach that answers, the knowledge base behind its citations, and where feedback goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from groundtune.types import Answer, Hit, Question


class Answerer(Protocol):
    """The part of ``ports.Approach`` that serving needs."""

    name: str

    def answer(self, question: Question) -> Answer:
        """Answer one question."""


class Library(Protocol):
    """The part of ``KnowledgeBase`` that serving needs."""

    def search(self, query: str, k: int = 10) -> Sequence[Hit]:
        """Best ``k`` passages, best first."""

    def text(self, document_id: str, version: str | None = None) -> str | None:
        """The text of a stored version (default: the current one), None when there is none."""


@dataclass(frozen=True)
class Service:
    """``model`` is the name that clients ask for; ``feedback`` None means that feedback is not accepted; ``token``
    empty means that nobody is asked for one.
    """

    answerer: Answerer
    library: Library
    model: str = "groundtune"
    feedback: Path | None = None
    token: str = ""

    @property
    def models(self) -> tuple[str, ...]:
        """Names that a client may ask for."""
        return tuple(dict.fromkeys((self.model, self.answerer.name)))
