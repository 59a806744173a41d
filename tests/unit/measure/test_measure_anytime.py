"""Evidence that holds at any stop: against the closed form, against simulation, and with clusters."""

import math

import numpy as np
import pytest
from scipy.special import betaln

from groundtune.measure.anytime import (
    Bets,
    anytime_difference,
    anytime_estimate,
    anytime_p,
    bets_of,
    confidence_sequence,
    evidence,
)


def items(n):
    return [str(i) for i in range(n)]


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (1, 0), (9, 1), (30, 12), (160, 150), (700, 400)])
def test_the_capital_is_the_beta_mixture_of_robbins(won, lost):
    delta = [1.0] * won + [-1.0] * lost + [0.0] * 7
    closed = math.exp(betaln(won + 1, lost + 1) + (won + lost) * math.log(2))
    assert evidence(bets_of(delta, items(len(delta))))[-1] == pytest.approx(closed, rel=1e-6)


def test_the_p_value_is_that_of_the_best_moment_so_far():
    won_then_lost = bets_of([1.0] * 10 + [-1.0] * 10, items(20))
    assert anytime_p(won_then_lost) == pytest.approx(11 / 2**10)  # after ten wins: 2^10 B(11, 1) = 1024 / 11
    assert anytime_p(bets_of([0.0] * 50, items(50))) == pytest.approx(1.0)


def test_looking_after_every_item_stays_below_five_percent_and_finds_what_is_there():
    rng, n = np.random.default_rng(7), 400

    def stops(difference, psi, runs):
        shares = [(psi + difference) / 2, (psi - difference) / 2, 1 - psi]
        drawn = rng.choice([1.0, -1.0, 0.0], p=shares, size=(runs, n))
        return [int(np.argmax(e >= 20)) + 1 if (e := evidence(Bets(x, np.ones(n)))).max() >= 20 else 0 for x in drawn]

    false = stops(0.0, 0.2, 300)
    assert sum(map(bool, false)) / len(false) <= 0.05  # 18.5 % with McNemar's test after every tenth item
    true = stops(0.15, 0.2, 100)
    assert sum(map(bool, true)) / len(true) > 0.95 and np.mean(true) < 110


def test_the_interval_covers_at_every_moment_at_once():
    rng, runs, n, missed = np.random.default_rng(3), 60, 150, 0
    for x in rng.choice([1.0, 0.0, -1.0, 0.4], p=[0.3, 0.5, 0.1, 0.1], size=(runs, n)):
        bets = Bets(x, np.ones(n))
        missed += float(evidence(bets, 0.24).max()) >= 20.0  # 0.3 - 0.1 + 0.04: outside at some time
    assert missed / runs <= 0.05


def test_the_interval_is_where_the_capital_reaches_twenty():
    bets = bets_of([1.0] * 30 + [-1.0] * 10 + [0.0] * 60, items(100))
    low, high = confidence_sequence(bets)
    assert low < 0.2 < high
    assert evidence(bets, low)[-1] == pytest.approx(20, rel=1e-3)
    assert evidence(bets, high)[-1] == pytest.approx(20, rel=1e-3)
    assert confidence_sequence(bets, 0.01)[0] < low


def test_documents_count_as_one_bet_each():
    delta, groups = [1.0] * 40, [str(i // 10) for i in range(40)]
    clustered, alone = bets_of(delta, groups), bets_of(delta, items(40))
    assert (len(clustered.values), len(alone.values)) == (4, 40)
    assert anytime_p(clustered) > 0.2 and anytime_p(alone) < 1e-9
    assert bets_of(delta, ["one"] * 40).values.shape == (40,)  # a single document: nothing to compare it with
    uneven = bets_of([1.0, 1.0, 0.0], ["a", "a", "b"], largest=4)
    assert uneven.weights.tolist() == [0.5, 0.25] and uneven.mean == pytest.approx(2 / 3)


def test_correlated_documents_do_not_fool_it():
    rng, wrong = np.random.default_rng(5), 0
    groups = [str(i // 10) for i in range(300)]
    for _ in range(80):
        delta = np.repeat(rng.choice([1.0, -1.0, 0.0], p=[0.3, 0.3, 0.4], size=30), 10)
        wrong += anytime_p(bets_of(delta.tolist(), groups)) < 0.05
    assert wrong / 80 <= 0.06


def test_differences_and_estimates_of_ordinary_scores():
    a, b = [1.0] * 60, [0.0] * 30 + [1.0] * 30
    found, p = anytime_difference(a, b, items(60))
    assert (found.value, found.n) == (0.5, 60) and 0.0 < found.low < 0.5 < found.high <= 1.0 and p < 0.001
    graded, _ = anytime_difference([0.7, 0.9, 0.4] * 20, [0.5, 0.6, 0.4] * 20, items(60))
    assert graded.value == pytest.approx(1 / 6) and graded.low < graded.value < graded.high
    share = anytime_estimate([1.0, None, 0.0] * 20, items(60))
    assert share.value == 0.5 and share.n == 40 and 0.2 < share.low < 0.4 < 0.6 < share.high < 0.8
    assert anytime_estimate([None], ["a"]).value is None
    sure = anytime_estimate([1.0] * 50, items(50))
    assert sure.high == 1.0 and 0.8 < sure.low < 1.0
    with pytest.raises(ValueError, match="same items"):
        anytime_difference([1.0], [], [])
