"""``few-shot``: a few examples before the question, chosen once so that they differ from each other."""

from __future__ import annotations

import random
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from groundtune.approaches.common import ask, prepared, system_prompt, unanswerable
from groundtune.approaches.setting import Setting
from groundtune.text.tokenise import search_terms
from groundtune.types import Answer, Document, Example, Question


class FewShot:
    """The base model with ``compare.shots`` examples as finished turns; with ``compare.shot_choice`` ``nearest`` those
    most like the question.
    """

    name = "few-shot"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._system = system_prompt(setting.config)
        self._indexed: tuple[tuple[Example, frozenset[str]], ...] = ()
        self.shots: tuple[Example, ...] = ()

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Choose the shots from the training examples."""
        self._setting, self._system = prepared(self._setting, examples)
        config = self._setting.config
        if config.compare.shot_choice == "nearest":
            self._indexed = tuple(
                (example, frozenset(search_terms(example.input))) for example in of_usual_size(examples)
            )
        self.shots = choose_shots(
            examples, config.compare.shots, seed=config.compare.seed, field=config.format.answer_field
        )

    def answer(self, question: Question) -> Answer:
        """One call to the base model with the shots before the question."""
        shots = nearest_shots(self._indexed, question.text, len(self.shots)) if self._indexed else self.shots
        return ask(self._setting, self._setting.open_model(None), self._system, question.text, shots, live=True)


def choose_shots(examples: Sequence[Example], k: int, *, seed: int, field: str) -> tuple[Example, ...]:
    """``k`` examples: the first by ``seed``, each next one sharing the fewest terms with those chosen; one of them is
    unanswerable when there is one and ``k`` > 1. Examples over twice the median length are left out, so that the
    shots fit a short context.
    """
    if k <= 0 or not examples:
        return ()
    pool = of_usual_size(examples)
    random.Random(seed).shuffle(pool)
    refusals = [example for example in pool if unanswerable(example, field)]
    answers = [example for example in pool if not unanswerable(example, field)]
    kept = 1 if refusals and answers and k > 1 else 0
    chosen = _spread(answers or refusals, k - kept)
    return (*chosen, *refusals[:1]) if kept else tuple(chosen)


def nearest_shots(indexed: Sequence[tuple[Example, frozenset[str]]], text: str, k: int) -> tuple[Example, ...]:
    """The ``k`` examples whose inputs share the most terms with ``text``, the most alike last (next to the question).
    ``indexed`` are examples with the search terms of their inputs.
    """
    asked = set(search_terms(text))
    ranked = sorted(indexed, key=lambda pair: -_overlap(asked, pair[1]))
    return tuple(example for example, _ in reversed(ranked[:k]))


def of_usual_size(examples: Sequence[Example]) -> list[Example]:
    """Examples of at most twice the median length."""
    sizes = sorted(_size(example) for example in examples)
    return [example for example in examples if _size(example) <= 2 * sizes[len(sizes) // 2]]


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


def _overlap(a: AbstractSet[str], b: AbstractSet[str]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def _size(example: Example) -> int:
    return len(example.input) + len(example.target)
