"""The seams: small Protocols that the rooms above use and the rooms below fill. One to four methods each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from numpy.typing import NDArray

from groundtune.types import (
    Adapter,
    Answer,
    Chunk,
    Document,
    Example,
    Generation,
    Hit,
    Message,
    Question,
    Reading,
    Score,
)

Kind = Literal["query", "document"]
Filter = Mapping[str, str | int | float | bool | None | tuple[str, ...]]
# The filter key whose value is a tuple of access labels: only documents that a reader with these labels may see.
READER = "@reader"


@runtime_checkable
class Model(Protocol):
    """A chat model. ``name`` is the spec it was made from, e.g. ``openai:gpt-5-mini``."""

    name: str

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """Write the next assistant turn. Raises ``ModelUnreachable`` or ``ModelRefused``."""


@runtime_checkable
class StreamingModel(Model, Protocol):
    """A ``Model`` that can tell its text while it writes it."""

    def stream(
        self,
        messages: Sequence[Message],
        on_text: Callable[[str], None],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """What ``generate`` does; ``on_text`` is told every piece as it comes, and the pieces together are the text.
        A failure before the first piece is tried again, a later one raises.
        """


@runtime_checkable
class Reader(Protocol):
    """An extractive reader: finds answer spans in passages, so that an answer is its own citation."""

    name: str
    threshold: float

    def read(self, question: str, passages: Sequence[str], k: int = 5) -> list[Reading]:
        """Best ``k`` readings over all passages, best first. ``probability < threshold`` means: no answer here."""


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into unit vectors."""

    name: str
    dimension: int

    def embed(self, texts: Sequence[str], *, kind: Kind) -> NDArray[Any]:
        """float32 array of shape (len(texts), dimension), rows of length 1."""


class Store(Protocol):
    """Where documents, chunks and vectors live. Each call that changes something is one transaction."""

    def upsert(self, document: Document, chunks: Sequence[Chunk], vectors: NDArray[Any] | None) -> None:
        """Replace the current version of a document, its chunks and vectors; visible when this returns."""

    def delete(self, ids: Sequence[str]) -> int:
        """Remove documents from the current view (their versions stay); returns how many were there."""

    def digests(self) -> Mapping[str, str]:
        """Current version by document id."""

    def search(self, text: str, vector: NDArray[Any] | None, k: int, filter: Filter | None = None) -> list[Hit]:
        """Best ``k`` chunks of current versions, best first."""


class Retriever(Protocol):
    """Finds passages in an index of its own."""

    def search(self, query: str, k: int = 10) -> Sequence[Hit]:
        """Best ``k`` passages, best first."""


class Reranker(Protocol):
    """Orders hits again, e.g. with a cross-encoder."""

    def rerank(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits with new scores, best first."""


class Trainer(Protocol):
    """Trains an adapter on checked examples."""

    def train(self, examples: Sequence[Example], *, base: str, out: str) -> Adapter:
        """Train on ``examples`` and write a PEFT folder to ``out``; resumes when ``out`` holds a checkpoint."""


class Scorer(Protocol):
    """Scores one answer against one question."""

    name: str

    def score(self, item: Question, answer: Answer) -> Score:
        """A score in [0, 1], or ``Score(None)`` when it does not apply."""


class Approach(Protocol):
    """One way to adapt a model: fit once, then answer."""

    name: str

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Prepare (index, choose shots, train). Does nothing for plain prompting."""

    def answer(self, question: Question) -> Answer:
        """Answer one question; never raises for a wrong answer, only for an unreachable model."""
