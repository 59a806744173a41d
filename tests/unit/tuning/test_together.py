"""Several processes that train one adapter: the same result as one, and nothing lost when one of them dies."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_lora import SHORT, toy, weights

from groundtune.config import TuningSection
from groundtune.errors import TrainingError
from groundtune.tuning import launch, memory
from groundtune.tuning.adapters import Adapters
from groundtune.tuning.group import Group, first_process, processes
from groundtune.tuning.launch import LaunchedTrainer
from groundtune.tuning.lora import LoraTrainer
from groundtune.tuning.plan import Plan, make_plan
from groundtune.tuning.steps import batches
from groundtune.tuning.worker import Said, heard

pytestmark = pytest.mark.tune
UNEVEN = TuningSection(
    epochs=2, learning_rate=8e-3, rank=4, batch_size=5, precision="float32"
)  # 14 steps; the last has 4 rows
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def alike(one, other, *, within):
    import numpy as np

    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    return max(float(np.abs(ours[key] - theirs[key]).max()) for key in ours) <= within


def way(count, micro, accumulation):
    return memory.Way(micro, accumulation, False, False, True, 1, memory.Estimate(0, 0, 0, 0), None, count)


@pytest.mark.parametrize(("count", "micro", "accumulation"), [(1, 5, 1), (1, 1, 5), (2, 3, 1), (3, 1, 2), (4, 2, 1)])
def test_processes_share_each_step_and_no_row_twice(count, micro, accumulation):
    plan = make_plan([10 + i % 7 for i in range(33)], UNEVEN)
    mine = [batches(plan, way(count, micro, accumulation), 5, Group(rank, count, count)) for rank in range(count)]
    assert {len(part) for part in mine} == {14 * accumulation}  # all step at once
    for step in range(14):
        rows = [
            row for part in mine for batch in part[step * accumulation : (step + 1) * accumulation] for row in batch
        ]
        assert sorted(row for row in rows if row >= 0) == sorted(plan.order[step * 5 : step * 5 + 5])
    assert all(0 < len(batch) <= micro for part in mine for batch in part)


def test_a_process_without_a_row_takes_the_empty_one():
    last = Plan((4,), 1, 1)
    assert batches(last, way(2, 4, 1), 8, Group(0, 2, 2)) == [[4]]
    assert batches(last, way(2, 4, 1), 8, Group(1, 2, 2)) == [[-1]]


def test_parts_come_back_in_the_order_of_the_items(monkeypatch):
    items = list("abcdefg")
    parts = [Group(rank, 3, 3).share(items) for rank in range(3)]
    monkeypatch.setattr(Group, "gather", lambda self, part: [list(part) for part in parts])
    assert Group(1, 3, 3).join(parts[1]) == items


def test_the_environment_says_which_process_this_is(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "2")
    assert processes() == 3 and not first_process()
    monkeypatch.setenv("RANK", "0")
    assert first_process()
    monkeypatch.delenv("WORLD_SIZE")
    assert processes() == 1
    assert Group().agree("x") == "x" and Group().join([1, 2]) == [1, 2] and Group().first


def test_lines_that_are_not_a_workers_are_not_taken():
    said = Said("progress", 3)
    assert heard(said.line()) == said
    assert heard(b"Loading weights: 100%\n") is None and heard(b"aGVsbG8=\n") is None


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_train_the_adapter_of_one(tiny_base, tmp_path):
    held_out, told, seen = toy(3, start=45), [], []
    trainer = LaunchedTrainer(UNEVEN, held_out=held_out, announce=told.append, progress=seen.append, count=2)
    two = trainer.train(toy(33), base=tiny_base, out=str(tmp_path / "two"))
    one = LoraTrainer(UNEVEN, held_out=held_out).train(toy(33), base=tiny_base, out=str(tmp_path / "one"))
    assert alike(two.path, one.path, within=1e-4)
    assert two.digest == one.digest and two.final_loss == pytest.approx(one.final_loss, rel=1e-5)
    assert two.settings["looks"] == [pytest.approx(look, abs=2e-4) for look in one.settings["looks"]]
    (report,) = told
    assert report.way.processes == 2 and report.way.micro_batch == 3
    assert [p.step for p in seen] == list(range(1, 15))
    assert Adapters(tmp_path).list() == {"one": one, "two": two}
    assert not (tmp_path / "two" / "checkpoints").exists()
    again = LaunchedTrainer(UNEVEN, held_out=held_out, progress=lambda _: pytest.fail("trained again"), count=2)
    assert again.train(toy(33), base=tiny_base, out=two.path) == two


_KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from test_lora import SHORT, toy
from groundtune.tuning.launch import LaunchedTrainer
def watch(progress):
    if progress.step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
LaunchedTrainer(SHORT, progress=watch, count=2).train(toy(), base={base!r}, out={out!r})
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_workers_and_a_killed_launcher_lose_nothing(tiny_base, tmp_path, monkeypatch):
    started, start = [], launch._start

    def remember(*args):
        started.append(start(*args))
        return started[-1]

    monkeypatch.setattr(launch, "_start", remember)
    out, whole = str(tmp_path / "killed"), str(tmp_path / "whole")

    def kill(progress):
        if progress.step == 7:
            started[1].kill()

    with pytest.raises(TrainingError, match=r"process 2 of 2 died \(SIGKILL\).*goes on from the last checkpoint"):
        LaunchedTrainer(SHORT, progress=kill, count=2).train(toy(), base=tiny_base, out=out)
    assert all(worker.poll() is not None for worker in started)
    assert Adapters(tmp_path).list() == {}
    script = _KILLED.format(path=[str(Path(__file__).parent)], step=17, base=tiny_base, out=out)
    environment = {**ENVIRONMENT, "GROUNDTUNE_TEST_MARK": out}
    killed = subprocess.run([sys.executable, "-W", "ignore", "-c", script], env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert alone_again(out)
    steps = []
    trainer = LaunchedTrainer(SHORT, progress=lambda p: steps.append(p.step), count=2)
    resumed = trainer.train(toy(), base=tiny_base, out=out)
    assert steps[0] in (16, 21) and steps[-1] == 25
    straight = LaunchedTrainer(SHORT, count=2).train(toy(), base=tiny_base, out=whole)
    assert resumed.digest == straight.digest and alike(out, whole, within=0.0)  # bit for bit


def alone_again(mark):
    """Whether the workers of a launcher that was killed have ended by themselves."""
    until = time.monotonic() + 30
    while any(mark.encode() in environment for environment in environments()):
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def environments():
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            yield path.read_bytes()
        except OSError:
            continue


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_a_worker_refuses_is_said_as_it_is(tiny_base, tmp_path):
    narrow = TuningSection(max_tokens=19)
    with pytest.raises(TrainingError, match="longer than 19 tokens"):
        LaunchedTrainer(narrow, count=2).train(toy(), base=tiny_base, out=str(tmp_path / "a"))
    with pytest.raises(TrainingError, match="9 processes cannot share steps of 8"):
        LaunchedTrainer(TuningSection(), count=9).train(toy(), base=tiny_base, out=str(tmp_path / "a"))
    assert not (tmp_path / "a").exists()


_MEMBER = """
import sys
sys.path[:0] = {path!r}
import torch.distributed as together
together.init_process_group("gloo", init_method="tcp://127.0.0.1:{port}", rank=int(sys.argv[1]), world_size=2)
from test_together import UNEVEN
from test_lora import toy
from groundtune.tuning.worker import Task
adapter = Task(tuple(toy(33)), {base!r}, {out!r}, UNEVEN).run(progress=lambda p: print("step", p.step, flush=True))
print("adapter", adapter.digest, together.is_initialized())
together.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_group_that_somebody_else_began_is_used(tiny_base, tmp_path):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    out = str(tmp_path / "theirs")
    script = _MEMBER.format(path=[str(Path(__file__).parent)], base=tiny_base, out=out, port=port)
    begun = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", script, str(rank)], env=ENVIRONMENT,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=200) for process in begun]
    assert [process.returncode for process in begun] == [0, 0], said
    one = LoraTrainer(UNEVEN).train(toy(33), base=tiny_base, out=str(tmp_path / "one"))
    assert f"adapter {one.digest} True" in said[0][0] and f"adapter {one.digest} True" in said[1][0]
    assert said[0][0].count("step") == 14 and "step" not in said[1][0]  # one of them talks
    assert alike(out, one.path, within=1e-4)
