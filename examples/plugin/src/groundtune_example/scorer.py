"""``brief:20``: 1 for an answer of at most 20 words (a Chinese or Japanese character counts as half a word), else 0."""

from __future__ import annotations

import re

from groundtune.types import Answer, Question, Score

_WIDE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


class Brief:
    """Implements ``groundtune.ports.Scorer``; ``name`` is the name of the metric in the report."""

    name = "brief"

    def __init__(self, words: int) -> None:
        self._words = words

    def score(self, item: Question, answer: Answer) -> Score:
        """``Score(None)`` where it does not apply: a refusal has no length to judge."""
        if answer.abstained:
            return Score(None, "refused")
        wide = len(_WIDE.findall(answer.text))
        length = wide / 2 + len(_WIDE.sub(" ", answer.text).split())
        return Score(float(length <= self._words), f"{length:g} words")


def open_scorer(name: str, **options: object) -> Brief:
    """The factory."""
    return Brief(int(name or 20))
