"""What more questions are worth: against the closed form for two approaches, and at the extremes."""

import math

import numpy as np
import pytest
from scipy import stats as sps

from groundtune.measure.results import ApproachResult, ItemResult
from groundtune.measure.worth import worth_of_more


def result(name, values, groups=None):
    items = (
        ItemResult(str(i), "question", groups[i] if groups else f"d{i}", "?", "", "", scores={"success": float(v)})
        for i, v in enumerate(values)
    )
    return ApproachResult(name, "m", items=tuple(items))


def pair(n, difference, psi):
    up, down = round(n * (psi + difference) / 2), round(n * (psi - difference) / 2)
    both = n - up - down
    a = [1] * up + [0] * down + [1] * (both // 2) + [0] * (both - both // 2)
    b = [0] * up + [1] * down + [1] * (both // 2) + [0] * (both - both // 2)
    return [result("rag", a), result("prompt", b)]


def closed_form(n, difference, psi, more):
    """Normal approximation (Raiffa & Schlaifer): ``s phi(d/s) - d Phi(-d/s)`` before and after."""
    sd = math.sqrt(psi - difference**2)
    se = sd / math.sqrt(n)
    pre = se**2 / math.sqrt(se**2 + sd**2 / more)

    def loss(s):
        return s * sps.norm.pdf(difference / s) - difference * sps.norm.cdf(-difference / s)

    return loss(se), loss(pre)


@pytest.mark.parametrize(("n", "difference"), [(100, 0.04), (50, 0.04), (200, 0.02)])
def test_two_approaches_agree_with_the_closed_form(n, difference):
    more = worth_of_more(pair(n, difference, 0.2), 50)
    now, gain = closed_form(n, difference, 0.2, 50)
    assert more.leader == "rag" and more.items == 50
    assert more.loss_now == pytest.approx(now, rel=0.25)  # the prior doubt and the draws account for the rest
    assert more.loss_now - more.loss_then == pytest.approx(gain, rel=0.35, abs=5e-4)


def test_it_falls_with_what_is_known_and_with_the_distance():
    few, many = worth_of_more(pair(30, 0.0667, 0.2)), worth_of_more(pair(300, 0.0667, 0.2))
    assert few.loss_now > many.loss_now and few.other_leads > many.other_leads
    far = worth_of_more(pair(200, 0.5, 0.5))
    assert far.loss_now < 1e-4 and far.other_leads == 0.0 and far.clear_now and not few.clear_now


def test_identical_answers_on_a_handful_of_items_are_not_certainty():
    same = worth_of_more([result("a", [1, 1, 1, 1]), result("b", [1, 1, 1, 1])])
    assert same.loss_now > 0.01 and not same.clear_now


def test_dollars_only_when_the_worth_of_an_answer_was_stated():
    rows = pair(100, 0.04, 0.2)
    assert worth_of_more(rows).dollars is None
    paid = worth_of_more(rows, dollars_per_point=20_000 * 12 * 0.05)
    assert paid.dollars == pytest.approx((paid.loss_now - paid.loss_then) * 12_000)


def test_documents_are_drawn_whole():
    values = [1] * 20 + [0] * 20
    groups = [str(i // 10) for i in range(40)]
    alone = worth_of_more([result("a", values), result("b", [0.5] * 40)])
    whole = worth_of_more([result("a", values, groups), result("b", [0.5] * 40, groups)])
    assert whole.loss_now > alone.loss_now


def test_nothing_to_say_without_two_on_the_same_items():
    assert worth_of_more([result("a", [1, 0])]) is None
    assert worth_of_more([result("a", [1, 0]), ApproachResult("b", "m", skipped="no")]) is None
    other = ApproachResult("b", "m", items=(ItemResult("z", "question", "d", "?", "", "", scores={"success": 1.0}),))
    assert worth_of_more([result("a", [1, 0]), other]) is None
    assert worth_of_more(pair(100, 0.04, 0.2), seed=1) == worth_of_more(pair(100, 0.04, 0.2), seed=1)
    assert isinstance(worth_of_more(pair(40, 0.1, 0.3)).loss_now, float) and np.isfinite(worth_of_more(pair(40, 0.1, 0.3)).loss_then)  # fmt: skip
