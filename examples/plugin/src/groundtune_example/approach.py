"""``faq``: answers as the example did whose question shares most words; refuses when none shares half of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from groundtune.text.tokenise import search_terms
from groundtune.types import Answer, Document, Example, Question


class Faq:
    """Implements ``groundtune.ports.Approach``; ``setting`` holds the configuration, the knowledge base and the models."""

    name = "faq"

    def __init__(self, setting: object) -> None:
        self._known: list[tuple[set[str], str]] = []

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Remember the examples."""
        self._known = [(set(search_terms(example.input)), example.target) for example in examples]

    def answer(self, question: Question) -> Answer:
        """One look through all of them."""
        started = time.perf_counter()
        asked = set(search_terms(question.text))
        share, said = max(
            ((len(asked & words) / max(1, len(asked | words)), target) for words, target in self._known),
            default=(0.0, ""),
        )
        seconds = time.perf_counter() - started
        return Answer(said if share >= 0.5 else "", abstained=share < 0.5, seconds=seconds, model="faq")
