"""``long-context``: all documents stand before the question, in every call; a prompt cache makes that affordable.

The documents come first and the question last, so that the prefix is the same in every call and can be cached.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from groundtune.approaches.common import ask, extract_answer, prepared, system_prompt
from groundtune.approaches.setting import Setting
from groundtune.errors import CannotRun
from groundtune.knowledge.cite import cite, quoted_in
from groundtune.knowledge.context import Passage, estimate_tokens
from groundtune.knowledge.markers import asks_for_parentheses
from groundtune.ports import Model
from groundtune.text.control import neutralise
from groundtune.text.normalise import fold, squeeze
from groundtune.text.prompts import Shown, label, render
from groundtune.types import Answer, Chunk, Document, Example, Hit, Message, Question

USUAL_WINDOW = 128_000  # tokens; what is assumed of a model that does not say
_QUESTION = 64  # tokens kept free for the question
_LIKELY = 3  # documents that a search for the answer names and that are looked through for its source
_NUMBER = re.compile(r"\d+")


class LongContext:
    """The base model with the whole corpus in its prompt. ``corpus`` is what every answer was shown."""

    name = "long-context"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._system = system_prompt(setting.config)
        self._passages: tuple[Passage, ...] = ()
        self._folded: tuple[str, ...] = ()
        self._prefix = ""
        self._texts: Mapping[tuple[str, str], str] = {}

    @property
    def corpus(self) -> tuple[Hit, ...]:
        """Every document as one hit. Answers do not carry it, so that a thousand of them do not hold a thousand copies."""
        return tuple(passage.hit for passage in self._passages)

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Write the prefix. Raises ``CannotRun`` when it does not fit the model's window."""
        self._setting, self._system = prepared(self._setting, examples)
        self._passages = tuple(_passage(document) for document in documents)
        self._folded = tuple(squeeze(fold(passage.text)) for passage in self._passages)
        self._texts = {(document.id, document.version): document.text for document in documents}
        self._prefix = render("", [Shown(passage.label, passage.text) for passage in self._passages])
        model = self._setting.open_model(None)
        messages = (Message("system", self._system), Message("user", self._prefix))
        needed = count_tokens(model, messages) + _QUESTION + self._setting.config.compare.max_answer_tokens
        window = window_of(self._setting, model)
        if needed > window:
            raise CannotRun("approaches.does_not_fit", tokens=f"{needed:,}", window=f"{window:,}", model=model.name)

    def answer(self, question: Question) -> Answer:
        """One call to the base model, citations of what it said."""
        started = time.perf_counter()
        text = self._prefix + neutralise(question.text.strip())
        answer = ask(self._setting, self._setting.open_model(None), self._system, text, started=started)
        if answer.abstained:
            return answer
        said = extract_answer(answer.text, self._setting.config.format.answer_field).value or answer.text
        round_ones = asks_for_parentheses(self._system)
        found = cite(said, self._likely(said), lambda *key: self._texts.get(key), parentheses=round_ones)
        return replace(
            answer,
            citations=found.citations,
            dropped_citations=found.dropped,
            seconds=time.perf_counter() - started,
        )

    def _likely(self, said: str) -> list[Passage]:
        """The documents, emptied where the answer cannot come from: looking through every sentence takes seconds."""
        needles = [squeeze(fold(needle)) for needle in (said, *quoted_in(said))]
        numbers = {int(number) for number in _NUMBER.findall(said) if len(number) < 6}
        found = self._setting.knowledge.search(said, k=_LIKELY) if self._setting.knowledge is not None else []
        named = {hit.chunk.document_id for hit in found}
        kept = [
            number in numbers or passage.hit.chunk.document_id in named or any(needle in text for needle in needles)
            for number, (passage, text) in enumerate(zip(self._passages, self._folded, strict=True), start=1)
        ]
        return [
            passage if keep else replace(passage, text="", end=passage.start)
            for passage, keep in zip(self._passages, kept, strict=True)
        ]


def count_tokens(model: Model, messages: Sequence[Message]) -> int:
    """Tokens of a chat: exact where the model can count, else an estimate."""
    encode = getattr(model, "encode", None)
    if encode is not None:
        return len(encode(messages))
    return sum(estimate_tokens(message.content) for message in messages)


def window_of(setting: Setting, model: Model) -> int:
    """Tokens that fit one call: ``compare.window``, else what the model says, else ``USUAL_WINDOW``."""
    said = setting.config.compare.window or getattr(model, "limit", None) or getattr(model, "context", None)
    return int(said or USUAL_WINDOW)


def _passage(document: Document) -> Passage:
    text, title = document.text, document.title
    chunk = Chunk(document.id, document.id, document.version, text, 0, len(text), document.version, title=title)
    return Passage(Hit(chunk, 0.0), 0, len(text), text, label(title))
