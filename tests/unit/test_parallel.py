"""Helper processes: order, errors, a helper that dies, no second import of the caller's main module."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from groundtune import parallel
from groundtune.errors import DataError
from groundtune.knowledge.labels import parse_labels, parse_rules
from groundtune.types import digest


def test_results_come_in_order():
    with parallel.Helpers(digest, 2) as pool:
        assert list(pool.map(map(str, range(9)))) == [digest(str(n)) for n in range(9)]


def test_errors_are_raised_here():
    with parallel.Helpers(parse_labels, 1) as pool, pytest.raises(TypeError):
        list(pool.map([3]))


def test_an_error_of_ours_keeps_its_words():
    with parallel.Helpers(parse_rules, 1) as pool, pytest.raises(DataError.__mro__[2]) as caught:
        list(pool.map([["no folder here"]]))
    assert "no folder here" in caught.value.sentence("en")


def test_work_of_a_helper_that_died_is_done_here():
    with parallel.Helpers(digest, 1) as pool:
        results = pool.map(iter("abc"))
        assert next(results) == digest("a")
        for process in pool._all:
            process.kill()
        assert list(results) == [digest("b"), digest("c")]


def test_input_is_taken_as_it_is_needed():
    taken = []

    def source():
        for number in range(20):
            taken.append(number)
            yield str(number)

    with parallel.Helpers(digest, 1) as pool:
        results = pool.map(source())
        next(results)
        assert len(taken) <= 3


def test_a_script_without_a_main_guard_is_safe(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "print('started', flush=True)\n"
        "from groundtune import parallel\n"
        "from groundtune.types import digest\n"
        "with parallel.Helpers(digest, 1) as pool:\n"
        "    print(list(pool.map(['a'])) == [digest('a')])\n"
    )
    source = str(Path(parallel.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": source}
    )
    assert (done.stdout.split(), done.stderr) == (["started", "True"], "")


def test_helpers_can_be_switched_off(monkeypatch):
    monkeypatch.setenv(parallel.OFF, "1")
    assert parallel.helpers() == 0
    monkeypatch.delenv(parallel.OFF)
    assert 0 <= parallel.helpers() <= 6
