"""The answer threshold: fitted, measured out of sample, kept, used."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.errors import DataError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.calibrate import (
    Judged,
    Rate,
    calibrate,
    fit,
    holds_answer,
    judge_question,
    rates,
    stored_threshold,
)
from groundtune.measure.stats import wilson
from groundtune.types import Chunk, Document, Hit, Question, Reading, digest

QUICK = settings(deadline=None, derandomize=True, max_examples=40)


class Reader:
    name, threshold = "steps", 0.5

    def __init__(self, *chances: float) -> None:
        self.chances = chances

    def read(self, question: str, passages: list[str], k: int = 5) -> list[Reading]:
        return [Reading(i, 0, 4, 0, len(passages[i]), chance, chance) for i, chance in enumerate(self.chances)]


def hit(text: str) -> Hit:
    return Hit(Chunk(text, "d", "v", text, 0, len(text), digest(text)), 1.0)


def judged(answerable: bool, *steps: tuple[float, bool]) -> Judged:
    return Judged(answerable, steps)


def noisy(n: int, seed: int = 0) -> list[Judged]:
    """Answerable ones read at about 0.7, unanswerable ones at about 0.4."""
    chance = random.Random(seed)
    made = [judged(True, (min(0.99, max(0.01, chance.gauss(0.7, 0.15))), chance.random() < 0.9)) for _ in range(n)]
    return made + [judged(False, (min(0.99, max(0.01, chance.gauss(0.4, 0.15))), False)) for _ in range(n)]


def test_the_first_reading_is_what_is_judged() -> None:
    question = Question("q", ("right",))
    found = judge_question(
        question, [hit("wrong one"), hit("the right one"), hit("right, later")], Reader(0.3, 0.6, 0.5), holds_answer
    )
    # 0.6 in second place is worth more than 0.3 in first: odds of 1.5 / 2 ** 0.7
    assert found.steps == ((pytest.approx(0.4801, abs=1e-4), True),)
    found = judge_question(question, [hit("wrong one"), hit("the right one")], Reader(0.55, 0.6), holds_answer)
    assert found.steps == ((0.55, False),)


def test_a_higher_threshold_passes_on_to_the_next_step() -> None:
    found = judged(True, (0.55, False), (0.6, True))
    assert [found.at(t) for t in (0.1, 0.55, 0.56, 0.6, 0.61)] == [False, False, True, True, None]


def test_an_accepted_answer_may_be_spaced_and_wide() -> None:
    assert holds_answer(Question("q", ("3,000 元",)), "處新臺幣３，０００元罰鍰") and not holds_answer(
        Question("q", ("27 days",)), "7 days"
    )
    assert not holds_answer(Question("q", ("",)), "anything")


def test_the_threshold_separates() -> None:
    groups = [judged(True, (0.8, True))] * 10 + [judged(False, (0.3, False))] * 10
    assert 0.3 < fit(groups) < 0.8
    found = calibrate(groups, Reader())
    assert found.fitted.false_answers.count == 0 == found.fitted.over_refusals.count and found.few
    assert found.default.false_answers.n == found.default.over_refusals.n == 10


def test_wrong_answers_count_too() -> None:
    groups = [judged(True, (0.6, False), (0.9, True))] * 10 + [judged(False, (0.2, False))] * 10
    assert fit(groups) > 0.6


def test_a_bound_on_false_answers_is_kept() -> None:
    groups = noisy(200)
    for bound in (0.0, 0.02, 0.2):
        threshold = fit(groups, bound)
        found = rates([(one, one.at(threshold)) for one in groups])
        assert (found.false_answers.value or 0) <= bound
    assert fit(groups, 0.02) > fit(groups, 0.2)


def test_the_rates_are_out_of_sample() -> None:
    """Where reading says nothing about answerability, fitting on the same questions would seem to help."""
    chance = random.Random(3)
    groups = [judged(n % 2 == 0, (chance.random(), True)) for n in range(40)]
    threshold = fit(groups)
    seen = rates([(one, one.at(threshold)) for one in groups])
    honest = calibrate(groups, Reader()).fitted
    total = [r.false_answers.count + r.over_refusals.count for r in (seen, honest)]
    assert total[1] > total[0]


def test_it_gets_better_than_the_default_on_new_questions() -> None:
    groups, fresh = noisy(150, 1), noisy(150, 2)
    threshold = calibrate(groups, Reader()).threshold
    mistakes = [
        sum(r.count for r in (found.false_answers, found.over_refusals, found.wrong))
        for found in (rates([(one, one.at(t)) for one in fresh]) for t in (threshold, 0.2, 0.9))
    ]
    assert mistakes[0] < min(mistakes[1:])


@pytest.mark.parametrize(("yes", "no"), [(4, 50), (50, 4), (0, 0)])
def test_too_few_questions_are_refused(yes: int, no: int) -> None:
    with pytest.raises(DataError, match="at least 5"):
        calibrate([judged(True, (0.5, True))] * yes + [judged(False, (0.5, False))] * no, Reader())


@given(st.integers(0, 60), st.integers(1, 60))
@QUICK
def test_intervals_are_wilsons(count: int, n: int) -> None:
    count = min(count, n)
    assert Rate(count, n).interval == pytest.approx(wilson(count, n)) and Rate(0, 0).value is None


def test_the_knowledge_base_keeps_it_for_this_reader_only(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path) as kb:
        kb.add([Document("a", "Staff get 27 days of leave.")])
        reader = Reader(0.4)
        assert kb.ask("Days of leave?", reader=reader).abstained
        kb.keep_threshold(
            calibrate([judged(True, (0.4, True))] * 5 + [judged(False, (0.1, False))] * 5, reader), "2026-01-01"
        )
        assert not kb.ask("Days of leave?", reader=reader).abstained
        assert kb.ask("Days of leave?", reader=reader, threshold=0.9).abstained
        other = Reader(0.4)
        other.name = "another"
        assert kb.ask("Days of leave?", reader=other).abstained
    with KnowledgeBase.open(tmp_path) as kb:
        kept = json.loads(kb._store.get_meta("answer_threshold"))
        assert kept["date"] == "2026-01-01" and kept["rates"]["fitted"]["false_answers"] == {"count": 0, "n": 5}
        kb._store.set_meta("answer_threshold", "{broken")
        assert stored_threshold(kb._store, "steps") is None
