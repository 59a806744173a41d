"""``prompt``: the instruction and the question, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.approaches.common import ask, prepared, system_prompt
from groundtune.approaches.setting import Setting
from groundtune.types import Answer, Document, Example, Question


class Prompt:
    """The base model with the house instruction."""

    name = "prompt"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._system = system_prompt(setting.config)

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Takes the system prompt from the examples when the settings have none."""
        self._setting, self._system = prepared(self._setting, examples)

    def answer(self, question: Question) -> Answer:
        """One call to the base model."""
        return ask(self._setting, self._setting.open_model(None), self._system, question.text, live=True)
