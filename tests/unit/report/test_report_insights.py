"""What a comparison says in sentences, in three languages."""

import pytest

from groundtune.measure.results import (
    Agreement,
    ApproachResult,
    Duel,
    JudgeReport,
    MoreQuestions,
    Report,
    Seed,
    Stopping,
)
from groundtune.report.insights import insights
from groundtune.report.words import Words

MORE = MoreQuestions(50, "rag", 0.014, 0.009, 0.12, 54.2)
STOP = Stopping(True, "rag", 3, 40, 200, 0.1, {"rag": 160, "prompt": 160}, ("few-shot",), ("prompt",))
JUDGE = JudgeReport("openai:m", 90, 900, 90, 0.0123, True, 2, Agreement(60, 0.9, 0.8, 0.95, 0.72, 0.5, 0.85), (Duel("rag", "prompt", 9, 1, 4, 2, 0.02),))  # fmt: skip
SEEDS = tuple(Seed(n, {"success": value}) for n, value in enumerate((0.28, 0.31, 0.34)))


def report(**values):
    tuned = ApproachResult("finetune", "m", seeds=SEEDS)
    return Report("p", "en", "2026", "0", "b", "r", 200, 0, 0, 0, 9, approaches=(tuned,), **values)


@pytest.mark.parametrize("lang", ["en", "zh-TW", "ja"])
def test_every_number_is_said(lang):
    lines = "\n".join(insights(report(more=MORE, stopping=STOP, judge=JUDGE), Words.of(lang)))
    for number in ("40", "200", "320", "50", "1.4", "0.9", "12%", "54", "28%", "34%", "90", "0.72", "60", "0.020"):
        assert number in lines, number
    assert "{" not in lines


def test_each_case_has_its_own_words():
    words = Words.of("en")
    undecided = insights(report(stopping=Stopping(False, "rag", 9, 200, 200, 0.1)), words)
    assert "Not decided with 200 of 200" in undecided[0] and "10 points" in undecided[0]
    clear = insights(report(more=MoreQuestions(50, "rag", 0.0, 0.0, 0.0, None, True)), words)
    assert "clearly ahead" in clear[0] and "$" not in "".join(clear)
    alone = insights(report(judge=JudgeReport("m", 1, 1, 1, 0.0, False)), words)
    assert any("--judge-labels" in line for line in alone)
    doubted = JudgeReport("m", 1, 1, 1, 0.0, False, 0, Agreement(12, 0.6, 0.3, 0.8, 0.2, -0.2, 0.5))
    assert any("secondary" in line for line in insights(report(judge=doubted), words))
    assert insights(Report("p", "en", "2026", "0", "b", "r", 1, 0, 0, 0, 1), words) == ()
