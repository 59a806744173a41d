"""The cost model against the worked numbers of the design notes, every sign case, and its invariants."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verdict_reports import five

from groundtune.config import Config, CostSection
from groundtune.errors import ConfigError
from groundtune.verdict import breakeven, points
from groundtune.verdict.breakeven import Case
from groundtune.verdict.cost import cost_table, inputs_from, training_cost
from groundtune.verdict.tco import CostInputs, Point, hit_rate, price_curve, queries, stream
from groundtune.verdict.uncertainty import ranges
from groundtune.verdict.words import render_cost

START = date(2026, 11, 23)
# u=60, L=2500, s=400, o=300, s2=60, twelve months, T0 $1,700, T1 $1,500 every four months, store $50 a month.
WORKED = CostInputs(
    setup_rag=0, setup_finetune=0, training=1700, retraining=1500, retrains=0.25, vector_store_per_month=50,
    use_package=False, start=START, draws=500,
)  # fmt: skip
ALL = ("prompt", "few-shot", "rag", "long-context", "finetune", "rag+finetune")


def inputs(**changes: object) -> CostInputs:
    return replace(WORKED, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("model", "m", "expected"), [("gpt-4.1-mini", 2.0, 768e3), ("gpt-4.1", 1.5, 107e3)])
def test_break_even_volume_worked(model: str, m: float, expected: float) -> None:
    point = cost_table(inputs(prices=model, tuned_multiplier=m)).break_even("Q*")
    assert point is not None and point.case is Case.ABOVE
    assert point.value == pytest.approx(expected, rel=0.002)


def test_costs_are_equal_at_the_break_even_volume() -> None:
    given_inputs = inputs(prices="gpt-4.1-mini", growth_per_month=0.05, batch_share=0.3, retrieval_per_query=0.0002)
    point = cost_table(given_inputs).break_even("Q*")
    assert point is not None and point.value is not None
    at = replace(given_inputs, queries_per_month=point.value)
    totals = {n: float(stream(n, Point(at), price_curve(at)).total[0]) for n in ("rag", "finetune")}
    assert totals["rag"] == pytest.approx(totals["finetune"], rel=1e-9)


def test_retrieved_tokens_break_even_worked() -> None:
    assert breakeven.retrieved(2, 60, 300, 400, 60, 0.4, 1.6) == pytest.approx(980)
    point = cost_table(inputs(prices="gpt-4.1-mini")).break_even("L*")
    assert point is not None and point.case is Case.ABOVE and point.value == pytest.approx(980)


@pytest.mark.parametrize(
    ("model", "low", "high"),
    [("gpt-6-luna", 6.4e6, 13.0e6), ("gpt-6.1-terra", 642e3, 1.3e6), ("claude-sonnet-5-5", 321e3, 649e3),
     ("gpt-5.5", 120e3, 243e3)],
)  # fmt: skip
def test_gpu_floor_worked(model: str, low: float, high: float) -> None:
    for dollars, floor, expected in ((3.99, 2913, low), (8.0, 5840, high)):
        made = inputs(
            prices=model, hosting="gpu", gpu_dollars_per_hour=dollars, training=0, retrains=0, requests_at_once=1e9
        )
        report = cost_table(made)
        tuned, point = report.approach("finetune"), report.break_even("Q*")
        assert tuned is not None and tuned.hosting / 12 == pytest.approx(floor, rel=0.001)
        assert point is not None and point.value == pytest.approx(expected, rel=0.01)


def test_gpu_that_can_never_carry_enough_queries_to_pay() -> None:
    point = cost_table(inputs(prices="gpt-6-luna", hosting="gpu", retrains=0, requests_at_once=16)).break_even("Q*")
    assert point is not None and point.case is Case.NEVER and point.sentence().key == "break_even.volume_machines"


def test_small_gpu_floor_worked() -> None:
    for model, expected in (("gpt-6-luna", 870e3), ("gpt-6.1-terra", 87e3), ("claude-sonnet-5-5", 43e3)):
        made = inputs(
            prices=model, hosting="gpu", gpu_dollars_per_hour=0.6, training=0, retrains=0, requests_at_once=1e9
        )
        point = cost_table(made).break_even("Q*")
        assert point is not None and point.value == pytest.approx(expected, rel=0.02)


def test_gpu_break_even_counts_the_machines_that_it_needs() -> None:
    made = inputs(prices="gpt-6.1-terra", hosting="gpu", training=50e3, retrains=0, requests_at_once=3)
    point = cost_table(made).break_even("Q*")
    assert point is not None and point.value is not None and point.machines > 1
    for factor, cheaper in ((0.99, "rag"), (1.001, "finetune")):
        at = replace(made, queries_per_month=point.value * factor)
        row = {a.name: a.total for a in cost_table(at).approaches}
        assert min(("rag", "finetune"), key=row.__getitem__) == cheaper


@pytest.mark.parametrize(
    ("t1", "q", "v", "mu", "law", "exact", "law_cost", "exact_cost"),
    [(500, 10e3, 0.05, 0.02, 10.0, 10.7, 100, 97), (500, 40e3, 0.05, 0.02, 5.0, 5.18, 200, 196.7)],
)
def test_retrain_interval_worked(
    t1: float, q: float, v: float, mu: float, law: float, exact: float, law_cost: float, exact_cost: float
) -> None:
    plan = breakeven.retrain_interval(t1, q, v, mu)
    assert plan is not None
    assert plan.law == pytest.approx(law) and plan.exact == pytest.approx(exact, rel=0.005)
    assert plan.law_cost == pytest.approx(law_cost) and plan.exact_cost == pytest.approx(exact_cost, rel=0.005)


def test_retrain_interval_edges() -> None:
    assert breakeven.retrain_interval(500, 1000, 0, 0.02) is None
    never = breakeven.retrain_interval(10000, 100, 0.05, 0.02)
    assert never is not None and math.isinf(never.exact)


@given(st.floats(10, 5000), st.floats(1e3, 1e6), st.floats(0.001, 1), st.floats(0.001, 0.3))
def test_no_interval_beats_the_exact_one(t1: float, q: float, v: float, mu: float) -> None:
    plan = breakeven.retrain_interval(t1, q, v, mu)
    assert plan is not None
    for months in (0.1, 0.5, 1, 3, 6, 12, 36, plan.law):
        assert t1 / months + q * v * breakeven.stale_share(months, mu) >= plan.exact_cost - 1e-6 * plan.exact_cost


def test_cache_hit_rate_worked() -> None:
    per_hour = 12 * 730.0
    made = inputs(queries_per_month=per_hour, cache_minutes=5)
    assert float(hit_rate(queries(Point(made), 1), Point(made))[0, 0]) == pytest.approx(0.632, abs=0.001)
    rng = np.random.default_rng(3)  # the same by simulation: a gap shorter than the cache's life is a hit
    assert np.mean(rng.exponential(5.0, 200_000) < 5.0) == pytest.approx(0.633, abs=0.005)


@pytest.mark.parametrize(("share", "expected"), [(0.1, 25e3), (0.05, 50e3), (0.025, 100e3)])
def test_corpus_size_worked(share: float, expected: float) -> None:
    assert breakeven.corpus(2500, 1.0, 0.0, 1.0, share, 1.0) == pytest.approx(expected)
    overrides = {"gpt-5-mini.input": 1.0, "gpt-5-mini.output": 1.0, "gpt-5-mini.cached": share}
    point = cost_table(inputs(overrides=overrides, hit_rate=1.0)).break_even("D*", "long-context", "rag")
    assert point is not None and point.value == pytest.approx(expected)


def test_hit_rate_needed() -> None:
    case, value = breakeven.hits(50_000, 2500, 1.0, 0.0, 1.0, 0.01)
    assert case is Case.ABOVE and value == pytest.approx(47_500 / 49_500)
    assert breakeven.hits(2000, 2500, 1.0, 0.0, 1.0, 0.1)[0] is Case.ALWAYS
    assert breakeven.hits(50_000, 2500, 1.0, 0.0, 1.0, 0.1)[0] is Case.NEVER


@pytest.mark.parametrize(
    ("gap", "saving", "case"),
    [(10, 2, Case.ABOVE), (-10, 2, Case.ALWAYS), (10, -2, Case.NEVER), (-10, -2, Case.BELOW), (0, 0, Case.EQUAL),
     (10, 0, Case.NEVER), (-10, 0, Case.ALWAYS), (0, 2, Case.ALWAYS), (0, -2, Case.NEVER)],
)  # fmt: skip
def test_every_sign_case(gap: float, saving: float, case: Case) -> None:
    found, value = breakeven.volume(gap, saving)
    assert found is case
    assert (value is not None) == (case in (Case.ABOVE, Case.BELOW)) and (value is None or value == pytest.approx(5))


@given(st.floats(-1e4, 1e4), st.floats(-1, 1), st.floats(1, 1e6))
def test_sign_cases_agree_with_the_costs(gap: float, saving: float, volume: float) -> None:
    case, value = breakeven.volume(gap, saving)
    ahead = gap - saving * volume < 0
    if value is not None and abs(volume - value) > 1e-6 * abs(value):
        assert ahead == ((volume > value) if case is Case.ABOVE else (volume < value))
    elif case is Case.ALWAYS:
        assert ahead or gap - saving * volume == 0
    elif case is Case.NEVER:
        assert not ahead


def test_retrains_cases() -> None:
    assert breakeven.retrains(-1, 10) == (Case.NEVER, None)
    assert breakeven.retrains(5, 10) == (Case.BELOW, 0.5)
    assert breakeven.retrains(5, 0) == (Case.ALWAYS, None)


def test_retrains_affordable_makes_the_totals_equal() -> None:
    made = inputs(prices="gpt-4.1", tuned_multiplier=1.5, queries_per_month=300e3)
    point = cost_table(made).break_even("rho*")
    assert point is not None and point.case is Case.BELOW and point.value is not None
    at = replace(made, retrains=point.value)
    totals = [float(stream(n, Point(at), price_curve(at)).total[0]) for n in ("rag", "finetune")]
    assert totals[0] == pytest.approx(totals[1])


def test_horizon_matches_the_closed_form_when_nothing_grows() -> None:
    made = inputs(prices="gpt-4.1", tuned_multiplier=1.5, queries_per_month=300e3)
    point = cost_table(made).break_even("H*")
    saving = 300e3 * (8320e-6 - 3960e-6) - 0.25 * 1500 + 50
    assert point is not None and point.case is Case.ABOVE and point.value == pytest.approx(1700 / saving, rel=1e-6)


@pytest.mark.parametrize(
    ("upfront", "monthly", "case"),
    [(10, -2, Case.ABOVE), (10, 2, Case.NEVER), (-10, 2, Case.BELOW), (-10, -2, Case.ALWAYS), (0, -1, Case.ALWAYS),
     (0, 1, Case.NEVER), (0, 0, Case.EQUAL)],
)  # fmt: skip
def test_horizon_cases(upfront: float, monthly: float, case: Case) -> None:
    found, value = points._crossing(upfront, np.full(points.FAR, float(monthly)))
    assert found is case and (value is None or value == pytest.approx(5))


def test_worth_cases() -> None:
    assert breakeven.worth(100, 50) == (Case.ABOVE, 2.0)
    assert breakeven.worth(-100, -50) == (Case.BELOW, 2.0)
    assert breakeven.worth(-100, 50)[0] is Case.ALWAYS and breakeven.worth(100, -50)[0] is Case.NEVER


def test_dated_prices_enter_month_by_month() -> None:
    report = cost_table(inputs(prices="gemini-3.8-flash"))
    assert [(p.since, p.input) for p in report.prices_used] == [("2026-11-01", 0.75), ("2027-01-01", 1.5)]
    per = 60 + 400
    cheap, dear = 0.75 * per + 3.75 * 300, 1.5 * per + 7.5 * 300
    row = report.approach("prompt")
    assert row is not None and row.total == pytest.approx(10_000 * (2 * cheap + 10 * dear) / 1e6)


def test_three_hostings_and_no_tokens_at_all() -> None:
    token = cost_table(inputs()).approach("finetune")
    gpu = cost_table(inputs(hosting="gpu")).approach("finetune")
    own = cost_table(inputs(hosting="own", own_hardware_per_month=120)).approach("finetune")
    assert token and gpu and own
    assert (token.hosting, gpu.usage, own.usage) == (0, 0, 0)
    assert gpu.hosting == pytest.approx(12 * 730 * 3.99) and own.hosting == pytest.approx(12 * 120)
    local = cost_table(inputs(hosting="own", prices="", own_hardware_per_month=120))
    assert all(a.usage == 0 and a.hosting == pytest.approx(1440) for a in local.approaches)


def test_long_context_uses_the_tier_for_long_requests() -> None:
    short = cost_table(inputs(prices="claude-haiku-5-5", corpus_tokens=90e3, approaches=ALL, hit_rate=1.0))
    tall = cost_table(inputs(prices="claude-haiku-5-5", corpus_tokens=110e3, approaches=ALL, hit_rate=1.0))
    a, b = short.approach("long-context"), tall.approach("long-context")
    assert a and b and b.total > 4 * a.total


def test_uncertainty_is_seeded_and_ordered() -> None:
    one, two = cost_table(inputs(draws=2000)), cost_table(inputs(draws=2000))
    assert one.to_json() == two.to_json()
    other = cost_table(inputs(draws=2000, seed=7))
    assert other.approaches[0].p50 != one.approaches[0].p50
    for row in one.approaches:
        assert row.p10 < row.p50 < row.p90
    assert sum(row.cheapest for row in one.approaches) == pytest.approx(1)
    assert one.pairs["rag<finetune"] + one.pairs["finetune<rag"] == pytest.approx(1)


def test_tornado_reruns_the_model_and_marks_flips() -> None:
    made = inputs(prices="gpt-4.1", tuned_multiplier=1.5, ranges={"queries_per_month": (20e3, 1e6)},
                  queries_per_month=100e3)  # fmt: skip
    report = cost_table(made)
    bars = {bar.name: bar for bar in report.tornado}
    assert bars["queries_per_month"].flips
    assert [b.width for b in report.tornado] == sorted((b.width for b in report.tornado), reverse=True)
    for bar in report.tornado:
        assert bar.flips == any((end < 0) != (bar.base < 0) for end in (bar.low, bar.high))
    quiet = cost_table(replace(made, ranges={"queries_per_month": (100e3, 100e3)}))
    assert "queries_per_month" not in {bar.name for bar in quiet.tornado}


def test_ranges_must_hold_their_base() -> None:
    with pytest.raises(ConfigError, match="does not hold its base"):
        ranges(inputs(ranges={"training": (1, 2)}))
    with pytest.raises(ConfigError, match="no such input"):
        ranges(inputs(ranges={"nonsense": (1, 2)}))


def test_quality_reaches_the_money() -> None:
    measured = five(60, prompt=0.1, rag=0.8, finetune=0.2)
    config = Config(cost=CostSection(value_per_correct_answer=0.05))
    report = cost_table(inputs_from(config, measured, start=START))
    rag, prompt = report.approach("rag"), report.approach("prompt")
    assert rag and prompt and rag.accuracy == pytest.approx(0.8)
    assert rag.per_correct == pytest.approx(rag.total / (120_000 * 0.8))
    assert rag.net_benefit == pytest.approx(120_000 * 0.05 * 0.8 - rag.total)
    assert sum(a.cheapest_per_correct or 0 for a in report.approaches) == pytest.approx(1)
    worth = report.break_even("v*", "rag", "prompt")
    assert worth is not None and worth.case is Case.ABOVE
    assert worth.value == pytest.approx((rag.total - prompt.total) / (120_000 * 0.7))
    assert report.retrain is not None


def test_tokens_come_from_the_report_unless_a_setting_gives_them() -> None:
    measured = five(20, prompt=0.1, rag=0.8)
    plain = inputs_from(Config(), measured, start=START)
    assert plain.retrieved_tokens == 200 and plain.output_tokens == 40 and "retrieved_tokens" in plain.measured
    assert plain.question_tokens + plain.static_tokens == pytest.approx(100)
    stated = inputs_from(Config(cost=CostSection(retrieved_tokens=777)), measured, start=START)
    assert stated.retrieved_tokens == 777 and "retrieved_tokens" not in stated.measured


def test_price_overrides_reach_the_model_and_a_useless_one_is_refused() -> None:
    made = inputs_from(Config(), overrides={"gpt-5-mini.input": 100.0, "training": 9999.0}, start=START)
    assert made.training == 9999 and "training" in made.given
    row, plain = (cost_table(i).approach("prompt") for i in (made, inputs_from(Config(), start=START)))
    assert row and plain and row.total > 10 * plain.total
    for key in ("gpt-6-luna.input", "trainnig", "gpt-5-mini.inputs"):
        with pytest.raises(ConfigError):
            cost_table(inputs_from(Config(), overrides={key: 1.0}, start=START))


def test_outputs_of_each_approach_scale_with_the_drawn_length() -> None:
    made = inputs(outputs={"rag": 600.0, "prompt": 150.0})
    curve = price_curve(made)
    short, tall = (Point(made, {"output_tokens": x}) for x in (300.0, 600.0))
    price = float(curve.output[0, 0])
    for name, tokens in (("rag", 600.0), ("prompt", 150.0)):
        rise = stream(name, tall, curve).per_query[0, 0] - stream(name, short, curve).per_query[0, 0]
        assert rise == pytest.approx(price * tokens)


def test_unusable_settings() -> None:
    for section in (CostSection(hosting="cloud"), CostSection(prices=""), CostSection(horizon_months=0)):
        with pytest.raises(ConfigError):
            inputs_from(Config(cost=section))


def test_training_cost_rule() -> None:
    assert training_cost(0.48, 3, 2e6, 2, 1e5) == pytest.approx(0.48 * (6 + 0.2))


def test_article_premium_stands_beside_the_real_ones() -> None:
    report = cost_table(inputs())
    assert report.article_premium == (1.2, 1.5)
    real = {m.model: m.input for m in report.multipliers}
    assert real["gpt-4.1"] == 1.5 and real["gpt-4.1-mini"] == 2.0 and real["o4-mini"] == 3.64


@pytest.mark.parametrize("lang", ["en", "zh-TW", "ja"])
def test_json_and_text(lang: str) -> None:
    report = cost_table(inputs(approaches=ALL, corpus_tokens=50e3, hosting="gpu", value_per_correct_answer=0.01))
    table = json.loads(report.to_json(lang))
    assert all(row["text"] for row in table["break_evens"])
    text = render_cost(report, lang)
    assert "{" not in text and "RAG" in text


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 1e6), st.floats(0, 5000), st.sampled_from(["token", "gpu", "own"]), st.floats(0, 0.2))
def test_more_traffic_never_costs_less(volume: float, tokens: float, hosting: str, growth: float) -> None:
    made = inputs(queries_per_month=volume, retrieved_tokens=tokens, hosting=hosting, growth_per_month=growth)
    more = replace(made, queries_per_month=volume * 1.5 + 1)
    curve = price_curve(made)
    for name in ("prompt", "rag", "finetune", "rag+finetune"):
        assert stream(name, Point(more), curve).total[0] >= stream(name, Point(made), curve).total[0] - 1e-9
