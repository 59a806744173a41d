"""Gates: each fires on its fact and not without it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from groundtune.messages import catalogue
from groundtune.verdict.gates import GateFacts, fire, rules
from groundtune.verdict.rows import SIMPLEST_FIRST

BASE = GateFacts(
    start=date(2026, 11, 23), examples=500, approaches=SIMPLEST_FIRST[:2] + ("rag", "finetune", "long-context"),
    base_model="builtin:base", hosting="gpu", prices="gpt-5-mini",
)  # fmt: skip
FIRES = {
    "citations": {"citations": True},
    "access_rights": {"access_control": True},
    "data_local": {"data_must_stay_local": True, "base_is_local": False},
    "local_prices": {"data_must_stay_local": True},
    "base_ends": {"prices": "gpt-4.1"},
    "tuned_ends": {"prices": "gpt-4.1", "hosting": "token"},
    "no_supplier": {"hosting": "token"},
    "too_few_examples": {"examples": 9},
    "few_examples": {"examples": 20},
    "fits_window": {"corpus_tokens": 50e3},
    "updates_daily": {"updates_per_month": 30.0},
    "updates": {"updates_per_month": 2.0},
    "train_knowledge": {"train_knowledge": True},
    "format_baseline": {"wants_format": True},
    "hybrid_measured": {"approaches": ("rag", "rag+finetune")},
    "budget": {"budget_per_month": 10.0, "monthly": (("rag", 20.0), ("prompt", 5.0))},
}


def test_nothing_fires_without_a_reason() -> None:
    assert fire(BASE) == ()


def test_every_rule_has_a_test_and_a_sentence() -> None:
    assert set(FIRES) == set(rules())
    for lang in ("en", "zh-TW", "ja"):
        for rule in rules().values():
            assert f"verdict.rule.{rule.statement}" in catalogue(lang) and rule.source(lang)
    for rule in rules().values():
        assert len({rule.source(lang) for lang in ("en", "zh-TW", "ja")}) == 3
        for work in (cite.removeprefix("arXiv ") for cite in rule.cites if cite.startswith("arXiv ")):
            assert all(work in rule.source(lang) for lang in ("en", "zh-TW", "ja"))


@pytest.mark.parametrize("rule", FIRES)
def test_each_gate_fires_on_its_fact(rule: str) -> None:
    fired = {g.rule.id: g for g in fire(replace(BASE, **FIRES[rule]))}  # type: ignore[arg-type]
    assert rule in fired
    for lang in ("en", "zh-TW", "ja"):
        assert "{" not in fired[rule].sentence.text(lang)


def test_what_is_excluded() -> None:
    def out(**facts: object) -> set[str]:
        return {n for g in fire(replace(BASE, **facts)) if g.excludes for n in g.approaches}  # type: ignore[arg-type]

    assert out(citations=True) == {"prompt", "few-shot", "finetune"}
    assert out(access_control=True) == {"finetune", "long-context"}
    assert out(budget_per_month=10.0, monthly=(("rag", 20.0), ("prompt", 5.0))) == {"rag"}
    assert out(updates_per_month=30.0) == {"finetune"} and out(updates_per_month=30.0, knowledge=False) == set()
    # A hosted base that nobody sells tuned cannot be tuned; a local one only lacks a price.
    assert out(hosting="token", base_is_local=False) == {"finetune"} and out(hosting="token") == set()


def test_the_end_of_a_model_counts_only_inside_the_horizon() -> None:
    early = replace(BASE, prices="gpt-4.1", start=date(2026, 11, 1), horizon_months=2)
    assert "base_ends" not in {g.rule.id for g in fire(early)}
