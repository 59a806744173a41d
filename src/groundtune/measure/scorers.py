"""Answer scorers without a judge: exact match and token F1 (SQuAD v2; one token per CJK character), answer-in-output.

A small function each, and a class that fills the ``Scorer`` port with it. Scores are in [0, 1]; ``None`` where a score
does not apply.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from groundtune.measure.numerals import forms
from groundtune.text.normalise import answer_tokens, fold, squeeze
from groundtune.text.scripts import CJK
from groundtune.types import Answer, Question, Score

_PART = re.compile(f"[{CJK}]|[^{CJK}]+")


def tokens(text: str) -> list[str]:
    """Answer tokens, with CJK characters one by one also where they touch digits or letters (``30日`` is two)."""
    return [part for token in answer_tokens(text) for part in _PART.findall(token)]


def same_answer(prediction: str, gold: str) -> bool:
    """True when both have the same tokens in the same order (without tokens: the same folded text)."""
    pairs = [(tokens(a), tokens(b)) for a, b in _paired_forms(prediction, gold)]
    if not any(left or right for left, right in pairs):
        return squeeze(fold(prediction)) == squeeze(fold(gold))
    return any(left == right for left, right in pairs)


def exact_match(prediction: str, golds: Sequence[str]) -> float:
    """1.0 when the prediction equals one of ``golds``, else 0.0."""
    return float(any(same_answer(prediction, gold) for gold in golds))


def token_f1(prediction: str, golds: Sequence[str]) -> float:
    """Multiset token overlap F1, the best over ``golds`` (SQuAD ``evaluate-v2.0.py``; MLQA and JSQuAD for CJK)."""
    return max((_f1(prediction, gold) for gold in golds), default=0.0)


def _f1(prediction: str, gold: str) -> float:
    return max(_overlap(a, b) for a, b in _paired_forms(prediction, gold))


def _overlap(prediction: str, gold: str) -> float:
    left, right = tokens(prediction), tokens(gold)
    if not left or not right:
        return float(same_answer(prediction, gold))
    same = sum((Counter(left) & Counter(right)).values())
    return 2.0 * same / (len(left) + len(right))


def contains(text: str, answer: str) -> bool:
    """True when the tokens of ``answer`` stand in ``text`` one after the other, numbers compared as numbers."""
    return any(b and f" {b} " in f" {a} " for a, b in zip(_spaced(text), _spaced(answer), strict=True))


def answer_in_output(output: str, golds: Sequence[str]) -> float:
    """1.0 when an accepted answer stands in the output (ALCE's STR-EM)."""
    return float(any(contains(output, gold) for gold in golds))


@lru_cache(maxsize=1024)  # the passages of a corpus are looked through for every answer
def _spaced(text: str) -> tuple[str, str]:
    """Both forms with a space between the tokens."""
    plain, digits = forms(text)
    return " ".join(tokens(plain)), " ".join(tokens(digits))


def _paired_forms(left: str, right: str) -> list[tuple[str, str]]:
    return list(zip(forms(left), forms(right), strict=True))


class ExactMatch:
    """EM of the answer; not applicable to unanswerable questions, 0 for a refusal."""

    name = "answer_em"

    def score(self, item: Question, answer: Answer) -> Score:
        """1.0 or 0.0."""
        if (score := _refusal(item, answer)) is not None:
            return score
        return Score(exact_match(short_form(answer), item.answers))


class TokenF1:
    """Token F1 of the answer; not applicable to unanswerable questions, 0 for a refusal."""

    name = "answer_f1"

    def score(self, item: Question, answer: Answer) -> Score:
        """A value in [0, 1]."""
        if (score := _refusal(item, answer)) is not None:
            return score
        return Score(token_f1(short_form(answer), item.answers))


class AnswerInOutput:
    """Whether the whole output holds an accepted answer; for models that answer in sentences."""

    name = "answer_in_output"

    def score(self, item: Question, answer: Answer) -> Score:
        """1.0 or 0.0."""
        if (score := _refusal(item, answer)) is not None:
            return score
        return Score(answer_in_output(answer.text, item.answers))


def short_form(answer: Answer) -> str:
    """The span where the approach gives one, else the text."""
    return answer.span or answer.text


def _refusal(item: Question, answer: Answer) -> Score | None:
    if not item.answerable or not item.answers:
        return Score(None, "no accepted answer")
    return Score(0.0, "refused") if answer.abstained else None
