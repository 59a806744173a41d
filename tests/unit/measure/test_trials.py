import pytest

from groundtune.config import Config
from groundtune.errors import DataError
from groundtune.measure.results import Estimate
from groundtune.measure.stats import Difference
from groundtune.measure.trials import Curve, Trial, make_bench
from groundtune.types import Example, Message


def curve(low, high):
    trial = Trial(1.0, 10, Estimate(0.5, 0.4, 0.6, 20), (0.5,) * 20, 1.0)
    return Curve((trial,), 20, "json", Difference((low + high) / 2, low, high, 20))


def test_the_verdict_is_read_from_the_interval_of_the_gain():
    assert curve(0.01, 0.2).verdict == "more"
    assert curve(-0.03, 0.01).verdict == "enough"
    assert curve(-0.03, 0.05).verdict == "unclear"


def row(number, text=None):
    turns = (Message("user", text or f"{number * 7919} {number}"), Message("assistant", '{"a": 1}'))
    return Example(turns, id=f"e{number}", metadata={"document": f"d{number % 20}"})


def test_what_is_scored_on_shares_no_document_with_what_is_trained_on():
    rows = [row(number) for number in range(200)]
    bench = make_bench(Config(), None, (), rows)
    assert bench.scoring.form == "json" and 20 <= len(bench.held_out) <= 60
    assert not {e.metadata["document"] for e in bench.train} & {e.metadata["document"] for e in bench.held_out}


def test_too_few_or_too_like_examples_cannot_be_compared_on():
    with pytest.raises(DataError, match="at least 50"):
        make_bench(Config(), None, (), [row(number) for number in range(49)])
    alike = [Example((*row(n, "same").messages[:1], Message("assistant", str(n))), id=f"e{n}") for n in range(60)]
    with pytest.raises(DataError, match="too much alike"):
        make_bench(Config(), None, (), alike)
