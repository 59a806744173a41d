"""The engine alone: order, bounded input, errors, workers that die, what cannot be sent, and no cluster at all."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ray_cluster import wait_until

from groundtune import messages
from groundtune.errors import GroundtuneError, MissingExtra, UserError
from groundtune.parallel_ray import AHEAD, RayEngine, WorkerLost

pytestmark = pytest.mark.ray


@dataclass(frozen=True)
class Double:
    """Doubles numbers; ``folder`` gets a file per opened worker. A text is what happens instead."""

    folder: Path

    def open(self) -> Callable[[Any], Any]:
        (self.folder / f"opened-{os.getpid()}").touch()
        if (self.folder / "cannot").exists():
            raise UserError("ray.address_form", address="nowhere")

        def double(item: Any) -> Any:
            if item == "raise":
                raise ValueError("no number")
            if item == "die once" and not (self.folder / "died").exists():
                (self.folder / "died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if item == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if item == "wait":
                wait_until((self.folder / "1").exists)
            (self.folder / str(item)).touch()
            return item * 2

        return double


@dataclass(frozen=True)
class Slow:
    """``Double`` that takes its time."""

    folder: Path

    def open(self) -> Callable[[Any], Any]:
        double = Double(self.folder).open()

        def slowly(item: Any) -> Any:
            time.sleep(0.2)
            return double(item)

        return slowly


@pytest.fixture(scope="module")
def engine(cluster):
    with RayEngine(cluster) as made:
        yield made


def test_results_come_in_order_from_workers_that_open_once(engine, tmp_path):
    assert engine.workers == 2
    items = ["wait", *range(40)]
    assert list(engine.map(Double(tmp_path), items)) == [item * 2 for item in items]
    assert 1 <= len(list(tmp_path.glob("opened-*"))) <= 2


def test_what_is_done_first_arrives_first(engine, tmp_path):
    arrived = list(engine.arriving(Double(tmp_path), ["wait", 1, 2, 3]))
    assert sorted(arrived) == [(0, "waitwait"), (1, 2), (2, 4), (3, 6)] and arrived[0] != (0, "waitwait")


def test_input_is_taken_as_it_is_needed(engine, tmp_path):
    taken = []

    def source():
        for number in range(100):
            taken.append(number)
            yield number

    results = engine.map(Double(tmp_path), source())
    assert next(results) == 0 and len(taken) <= AHEAD * engine.workers
    results.close()
    assert len(taken) <= AHEAD * engine.workers


def test_no_more_workers_than_asked_for(engine, cluster, tmp_path):
    few = RayEngine(cluster, 1)
    assert few.workers == 1
    assert list(few.map(Double(tmp_path), [1, 2, 3])) == [2, 4, 6]
    few.close()  # it found the connection of the other one, which stays
    assert list(engine.map(Double(tmp_path), [4])) == [8]


def test_an_item_whose_worker_dies_is_done_by_another(engine, tmp_path, capfd):
    assert list(engine.map(Double(tmp_path), [1, "die once", 3])) == [2, "die oncedie once", 6]
    assert (tmp_path / "died").exists()
    time.sleep(1)  # Ray tells of it from a thread
    assert capfd.readouterr().out == ""  # which is for data


def test_what_a_machine_had_in_hand_is_done_elsewhere(cluster, third, tmp_path):
    with RayEngine(cluster) as engine:
        wait_until(lambda: engine.resource("CPU") == 4)
        engine._look = 0.0
        results = engine.map(Slow(tmp_path), range(60))
        found: list[object] = []
        while len(list(tmp_path.glob("opened-*"))) < 3:  # until the third machine takes part; slowly on a busy computer
            found.append(next(results))
        assert len(found) < 60
        third()
        found += results
    assert found == [number * 2 for number in range(60)]


def test_an_item_that_kills_every_worker_is_given_up(engine, tmp_path):
    told = []

    def lost(item, error):
        told.append((type(error), item, error.params["count"]))
        return "gave up"

    assert list(engine.map(Double(tmp_path), [1, "die", 3], lost)) == [2, "gave up", 6]
    assert told == [(WorkerLost, "die", 4)]


def test_what_a_worker_raises_is_a_sentence(engine, tmp_path):
    with pytest.raises(GroundtuneError, match="no number"):
        list(engine.map(Double(tmp_path), [1, "raise", 3]))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "cannot").touch()
    with pytest.raises(UserError, match="nowhere"):
        list(engine.map(Double(tmp_path / "other"), [1]))


def test_work_that_lives_in_this_process_only(engine):
    class Local:
        def open(self):
            return lambda item: item

    with pytest.raises(UserError) as caught:
        list(engine.map(Local(), [1]))
    sentences = {caught.value.sentence(lang) for lang in messages.LANGUAGES}
    assert len(sentences) == 3 and all("Local" in sentence for sentence in sentences)


def test_another_version_on_a_worker(engine, tmp_path, monkeypatch):
    import groundtune

    monkeypatch.setattr(groundtune, "__version__", "9.9")
    with pytest.raises(UserError, match=r"9\.9"):
        list(engine.map(Double(tmp_path), [1]))


def test_no_cluster_there():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UserError) as caught:
        RayEngine(f"127.0.0.1:{port}")
    assert caught.value.exit_code == 2 and f"127.0.0.1:{port}" in caught.value.sentence("ja")
    for wrong in ("somewhere", "host:port", "ray://"):
        with pytest.raises(UserError, match="not the address"):
            RayEngine(wrong)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    for lang in messages.LANGUAGES:
        with pytest.raises(MissingExtra) as caught:
            RayEngine()
        assert 'pip install "groundtune[ray]"' in caught.value.sentence(lang)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_wait_until_can_fail():
    with pytest.raises(AssertionError):
        wait_until(lambda: False, 0.05)
