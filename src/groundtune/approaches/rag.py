"""``rag``: the passages that the knowledge base finds stand before the question; citations are checked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from groundtune.approaches.common import ask, extract_answer, prepared, system_prompt
from groundtune.approaches.retrieve import knowledge_of, retrieve
from groundtune.approaches.setting import Setting
from groundtune.knowledge.cite import cite
from groundtune.knowledge.fitting import write_fitting
from groundtune.knowledge.markers import asks_for_parentheses
from groundtune.ports import Model
from groundtune.text.prompts import render
from groundtune.types import Answer, Document, Example, Question


class Rag:
    """The base model with retrieved passages."""

    name = "rag"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._system = system_prompt(setting.config)

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Documents are in the knowledge base already. Raises ``DataError`` without one."""
        knowledge_of(self._setting)
        self._setting, self._system = prepared(self._setting, examples)

    def answer(self, question: Question) -> Answer:
        """Search, one call to the base model, citations of what it said."""
        return answer_grounded(self._setting, self._setting.open_model(None), self._system, question.text)


def answer_grounded(setting: Setting, model: Model, system: str, text: str) -> Answer:
    """Retrieve, ask, cite. ``context`` of the answer is what was shown; a refusal cites nothing."""
    started = time.perf_counter()
    found = retrieve(setting, text)
    fitted = write_fitting(lambda shown: ask(setting, model, system, render(text, shown), started=started), found.shown)
    answer = replace(fitted.value, context=found.context, omitted=fitted.omitted)
    if answer.abstained:
        return answer
    said = extract_answer(answer.text, setting.config.format.answer_field)
    round_ones = asks_for_parentheses(system)
    cited = cite(
        said.value or answer.text,
        found.passages[: len(found.passages) - fitted.omitted],
        knowledge_of(setting).text,
        parentheses=round_ones,
    )
    return replace(
        answer,
        citations=tuple(cited.citations),
        dropped_citations=cited.dropped,
        seconds=time.perf_counter() - started,
    )
