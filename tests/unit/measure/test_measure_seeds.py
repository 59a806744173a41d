"""Several trainings as one result: items averaged first, the spread in intervals and p values."""

import math

import pytest
from scipy import stats as sps

from groundtune.measure.contrasts import contrast_of
from groundtune.measure.results import ApproachResult, Estimate, ItemResult
from groundtune.measure.seeds import Spread, merge_seeds, seeded_p, spread_of, widened
from groundtune.measure.stats import Difference
from groundtune.measure.summary import metrics_of


def trained(values, seconds=2.0, failed=()):
    items = tuple(
        ItemResult(str(i), "question", f"d{i}", "?", "x", "x", error="down" if i in failed else "", scores={} if i in failed else {"success": v})
        for i, v in enumerate(values)
    )  # fmt: skip
    good = [item for item in items if not item.error]
    return ApproachResult(
        "finetune", "m", metrics=metrics_of(good), items=items, fit_seconds=seconds, errors=len(failed)
    )


def test_items_are_averaged_and_the_spread_is_kept():
    runs = [trained([1.0, 1.0, 0.0, 0.0], 1.0), trained([1.0, 0.0, 0.0, 0.0], 3.0), trained([1.0, 1.0, 1.0, 0.0], 5.0)]
    merged = merge_seeds(runs, [0, 1, 2])
    assert [i.scores["success"] for i in merged.items] == [1.0, pytest.approx(2 / 3), pytest.approx(1 / 3), 0.0]
    assert [s.means["success"] for s in merged.seeds] == [0.5, 0.25, 0.75] and merged.fit_seconds == 3.0
    spread = spread_of(merged, "success")
    assert spread.error == pytest.approx(0.25 / math.sqrt(3)) and spread.freedom == 2
    assert spread.half == pytest.approx(sps.t.ppf(0.975, 2) * 0.25 / math.sqrt(3))
    plain = metrics_of(merged.items)["success"]
    wide = merged.metrics["success"]
    assert wide.value == pytest.approx(0.5) and wide.low <= plain.low and wide.high >= plain.high
    assert merge_seeds(runs[:1], [0]) is runs[0]


def test_trainings_that_agree_add_nothing():
    merged = merge_seeds([trained([1.0, 0.0] * 20)] * 3, [0, 1, 2])
    assert spread_of(merged, "success").half == 0.0 and merged.metrics["success"] == metrics_of(merged.items)["success"]


def test_an_item_that_failed_in_one_training_is_scored_by_the_others():
    merged = merge_seeds([trained([1.0, 1.0], failed=(0,)), trained([0.0, 1.0])], [0, 1])
    assert merged.items[0].scores == {"success": 0.0} and not merged.items[0].error and merged.errors == 0
    both = merge_seeds([trained([1.0, 1.0], failed=(0,)), trained([0.0, 1.0], failed=(0,))], [0, 1])
    assert both.errors == 1 and both.items[0].error == "down"


def test_a_difference_that_only_some_trainings_show_is_not_clear():
    base = trained([0.0] * 40)
    steady = merge_seeds([trained([1.0] * 20 + [0.0] * 20)] * 3, [0, 1, 2])
    shaky = merge_seeds([trained([1.0] * 40), trained([1.0] * 20 + [0.0] * 20), trained([0.0] * 40)], [0, 1, 2])
    clear, doubtful = contrast_of(steady, base, "success"), contrast_of(shaky, base, "success")
    assert clear.difference == doubtful.difference == 0.5
    assert clear.low > 0 and clear.p_value < 0.001
    assert doubtful.low < 0 and doubtful.p_value > 0.05  # t with 2 degrees of freedom: 0.5 / (0.5 / sqrt 3) = 1.7


def test_welch_satterthwaite_and_bounds():
    both = Spread(0.03, 2.0).plus(Spread(0.04, 4.0))
    assert both.error == pytest.approx(0.05)
    assert both.freedom == pytest.approx(0.05**4 / (0.03**4 / 2 + 0.04**4 / 4))
    assert Spread().plus(Spread()) == Spread()
    assert widened(Estimate(0.9, 0.8, 0.95, 10), Spread(0.2, 2.0)).high == 1.0
    assert widened(Estimate(None, None, None, 0), Spread(0.2, 2.0)).value is None
    even = Difference(0.1, 0.1 - 0.0196, 0.1 + 0.0196, 100)
    items, seeds = Spread(0.0196 / sps.norm.ppf(0.975), 99.0), Spread(0.01, 2.0)
    total = items.plus(seeds)
    assert seeded_p(0.0, even, seeds, 100) == pytest.approx(2 * sps.t.sf(0.1 / total.error, total.freedom))
    assert seeded_p(0.9, even, seeds, 100) == 0.9 and seeded_p(0.2, even, Spread(), 100) == 0.2
