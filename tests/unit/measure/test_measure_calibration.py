"""A small piece of ``benchmarks/calibration.py``: no winner where there is none, and one where there is."""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[3] / "benchmarks" / "calibration.py"


@pytest.fixture(scope="module")
def calibration():
    found = importlib.util.spec_from_file_location("calibration", FILE)
    module = importlib.util.module_from_spec(found)
    sys.modules["calibration"] = module
    found.loader.exec_module(module)
    yield module
    sys.modules.pop("calibration")


def drawn(calibration, seed, n, means, size=1, icc=0.0):
    return calibration.drawn(calibration.np.random.default_rng(seed), n, means, 0.5, size, icc)


def test_equal_approaches_have_no_winner(calibration):
    wrong = sum(calibration.fixed_claims(drawn(calibration, s, 60, [0.6] * 5)) for s in range(60))
    grouped = sum(calibration.fixed_claims(drawn(calibration, s, 200, [0.6] * 3, 10, 0.4), 10) for s in range(40))
    assert wrong <= 3 and grouped <= 5  # more than 5 of 40 at a true rate of 5 % would be one chance in seventy


def test_looking_again_and_again_finds_no_winner_either(calibration):
    assert sum(calibration.race_claims(drawn(calibration, s, 200, [0.6] * 5))[0] for s in range(30)) <= 1
    found, asked = calibration.race_claims(drawn(calibration, 1, 200, [0.9, 0.1]))
    assert found and asked < 60


def test_the_simulated_difficulties_are_as_asked(calibration):
    scores = drawn(calibration, 3, 4000, [0.7, 0.3], 10, 0.4)
    assert scores.mean(axis=0) == pytest.approx([0.7, 0.3], abs=0.03)
    means = scores[:, 0].reshape(-1, 10).mean(axis=1)
    assert means.var() > 1.5 * scores[:, 0].var() / 10  # the items of a document go together


def test_power_is_at_least_what_is_stated(calibration):
    need = calibration.math.ceil(calibration.EXACT * calibration.items_needed(0.15, 0.2))
    rng = calibration.np.random.default_rng(11)
    won = sum(calibration.pair_claim(calibration.discordant(rng, need, 0.15, 0.2)) for _ in range(300))
    assert won / 300 > 0.75
