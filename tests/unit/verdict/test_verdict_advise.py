"""Advice: the article's six classic cases in three languages, the misconception, gates, provenance."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest

from groundtune.config import Config, CostSection, RequirementsSection
from groundtune.errors import ConfigError
from groundtune.verdict.advise import ANSWERS, Advice, Interview, advise, questions
from groundtune.verdict.words import render_advice

LANGUAGES = ("en", "zh-TW", "ja")
START = date(2026, 11, 23)
CASES = {
    "internal questions": Interview(update_frequency="weekly", citations_needed=True, volume=5000),
    "live news": Interview(update_frequency="live", knowledge_location="live", citations_needed=True, volume=50_000),
    "legal compliance": Interview(update_frequency="monthly", citations_needed=True, privacy="local"),
    "fixed-format reports": Interview(
        update_frequency="never", knowledge_location="none", fixed_format_or_tone=True, task_regularity="fixed",
        examples_count=300,
    ),
    "brand copy": Interview(
        update_frequency="yearly", knowledge_location="none", fixed_format_or_tone=True, examples_count=120
    ),
    "structured extraction": Interview(
        update_frequency="never", knowledge_location="none", fixed_format_or_tone=True, task_regularity="fixed",
        examples_count=2000, volume=200_000,
    ),
}  # fmt: skip
KNOWLEDGE = ("internal questions", "live news", "legal compliance")
FIRST = {
    "rag": {"en": "Start with RAG", "zh-TW": "先做 RAG", "ja": "まず RAG から"},
    "few-shot": {"en": "Start with few-shot", "zh-TW": "先用少樣本提示", "ja": "まず few-shot"},
}


def ask(interview: Interview, config: Config | None = None) -> Advice:
    return advise(interview, config, start=START)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("case", CASES)
def test_the_six_classic_cases(case: str, lang: str) -> None:
    advice = ask(CASES[case])
    text = render_advice(advice, lang)
    first = "rag" if case in KNOWLEDGE else "few-shot"
    assert advice.first == first and text.startswith(FIRST[first][lang])
    assert advice.candidate == (None if case in KNOWLEDGE else "finetune")
    assert advice.warning is None and "{" not in text
    assert any(s.key == "advise.form_first" for s in advice.measure_next) == (case not in KNOWLEDGE)
    if case in KNOWLEDGE:
        assert "finetune" in advice.avoid


def test_wanting_to_train_knowledge_brings_the_warning_and_rag() -> None:
    for location in ("documents", "none"):
        advice = ask(Interview(knowledge_location=location, wants_to_train_knowledge=True, examples_count=500))
        assert advice.first == "rag" and advice.warning is not None
        assert "train_knowledge" in {g.rule.id for g in advice.gates}
    assert "微調不是讓模型學知識的工具" in render_advice(advice, "zh-TW")


def test_knowledge_and_form_lead_to_the_staged_path() -> None:
    advice = ask(replace(CASES["internal questions"], fixed_format_or_tone=True, examples_count=400))
    assert advice.path == ("rag", "rag+finetune") and advice.candidate == "rag+finetune"
    shielded = ask(replace(CASES["internal questions"], fixed_format_or_tone=True, privacy="per_user"))
    assert shielded.path == ("rag",) and shielded.candidate is None


def test_few_examples_keep_training_back() -> None:
    advice = ask(replace(CASES["brand copy"], examples_count=5))
    assert advice.first == "few-shot" and advice.candidate is None
    assert "too_few_examples" in {g.rule.id for g in advice.gates}
    assert any(s.key == "advise.collect" for s in advice.why)


def test_neither_knowledge_nor_form_is_a_prompt() -> None:
    advice = ask(Interview(knowledge_location="none", task_regularity="open"))
    assert advice.first == "prompt" and advice.candidate is None


def test_the_outlook_follows_the_volume() -> None:
    small, large = (ask(Interview(volume=v)) for v in (1000, 100_000))
    a, b = small.cost.approach("rag"), large.cost.approach("rag")
    assert a and b and b.usage == pytest.approx(100 * a.usage)
    assert any(s.key == "priced.multiplier" for s in small.outlook)


def test_a_budget_gates() -> None:
    assert "budget" in {g.rule.id for g in ask(Interview(budget=1.0)).gates}


def test_answers_come_from_the_toml_and_say_so() -> None:
    config = Config(
        requirements=RequirementsSection(citations=True, access_control=True, budget_per_month=300),
        cost=CostSection(updates_per_month=30, queries_per_month=777),
    )
    interview = Interview.from_config(config, examples_count=42)
    assert (interview.update_frequency, interview.privacy, interview.volume) == ("daily", "per_user", 777)
    assert interview.origins["citations_needed"] == "toml" and "task_regularity" not in interview.origins
    advice = ask(interview, config)
    assert len(advice.used) == len(ANSWERS)
    assert "groundtune.toml" in render_advice(advice, "en")


def test_questions_cover_every_answer_in_three_languages() -> None:
    for lang in LANGUAGES:
        asked = questions(lang)
        assert tuple(q.name for q in asked) == ANSWERS and all(q.text for q in asked)
        for q in asked:
            if q.kind == "choice":
                assert q.default in q.choices and all(q.choices.values())
    assert len({q.text for lang in LANGUAGES for q in questions(lang)}) == 3 * len(ANSWERS)


def test_wrong_answers_are_named() -> None:
    with pytest.raises(ConfigError, match="sometimes"):
        Interview(update_frequency="sometimes")
    with pytest.raises(ConfigError, match="volume"):
        Interview(volume=-1)


def test_json() -> None:
    table = json.loads(ask(CASES["live news"]).to_json("ja"))
    assert table["first"] == "rag" and table["gates"] and table["cost"]["approaches"]
