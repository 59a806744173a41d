"""A short run of ``benchmarks/durability.py``: kill -9 at random moments, a reader beside it."""

import importlib.util
import signal
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "durability.py"


def load():
    spec = importlib.util.spec_from_file_location("durability", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["durability"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_nothing_acknowledged_is_lost_and_nobody_sees_half_a_document(tmp_path):
    outcome = load().run(tmp_path / "kb", operations=120, seed=3, burst=45)
    assert outcome.operations >= 120 and outcome.kills >= 3 and outcome.reads > 50
    assert (outcome.lost, outcome.torn, outcome.unsound) == (0, 0, 0)
