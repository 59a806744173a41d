"""``few-shot``: a few examples before the question, chosen once so that they differ from each other."""

from __future__ import annotations

import random
from collections.abc import Sequence

from groundtune.approaches.common import ask, system_prompt, unanswerable
from groundtune.approaches.setting import Setting
from groundtune.text.tokenise import search_terms
from groundtune.types import Answer, Document, Example, Question


class FewShot:
    """The base model with ``compare.shots`` examples as finished turns; with ``nearest`` those most like the question."""

    name = "few-shot"

    def __init__(self, setting: Setting, *, nearest: bool = False) -> None:
        self._setting = setting
        self._nearest = nearest
        self._system = system_prompt(setting.config)
        self._examples: tuple[Example, ...] = ()
        self.shots: tuple[Example, ...] = ()

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Choose the shots from the training examples."""
        config = self._setting.config
        self._system = system_prompt(config, examples)
        self._examples = tuple(examples)
        self.shots = choose_shots(
            examples, config.compare.shots, seed=config.compare.seed, field=config.format.answer_field
        )

    def answer(self, question: Question) -> Answer:
        """One call to the base model with the shots before the question."""
        shots = nearest_shots(self._examples, question.text, len(self.shots)) if self._nearest else self.shots
        return ask(self._setting, self._setting.open_model(None), self._system, question.text, shots)


def choose_shots(examples: Sequence[Example], k: int, *, seed: int, field: str) -> tuple[Example, ...]:
    """``k`` examples: the first by ``seed``, each next one sharing the fewest terms with those chosen; one of them is
    unanswerable when there is one and ``k`` > 1. Examples over twice the median length are left out, so that the
    shots fit a short context.
    """
    if k <= 0 or not examples:
        return ()
    sizes = sorted(_size(example) for example in examples)
    pool = [example for example in examples if _size(example) <= 2 * sizes[len(sizes) // 2]]
    random.Random(seed).shuffle(pool)
    refusals = [example for example in pool if unanswerable(example, field)]
    answers = [example for example in pool if not unanswerable(example, field)]
    kept = 1 if refusals and answers and k > 1 else 0
    chosen = _spread(answers or refusals, k - kept)
    return (*chosen, *refusals[:1]) if kept else tuple(chosen)


def nearest_shots(examples: Sequence[Example], text: str, k: int) -> tuple[Example, ...]:
    """The ``k`` examples whose inputs share the most terms with ``text``, the most alike last (next to the question)."""
    asked = set(search_terms(text))
    ranked = sorted(examples, key=lambda example: -_overlap(asked, set(search_terms(example.input))))
    return tuple(reversed(ranked[:k]))


def _spread(pool: Sequence[Example], k: int) -> list[Example]:
    left = [(example, set(search_terms(f"{example.input} {example.target}"))) for example in pool]
    chosen: list[Example] = []
    nearest = [0.0] * len(left)
    while left and len(chosen) < k:
        at = min(range(len(left)), key=lambda i: nearest[i])
        example, terms = left.pop(at)
        nearest.pop(at)
        chosen.append(example)
        nearest = [max(near, _overlap(terms, other)) for near, (_, other) in zip(nearest, left, strict=True)]
    return chosen


def _overlap(a: set[str], b: set[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def _size(example: Example) -> int:
    return len(example.input) + len(example.target)
