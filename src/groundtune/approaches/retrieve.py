"""Retrieval as every approach does it: search, the few best sentences, and what the model is shown of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundtune.approaches.setting import Setting
from groundtune.errors import DataError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.context import Passage, select_passages
from groundtune.text.prompts import Shown
from groundtune.types import Hit, digest


@dataclass(frozen=True)
class Retrieved:
    """Passages for one question, in the order in which they are shown."""

    passages: tuple[Passage, ...]

    @property
    def shown(self) -> tuple[Shown, ...]:
        """The passages as a model sees them."""
        return tuple(as_shown(passage) for passage in self.passages)

    @property
    def context(self) -> tuple[Hit, ...]:
        """The passages as hits whose chunk is cut to what was shown."""
        return tuple(as_hit(passage) for passage in self.passages)


def knowledge_of(setting: Setting) -> KnowledgeBase:
    """The knowledge base. Raises ``DataError`` when the setting has none."""
    if setting.knowledge is None:
        raise DataError("approaches.no_knowledge")
    return setting.knowledge


def retrieve(setting: Setting, text: str) -> Retrieved:
    """What ``rag`` shows for a question, by the settings of ``[retrieval]``."""
    hits = knowledge_of(setting).search(text, k=setting.config.retrieval.k)
    return select(setting, text, hits)


def select(setting: Setting, text: str, hits: Sequence[Hit]) -> Retrieved:
    """The best sentences of ``hits`` for a question."""
    settings = setting.config.retrieval
    sentences, tokens = settings.context_sentences, settings.context_tokens
    return Retrieved(select_passages(text, hits, reader=setting.reader, sentences=sentences, tokens=tokens))


def as_shown(passage: Passage) -> Shown:
    """``Title | Heading`` and the text, with the reader's span in it marked."""
    return Shown(passage.label, passage.marked)


def as_hit(passage: Passage) -> Hit:
    """The passage's hit with its chunk cut to the passage."""
    chunk = passage.hit.chunk
    cut = replace(
        chunk,
        id=f"{chunk.id}:{passage.start}-{passage.end}",
        text=passage.text,
        start=passage.start,
        end=passage.end,
        digest=digest(passage.text),
    )
    return replace(passage.hit, chunk=cut)
