"""Statistics against the worked tables of the method notes and against scipy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sps

from groundtune.measure import stats


@pytest.mark.parametrize(
    ("difference", "row"),
    [
        (0.03, {0.1: 870, 0.2: 1742, 0.3: 2614, 0.4: 3487}),
        (0.05, {0.1: 312, 0.2: 626, 0.3: 940, 0.4: 1254}),
        (0.10, {0.2: 155, 0.3: 234, 0.4: 312}),
        (0.15, {0.2: 68, 0.3: 103, 0.4: 138}),
        (0.20, {0.3: 57, 0.4: 77}),
    ],
)
def test_items_needed_is_the_published_table(difference, row):
    assert {psi: stats.items_needed(difference, psi) for psi in row} == row


@pytest.mark.parametrize(
    ("n", "at_20", "at_30"), [(50, 17, 21), (100, 12, 15), (200, 9, 11), (300, 7, 9), (500, 6, 7), (1000, 4, 5)]
)
def test_detectable_difference_is_the_published_table(n, at_20, at_30):
    assert round(100 * stats.detectable_difference(n, 0.2)) == at_20
    assert round(100 * stats.detectable_difference(n, 0.3)) == at_30


@given(st.integers(10, 3000), st.floats(0.0, 1.0))
def test_detectable_difference_inverts_items_needed(n, psi):
    d = stats.detectable_difference(n, psi)
    assert stats.items_needed(d, psi) <= n
    assert stats.items_needed(d * 0.98, psi) >= n * 0.98


def test_too_few_items_detect_nothing():
    assert stats.detectable_difference(3, 0.2) is None
    assert stats.detectable_difference(0, 0.2) is None
    with pytest.raises(ValueError, match="difference"):
        stats.items_needed(0.0, 0.2)


@settings(deadline=None)  # the first call imports scipy
@given(st.integers(1, 400), st.data())
def test_wilson_is_scipys(n, data):
    k = data.draw(st.integers(0, n))
    reference = sps.binomtest(k, n).proportion_ci(method="wilson")
    assert stats.wilson(k, n) == pytest.approx((reference.low, reference.high), abs=1e-9)


def test_binary_items_without_clusters_get_a_wilson_interval():
    found = stats.estimate([1.0] * 8 + [0.0] * 2 + [None])
    assert (found.value, found.n) == (0.8, 10)
    assert (found.low, found.high) == pytest.approx(stats.wilson(8, 10))


def test_nothing_measured_is_no_number():
    assert stats.estimate([None, None]).value is None
    assert stats.estimate([]).n == 0


def test_clusters_widen_the_interval():
    values = [1.0] * 20 + [0.0] * 20 + [1.0] * 20 + [0.0] * 20 + [1.0] * 20
    groups = [str(i // 20) for i in range(100)]
    loose, clustered = stats.estimate(values), stats.estimate(values, groups)
    assert clustered.high - clustered.low > 2 * (loose.high - loose.low)
    assert clustered == stats.estimate(values, groups)  # seeded


def test_equal_values_in_few_clusters_are_not_certainty():
    found = stats.estimate([1.0] * 60, [str(i % 3) for i in range(60)])
    assert found.value == found.high == 1.0
    size = 60 / (1 + 19 * stats.ASSUMED_CORRELATION)
    assert found.low == pytest.approx(stats.wilson(size, size)[0])
    assert found.low < stats.estimate([1.0] * 60).low


def test_coverage_with_few_clusters():
    """9 documents of 11 questions, correlated inside documents: the interval holds the truth about 95 % of the time."""
    rng = np.random.default_rng(3)
    groups = [str(i // 11) for i in range(99)]
    held = 0
    for _ in range(150):
        chances = rng.beta(5.4, 3.6, 9)
        values = (rng.random((9, 11)) < chances[:, None]).astype(float).ravel().tolist()
        found = stats.estimate(values, groups)
        held += found.low <= 0.6 <= found.high
    assert held / 150 >= 0.90


def test_agresti_min_by_hand():
    # 10 items, 4 against 1: centre 3/12, half width 1.96 * sqrt(6 - 9/12) / 12
    low, high = stats.agresti_min(4, 1, 10)
    assert (low + high) / 2 == pytest.approx(0.25)
    assert high - low == pytest.approx(2 * 1.959964 * (5.25**0.5) / 12, rel=1e-5)


def test_small_binary_pairs_use_agresti_min_and_large_ones_the_bootstrap():
    a, b = [1.0] * 30 + [0.0] * 20, [1.0] * 20 + [0.0] * 30
    small = stats.paired_difference(a, b)
    assert (small.low, small.high) == pytest.approx(stats.agresti_min(10, 0, 50))
    assert small.value == pytest.approx(0.2)
    large = stats.paired_difference(a * 4, b * 4)
    reference = sps.bootstrap(
        (np.subtract(a * 4, b * 4),), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (large.low, large.high) == pytest.approx((reference.low, reference.high), abs=0.01)


@pytest.mark.parametrize("n", [5, 200])
@pytest.mark.parametrize("graded", [False, True])
def test_identical_approaches_get_a_finite_interval_and_p_one(n, graded):
    values = [0.37 if graded else 1.0] * n
    found = stats.paired_difference(values, values)
    assert found.value == 0.0
    assert found.low < 0.0 < found.high
    assert found.high < 0.6
    assert stats.paired_p(values, values) == 1.0


def test_mcnemar_is_the_binomial_test():
    for b, c in itertools.product(range(6), repeat=2):
        expected = sps.binomtest(b, b + c).pvalue if b + c else 1.0
        assert stats.mcnemar(b, c) == pytest.approx(expected)


def test_sign_flip_is_scipys_permutation_test():
    delta = [0.3, -0.1, 0.25, 0.4, 0.05, -0.2, 0.6, 0.0, 0.1]
    reference = sps.permutation_test((np.array(delta),), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert stats.sign_flip(delta) == pytest.approx(reference)
    many = [*delta, *[d * 0.9 + 0.01 for d in delta]]
    monte_carlo = sps.permutation_test(
        (np.array(many),), np.mean, permutation_type="samples", n_resamples=20000, rng=np.random.default_rng(0)
    ).pvalue
    assert stats.sign_flip(many) == pytest.approx(monte_carlo, abs=0.01)


def test_clustered_p_values_are_not_fooled_by_one_document():
    a = [1.0] * 30 + [0.0, 1.0] * 15
    b = [0.0] * 30 + [1.0, 0.0] * 15
    groups = ["one"] * 30 + [f"d{i}" for i in range(30)]
    assert stats.paired_p(a, b) < 1e-3
    assert stats.paired_p(a, b, groups) > 0.05


def test_holm_by_hand():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.9, 0.8]) == [1.0, 1.0]
    assert stats.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(p_values):
    adjusted = stats.holm(p_values)
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 4)), min_size=1, max_size=60))
def test_any_pairs_give_an_interval_around_the_difference(rows):
    a, b = [float(r[0]) for r in rows], [float(r[1]) for r in rows]
    found = stats.paired_difference(a, b, [str(r[2]) for r in rows])
    assert -1.0 <= found.low <= found.value <= found.high <= 1.0
    mirrored = stats.paired_difference(b, a, [str(r[2]) for r in rows])
    assert mirrored.value == pytest.approx(-found.value)


def test_pairs_must_be_pairs():
    with pytest.raises(ValueError, match="same items"):
        stats.paired_difference([1.0], [])


def test_detectable_mean_and_percentiles():
    assert stats.detectable_mean([0.1] * 5) is None
    assert stats.detectable_mean([0.0, 1.0] * 50) == pytest.approx(2.8016 * 0.50252 / 10, rel=1e-3)
    assert stats.percentile([1.0, 2.0, 3.0], 0.5) == 2.0
    assert stats.percentile([], 0.5) is None
