"""The remaining worked numbers of the research notes on cost and on how much to measure."""

from __future__ import annotations

import math
from datetime import date
from functools import cache

import numpy as np
import pytest
from scipy import stats as sps
from verdict_reports import approach

from groundtune.measure import stats
from groundtune.measure.worth import worth_of_more
from groundtune.verdict import breakeven
from groundtune.verdict.breakeven import Case
from groundtune.verdict.cost import cost_table
from groundtune.verdict.tco import CostInputs

START = date(2026, 11, 23)


def test_tornado_worked() -> None:
    """Base +$2,448 a month; volume and GPU hours flip the sign, nothing else does."""
    report = cost_table(
        CostInputs(
            queries_per_month=200e3, prices="gpt-4.1", retrieval_per_query=0.0006, vector_store_per_month=50,
            setup_rag=0, setup_finetune=0, training=1700, retraining=500, retrains=0.25, hosting="gpu",
            gpu_dollars_per_hour=5.5, requests_at_once=1e9, use_package=False, start=START, draws=4000,
            ranges={"queries_per_month": (20e3, 1e6), "gpu_hours_per_month": (180, 730)},
        )
    )  # fmt: skip
    bars = {bar.name: bar for bar in report.tornado}
    monthly = {name: tuple(round(x / 12) for x in (b.low, b.base, b.high)) for name, b in bars.items()}
    assert monthly["queries_per_month"] == (4053, 2448, -4688)
    assert monthly["gpu_hours_per_month"] == (-577, 2448, 2448)
    assert {name for name, bar in bars.items() if bar.flips} == {"queries_per_month", "gpu_hours_per_month"}
    assert 0.2 < report.pairs["finetune<rag"] < 0.6


def test_cached_corpus_worked_by_qdrant() -> None:
    """200k tokens: $0.40 plain and $0.04 cached a query against $0.01 for RAG, so retrieval is cheaper even when hot."""
    plain, cached, rag_tokens = 2.0e-6, 0.2e-6, 5000
    assert (200e3 * plain, 200e3 * cached, rag_tokens * plain) == pytest.approx((0.40, 0.04, 0.01))
    assert breakeven.corpus(rag_tokens, plain, 0.0, plain, cached, 1.0) == pytest.approx(50e3)
    assert breakeven.hits(200e3, rag_tokens, plain, 0.0, plain, cached)[0] is Case.NEVER


def test_pinecone_query_worked() -> None:
    """7.14 GB read at $16 per million read units: $0.000114 a query."""
    from groundtune.verdict import prices

    unit = prices.value("vector:pinecone-read", START)
    assert max(0.25, 7.14) * unit / 1e6 == pytest.approx(0.000114, abs=1e-6)


def evsi(n: int, more: int, *, queries: float, months: int, worth: float, d: float, psi: float) -> float:
    """Expected value of ``more`` items after ``n``: QH v [se phi(z) - |d| Phi(-z)] with the pre-posterior se."""
    sd = math.sqrt(psi - d * d)
    se = sd / math.sqrt(n)
    se = se**2 / math.sqrt(se**2 + sd**2 / more)
    z = abs(d) / se
    return queries * months * worth * (se * float(sps.norm.pdf(z)) - abs(d) * float(sps.norm.cdf(-z)))


@pytest.mark.parametrize(("n", "dollars"), [(30, 126), (50, 54), (100, 8), (200, 0.1)])
def test_worth_of_fifty_more_questions_worked(n: int, dollars: float) -> None:
    """The closed form gives the notes' dollars; our simulation, which knows only the items, gives the same order."""
    closed = evsi(n, 50, queries=20e3, months=12, worth=0.05, d=0.04, psi=0.2)
    assert closed == pytest.approx(dollars, rel=0.05, abs=0.06)
    won, lost, both = round(0.12 * n), round(0.08 * n), round(0.4 * n)
    rest = n - won - lost - both
    a = [1.0] * won + [0.0] * lost + [1.0] * both + [0.0] * rest
    b = [0.0] * won + [1.0] * lost + [1.0] * both + [0.0] * rest
    found = worth_of_more([approach("rag", a), approach("prompt", b)], 50, dollars_per_point=20e3 * 12 * 0.05)
    assert found is not None and found.dollars is not None
    assert closed / 2 - 0.1 < found.dollars < closed * 2 + 0.1


def coverage(n: int, *, small: bool) -> float:
    """How often the interval holds the true difference: .05 at 11 % disagreement, 1,000 samples of ``n`` pairs."""
    rng = np.random.default_rng(7)
    counts = rng.multinomial(n, [0.08, 0.03, 0.89], size=1000)
    hit = 0
    for won, lost, _ in counts:
        if small:
            low, high = stats.agresti_min(int(won), int(lost), n)
        else:
            draws = rng.multinomial(n, [won / n, lost / n, 1 - (won + lost) / n], size=400)
            low, high = np.quantile((draws[:, 0] - draws[:, 1]) / n, [0.025, 0.975])
        hit += low <= 0.05 <= high
    return hit / len(counts)


def test_small_samples_need_agresti_min() -> None:
    assert 0.66 <= coverage(15, small=False) <= 0.82 and 0.86 <= coverage(30, small=False) <= 0.93
    for n in (15, 30, 50, 100):
        assert coverage(n, small=True) >= 0.94


def test_peeking_every_ten_items_misleads() -> None:
    """Plain McNemar at every tenth item of 400 calls 18.5 % of equal pairs different (anytime-valid: see measure)."""
    rng = np.random.default_rng(11)
    runs, looks, psi = 300, range(10, 401, 10), 0.2
    signs = rng.choice([1.0, -1.0, 0.0], size=(runs, 400), p=[psi / 2, psi / 2, 1 - psi])
    won, lost = np.cumsum(signs == 1, axis=1), np.cumsum(signs == -1, axis=1)
    p_value = cache(stats.mcnemar)
    plain = sum(any(p_value(int(won[run, n - 1]), int(lost[run, n - 1])) < 0.05 for n in looks) for run in range(runs))
    assert plain / runs == pytest.approx(0.185, abs=0.05)
