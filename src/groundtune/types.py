"""The nouns of groundtune: frozen dataclasses that every room shares. Standard library only.

Offsets are in Unicode code points (Python string indices), half-open ``[start, end)``, into the text of
one stored version of a document.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]
# What happens to sentences of a written answer that nothing supports.
Unsupported = Literal["flag", "remove", "keep"]


def digest(text: str) -> str:
    """SHA-256 of UTF-8 text, first 32 hexadecimal digits (128 bits)."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of code points in one document version."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """One document as it is stored. ``metadata`` holds JSON scalars; ``title`` is used in citations."""

    id: str
    text: str
    metadata: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Content digest of the text: equal text, equal version."""
        return digest(self.text)

    @property
    def title(self) -> str:
        title = self.metadata.get("title")
        return str(title) if title else self.id


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of one version of a document; ``text == document.text[start:end]`` always."""

    id: str
    document_id: str
    version: str
    text: str
    start: int
    end: int
    digest: str
    title: str = ""
    heading: str = ""
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved chunk. Higher ``score`` is better; ``lexical`` and ``dense`` are the parts it was fused from."""

    chunk: Chunk
    score: float
    lexical: float | None = None
    dense: float | None = None


@dataclass(frozen=True, slots=True)
class Fusion:
    """How much a place in the lexical and in the dense order counts when the two are fused; 0 leaves one out."""

    lexical: float = 1.0
    dense: float = 1.0


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str

    def as_dict(self) -> dict[str, str]:
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call (or a sum of calls). ``cached_tokens`` is the part of the input read from a prompt cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model wrote. ``seconds`` is wall time; ``finished`` is False when ``max_tokens`` cut it off."""

    text: str
    usage: Usage
    seconds: float
    model: str = ""
    finished: bool = True


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote that stands word for word at ``[start, end)`` of the stored version.

    ``sentence`` is the part of the answer's text that it supports. ``superseded`` is the ISO date on which the version
    ceased to hold (empty while it holds) and ``newer`` the version that took its place (empty when none did).
    """

    document_id: str
    version: str
    start: int
    end: int
    quote: str
    title: str = ""
    heading: str = ""
    sentence: Span | None = None
    superseded: str = ""
    newer: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its checked citations. ``context`` is what the model was shown (empty without retrieval).

    ``unsupported`` are the sentences of the text that no citation supports. ``as_of`` is the ISO date whose state of the
    documents was asked, empty for the current one. ``omitted`` counts passages that did not fit into the model's window.
    ``unread`` is the share of letters, in [0, 1], of question and passages in scripts that the built-in model which
    answered has never seen.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    abstained: bool = False
    usage: Usage = Usage()
    seconds: float = 0.0
    model: str = ""
    span: str = ""
    confidence: float | None = None
    dropped_citations: int = 0
    context: tuple[Hit, ...] = ()
    unsupported: tuple[Span, ...] = ()
    as_of: str = ""
    omitted: int = 0
    unread: float = 0.0

    @property
    def stale(self) -> bool:
        """True when a citation stands in a version that no longer holds."""
        return any(citation.superseded for citation in self.citations)


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer span that a reader found: passage ``index`` and offsets inside that passage's text.

    ``sentence_start``/``sentence_end`` enclose the span; ``score`` orders readings of one question over all
    passages; ``probability`` is the calibrated probability in [0, 1] that the span answers the question.
    """

    index: int
    start: int
    end: int
    sentence_start: int
    sentence_end: int
    score: float
    probability: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a question's answer stands: document id and a verbatim quote."""

    document: str
    quote: str


@dataclass(frozen=True, slots=True)
class Question:
    """A held-out question. ``answers`` are all accepted; empty with ``answerable=False``."""

    text: str
    answers: tuple[str, ...] = ()
    evidence: Evidence | None = None
    answerable: bool = True
    id: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Example:
    """A chat whose last assistant turn shows how an answer should look."""

    messages: tuple[Message, ...]
    id: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Content of the last assistant turn."""
        return self.messages[-1].content

    @property
    def prompt(self) -> tuple[Message, ...]:
        """All turns before the target."""
        return self.messages[:-1]

    @property
    def input(self) -> str:
        """Content of the last user turn."""
        for message in reversed(self.prompt):
            if message.role == "user":
                return message.content
        return ""


@dataclass(frozen=True, slots=True)
class Score:
    """One score in [0, 1] (or None when it does not apply to the item) and the reason in a few words."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A trained adapter on disk (PEFT folder) and what is needed to serve it the way it was trained."""

    path: str
    base: str
    digest: str
    settings: Mapping[str, object] = field(default_factory=dict)
    seconds: float = 0.0
    final_loss: float | None = None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a synchronisation did, by document id. ``failed`` maps id to the reason; a failed document keeps its
    last good version. ``renamed`` maps the new id of a moved file to its old one. ``embedded`` counts embedded texts.
    """

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    renamed: Mapping[str, str] = field(default_factory=dict)
    embedded: int = 0

    @property
    def changed(self) -> int:
        return len(self.added) + len(self.updated) + len(self.deleted) + len(self.renamed)


def messages_digest(messages: Sequence[Message]) -> str:
    """Digest of a chat, for caches."""
    return digest(json.dumps([m.as_dict() for m in messages], ensure_ascii=False))
