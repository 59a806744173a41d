"""Schema-guided rows, further models and approaches of the user's own take part in the decision and are priced."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from verdict_reports import approach, report, share

from groundtune.config import Config, CostSection, ModelsSection, RequirementsSection
from groundtune.errors import ConfigError
from groundtune.measure.naming import approach_of
from groundtune.measure.results import Report, Seed
from groundtune.verdict.cost import CostReport, cost_table, inputs_from
from groundtune.verdict.decide import decide
from groundtune.verdict.gates import GateFacts, fire
from groundtune.verdict.outcome import Level, Verdict
from groundtune.verdict.paired import gap
from groundtune.verdict.rows import is_local, model_of, ordered, simplicity
from groundtune.verdict.words import render_text

START = date(2026, 11, 23)
N = 200


def priced(measured: Report, config: Config) -> CostReport:
    return cost_table(replace(inputs_from(config, measured, start=START), draws=300, use_package=False))


def judge(measured: Report, config: Config | None = None) -> Verdict:
    settings = config or Config()
    return decide(measured, priced(measured, settings), settings.requirements, settings)


def rows(**rates: float) -> Report:
    """Nested rows: keys are names with ``__`` for ``+`` and ``_at_`` for `` @ ``."""
    made = []
    for key, rate in rates.items():
        name = key.replace("_at_", " @ ").replace("__", "+").replace("_c_", ":")
        count = round(rate * N)
        made.append(approach(name, [1.0] * count + [0.0] * (N - count), retrieved=200.0 if "rag" in name else 0.0))
    return report(*made)


def test_names() -> None:
    name = "rag+finetune+constrained @ ollama:qwen3"
    assert (approach_of(name), model_of(name, "b"), model_of("rag", "b")) == ("rag+finetune", "ollama:qwen3", "b")
    assert ordered(["rag @ x", "url:http://h", "prompt", "rag+constrained"]) == ("prompt", "rag @ x", "rag+constrained")
    assert simplicity("python:mine:answer") > simplicity("rag+finetune")


@pytest.mark.parametrize(
    ("spec", "local"),
    [("builtin:base", True), ("ollama:x", True), ("openai:gpt-5-mini", False), ("openai:q@http://localhost:9/v1", True),
     ("openai:q@http://10.0.0.5/v1", True), ("openai:q@https://api.example.com/v1", False), ("python:my:f", True),
     ("url:http://127.0.0.1:8/v1", True), ("url:https://rag.example.com/v1", False), ("gemini:gemini-3.8-flash", False)],
)  # fmt: skip
def test_what_leaves_the_house(spec: str, local: bool) -> None:
    assert is_local(spec) is local


def test_a_schema_guided_row_wins_over_training() -> None:
    verdict = judge(rows(prompt=0.05, rag=0.4, rag__constrained=0.85, rag__finetune=0.86))
    assert (verdict.winner, verdict.level) == ("rag+constrained", Level.FIRM)
    assert "schema-guided" in verdict.headline.text("en")
    assert {r.approach: r.cause for r in verdict.rejected}["rag+finetune"] == "tie"
    assert "RAG（限定 schema）" in render_text(verdict, "zh-TW") and "RAG（スキーマ制約）" in render_text(verdict, "ja")


def test_a_clearly_better_pipeline_of_the_users_own_wins_and_has_no_price() -> None:
    verdict = judge(rows(prompt=0.05, rag=0.5, python_c_mine_c_answer=0.9))
    assert verdict.winner == "python:mine:answer"
    assert any(s.key == "reason.unpriced" for s in verdict.reasons)
    equal = judge(rows(prompt=0.05, rag=0.9, python_c_mine_c_answer=0.9))
    assert equal.winner == "rag" and equal.rejected[-1].approach == "python:mine:answer"


def test_a_further_model_is_priced_by_its_own_list_and_takes_part() -> None:
    config = Config(models=ModelsSection(base="openai:gpt-6-luna"))
    named = replace(
        report(
            approach("rag", share(N, 0.4), retrieved=200),
            approach("rag @ openai:gpt-6.1-terra", share(N, 0.9), retrieved=200),
            approach("rag @ openai:nobody-knows-it", share(N, 0.2), retrieved=200),
        ),
        base_model="openai:gpt-6-luna",
    )
    cost = priced(named, config)
    small, large = cost.approach("rag"), cost.approach("rag @ openai:gpt-6.1-terra")
    assert small and large and large.usage == pytest.approx(10 * small.usage)
    assert cost.approach("rag @ openai:nobody-knows-it") is None
    assert {p.name for p in cost.prices_used} == {"gpt-6-luna", "gpt-6.1-terra"}
    verdict = judge(named, config)
    assert verdict.winner == "rag @ openai:gpt-6.1-terra"
    assert "RAG @ openai:gpt-6.1-terra" in verdict.headline.text("ja")


def test_of_equally_good_models_the_cheaper_one_is_taken() -> None:
    same = share(N, 0.8)
    measured = replace(
        report(approach("rag", same), approach("rag @ openai:gpt-6-luna", same)), base_model="openai:gpt-6.1-terra"
    )
    config = Config(models=ModelsSection(base="openai:gpt-6.1-terra"))
    assert judge(measured, config).winner == "rag @ openai:gpt-6-luna"


def test_the_plan_prices_a_hosted_base_by_its_own_list_unless_told() -> None:
    hosted = Config(models=ModelsSection(base="openai:gpt-6-luna"))
    assert inputs_from(hosted, start=START).prices == "openai:gpt-6-luna"
    told = replace(hosted, cost=CostSection(prices="gpt-5.5"))
    assert inputs_from(told, start=START).prices == "gpt-5.5"
    assert inputs_from(Config(), start=START).prices == "gpt-5-mini"


def test_data_that_must_stay_rules_out_rows_that_send_it_away() -> None:
    facts = GateFacts(
        data_must_stay_local=True, base_model="ollama:qwen3", base_is_local=True,
        approaches=("rag", "rag @ openai:gpt-5-mini", "url:https://rag.example.com/v1", "url:http://localhost:1/v1"),
    )  # fmt: skip
    out = {name for gate in fire(facts) if gate.excludes for name in gate.approaches}
    assert out == {"rag @ openai:gpt-5-mini", "url:https://rag.example.com/v1"}
    verdict = judge(
        rows(rag=0.5, rag_at_openai_c_gpt=0.9), Config(requirements=RequirementsSection(data_must_stay_local=True))
    )
    assert verdict.winner == "rag" and verdict.rejected[0].cause == "gate"


def test_rules_reach_every_row_of_an_approach() -> None:
    facts = GateFacts(citations=True, approaches=("prompt+constrained", "rag", "finetune @ hf:x"), base_model="hf:y")
    (gate,) = [g for g in fire(facts) if g.rule.id == "citations"]
    assert gate.approaches == ("prompt+constrained", "finetune @ hf:x")


def test_several_trainings_widen_a_gap_that_was_not_declared() -> None:
    tuned, plain = approach("finetune", share(N, 0.55)), approach("prompt", share(N, 0.4))
    spread = tuple(Seed(i, {"success": value}) for i, value in enumerate((0.35, 0.55, 0.75)))
    once = gap(report(plain, tuned), "success", "finetune", "prompt")
    often = gap(report(plain, replace(tuned, seeds=spread)), "success", "finetune", "prompt")
    assert once and often and once.contrast.low > 0 > often.contrast.low


def test_price_overrides_of_the_settings_and_what_is_no_price() -> None:
    config = Config(cost=CostSection(price_overrides=("gpt-5-mini.input=9", "training=1234")))
    made = inputs_from(config, start=START)
    assert made.overrides == {"gpt-5-mini.input": 9.0} and made.training == 1234
    assert inputs_from(config, overrides={"training": 5.0}, start=START).training == 5
    for wrong in ("gpt-5-mini.input", "x=-1", "=3", "training=cheap", "training=inf"):
        with pytest.raises(ConfigError, match="not a price"):
            inputs_from(Config(cost=CostSection(price_overrides=(wrong,))), start=START)
