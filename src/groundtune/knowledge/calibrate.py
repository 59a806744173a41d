"""How sure the reader must be before it answers: a threshold fitted on the user's own questions.

Each question is read once; what is kept of it is a staircase: at which thresholds it is answered, and whether the answer
is right. The rates are out of sample: every question is judged by a threshold that was fitted without it (stratified
k-fold cross-fitting). The threshold that is kept is fitted on all of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from groundtune.errors import DataError
from groundtune.knowledge.reading import read_hits
from groundtune.ports import Reader
from groundtune.text.normalise import answer_key, contains_answer
from groundtune.types import Hit, Question

KEY = "answer_threshold"
FOLDS = 5
LEAST = 5  # of each kind: with fewer there is nothing to fit
ENOUGH = 50  # of each kind: with fewer the intervals are wide, and that is said
Judge = Callable[[Question, str], bool]


class Settings(Protocol):
    """Where a knowledge base keeps settings."""

    def get_meta(self, key: str, default: str = "") -> str: ...
    def set_meta(self, key: str, value: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Judged:
    """One question as the reader sees it. ``steps`` are (probability, right) of the readings that would be given, the
    most probable last: at a threshold t the answer is the first reading in retrieval-and-reading order that reaches t.
    """

    answerable: bool
    steps: tuple[tuple[float, bool], ...]

    def at(self, threshold: float) -> bool | None:
        """Whether the answer at a threshold is right; None: it abstains."""
        return next((right for probability, right in self.steps if probability >= threshold), None)


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` of ``n`` with its 95 % Wilson interval; ``value`` None for n = 0."""

    count: int
    n: int

    @property
    def value(self) -> float | None:
        return self.count / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson score interval; (0, 1) for n = 0."""
        if not self.n:
            return 0.0, 1.0
        z, p = 1.959963984540054, self.count / self.n
        centre = (p + z * z / (2 * self.n)) / (1 + z * z / self.n)
        half = z / (1 + z * z / self.n) * math.sqrt(p * (1 - p) / self.n + z * z / (4 * self.n * self.n))
        return (0.0 if not self.count else max(0.0, centre - half), 1.0 if p == 1 else min(1.0, centre + half))


@dataclass(frozen=True, slots=True)
class Rates:
    """``false_answers``: unanswerable questions that were answered; ``over_refusals``: answerable ones that were not;
    ``wrong``: answerable ones that were answered wrongly.
    """

    false_answers: Rate
    over_refusals: Rate
    wrong: Rate


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted threshold for one reader. ``fitted`` are the out-of-sample rates of thresholds found this way,
    ``default`` those of the reader's own threshold on the same questions.
    """

    threshold: float
    reader: str
    default_threshold: float
    fitted: Rates
    default: Rates
    answerable: int
    unanswerable: int

    @property
    def few(self) -> bool:
        """Too few questions for narrow intervals."""
        return min(self.answerable, self.unanswerable) < ENOUGH


def judge_question(question: Question, hits: Sequence[Hit], reader: Reader, right: Judge) -> Judged:
    """Read the hits of a question once."""
    steps: list[tuple[float, bool]] = []
    for reading in read_hits(question.text, hits, reader):
        if steps and reading.probability <= steps[-1][0]:
            continue  # a more probable one comes before it at every threshold that it reaches
        text = hits[reading.index].chunk.text
        sentence = text[reading.sentence_start : reading.sentence_end]
        steps.append((reading.probability, question.answerable and right(question, sentence)))
    return Judged(question.answerable, tuple(steps))


def holds_answer(question: Question, sentence: str) -> bool:
    """An accepted answer stands in the quoted sentence."""
    packed = answer_key(sentence).replace(" ", "")
    return any(contains_answer(sentence, a) or answer_key(a).replace(" ", "") in packed for a in question.answers if a)


def calibrate(judged: Sequence[Judged], reader: Reader, *, max_false_answers: float | None = None) -> Calibration:
    """Fit the threshold: the smallest sum of false-answer rate, over-refusal rate and wrong-answer rate, or, with
    ``max_false_answers``, the fewest over-refusals among thresholds whose false-answer rate is at most that.

    Raises ``DataError`` when there are fewer than ``LEAST`` answerable or unanswerable questions.
    """
    answerable = [one for one in judged if one.answerable]
    unanswerable = [one for one in judged if not one.answerable]
    if min(len(answerable), len(unanswerable)) < LEAST:
        raise DataError(
            "knowledge.too_few_questions", answerable=len(answerable), unanswerable=len(unanswerable), least=LEAST
        )
    outcomes: list[tuple[Judged, bool | None]] = []
    for fold in range(FOLDS):
        held = answerable[fold::FOLDS] + unanswerable[fold::FOLDS]
        rest = [o for i, o in enumerate(answerable) if i % FOLDS != fold]
        rest += [o for i, o in enumerate(unanswerable) if i % FOLDS != fold]
        threshold = fit(rest, max_false_answers)
        outcomes += [(one, one.at(threshold)) for one in held]
    return Calibration(
        threshold=fit(judged, max_false_answers),
        reader=reader.name,
        default_threshold=reader.threshold,
        fitted=rates(outcomes),
        default=rates([(one, one.at(reader.threshold)) for one in judged]),
        answerable=len(answerable),
        unanswerable=len(unanswerable),
    )


def fit(judged: Sequence[Judged], max_false_answers: float | None = None) -> float:
    """The threshold, half-way between two neighbouring probabilities. Equal ones: the middle of their range."""
    values = sorted({probability for one in judged for probability, _ in one.steps})
    cuts = [0.0, *((a + b) / 2 for a, b in zip(values, values[1:], strict=False)), 1.0]
    costs = [_cost(rates([(one, one.at(cut)) for one in judged]), max_false_answers) for cut in cuts]
    least = min(costs)
    best = [cut for cut, cost in zip(cuts, costs, strict=True) if cost == least]
    return best[len(best) // 2]


def rates(outcomes: Sequence[tuple[Judged, bool | None]]) -> Rates:
    """Count outcomes (right, wrong or None for abstained)."""
    can = [outcome for one, outcome in outcomes if one.answerable]
    cannot = [outcome for one, outcome in outcomes if not one.answerable]
    return Rates(
        false_answers=Rate(sum(outcome is not None for outcome in cannot), len(cannot)),
        over_refusals=Rate(sum(outcome is None for outcome in can), len(can)),
        wrong=Rate(sum(outcome is False for outcome in can), len(can)),
    )


def _cost(found: Rates, max_false_answers: float | None) -> tuple[float, float]:
    false, over, wrong = (r.value or 0.0 for r in (found.false_answers, found.over_refusals, found.wrong))
    if max_false_answers is None:
        return round(false + over + wrong, 12), false
    return max(0.0, round(false - max_false_answers, 12)), over


def store_threshold(settings: Settings, found: Calibration, day: str) -> None:
    """Keep the threshold in the knowledge base; ``ask`` uses it from then on with the same reader."""
    rates = {"fitted": asdict(found.fitted), "default": asdict(found.default)}
    kept = {"threshold": found.threshold, "reader": found.reader, "date": day, "rates": rates}
    settings.set_meta(KEY, json.dumps(kept))


def stored_threshold(settings: Settings, reader: str) -> float | None:
    """The threshold that was fitted for this reader, None when there is none."""
    try:
        kept = json.loads(settings.get_meta(KEY) or "{}")
    except ValueError:
        return None
    value = kept.get("threshold") if isinstance(kept, dict) and kept.get("reader") == reader else None
    return float(value) if isinstance(value, int | float) else None
