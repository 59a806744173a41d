"""One training as a Ray Train job: 1 to N workers that share the rows of every step, on one machine or several.

Ray begins the process group (gloo between processors, NCCL between cards) and each worker calls what every process of a
group calls. When a worker dies, the group is begun again and goes on from the last checkpoint.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from platform import node
from typing import Any

from groundtune.errors import GroundtuneError, TrainingError, UserError
from groundtune.parallel_ray import RayEngine, last_line
from groundtune.tuning.group import first_process
from groundtune.tuning.sent import SentTrainer
from groundtune.tuning.worker import Said, Task
from groundtune.types import Adapter

_TRIES = 4  # a group that died so often would die again
_POLL = 0.2  # seconds
_NOTES = ".ray"  # beside the adapters; there while a job runs, so that a worker knows whether it sees the same folder


class RayTrainer(SentTrainer):
    """A ``LoraTrainer`` whose steps are shared by ``count`` workers of a cluster (0: one per card, one without cards).
    ``again`` hears how often a group was begun anew.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - as LoraTrainer
        engine: RayEngine,
        count: int = 0,
        again: Callable[[int], None] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, count=count, **options)
        self.engine = engine
        self.again = again

    def workers(self) -> int:
        """As asked for; else one per card, as far as a step has rows for them."""
        return self.count or max(1, min(self.engine.resource("GPU"), self.settings.batch_size))

    def send(self, task: Task, count: int) -> Adapter:
        """Run the job. Raises ``UserError`` when the cluster has too few processors or does not see the folder of the
        adapter, ``TrainingError`` when its workers died four times.
        """
        if count > (there := self.engine.resource("CPU")):
            raise UserError("ray.too_few", count=count, there=there)
        cards = self.engine.resource("GPU") >= count
        absolute = replace(task, out=str(Path(task.out).absolute()))
        return replace(self._job(absolute, count, cards), path=task.out)

    def _job(self, task: Task, count: int, cards: bool) -> Adapter:
        notes, reason = Path(task.out).parent / _NOTES, ""
        for number in range(1, _TRIES + 1):
            notes.mkdir(parents=True, exist_ok=True)
            try:
                with _listening(self.hear) as (said, heard):
                    reason = _fit(task, said, count, cards, notes)
            finally:
                shutil.rmtree(notes, ignore_errors=True)
            error = next((one.value for one in heard if one.what == "error"), None)
            adapter = next((one.value for one in heard if one.what == "adapter"), None)
            if error is not None:
                raise error
            if not reason and isinstance(adapter, Adapter):
                return adapter
            if self.again is not None and number < _TRIES:
                self.again(number)
        raise TrainingError("ray.training_lost", count=_TRIES, reason=reason or "-")


def _fit(task: Task, said: Any, count: int, cards: bool, notes: Path) -> str:  # noqa: ANN401
    """Run the job; why it ended early, empty when it did not."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchConfig, TorchTrainer

        trainer = TorchTrainer(
            _work,
            train_loop_config={"task": task, "said": said, "folder": os.getcwd()},
            torch_config=TorchConfig(backend="cpu:gloo,cuda:nccl" if cards else "gloo"),
            scaling_config=ScalingConfig(num_workers=count, use_gpu=cards),
            run_config=RunConfig(
                name="tune", storage_path=str(notes), failure_config=FailureConfig(max_failures=0)
            ),
        )  # fmt: skip
        try:
            trainer.fit()
        except Exception as error:  # of many kinds; our own errors were said
            return last_line(error)
    return ""


def _work(config: dict[str, Any]) -> None:
    """In every worker, after the process group has begun."""
    task: Task = config["task"]
    with suppress(OSError):  # paths of the settings may be relative
        os.chdir(config["folder"])

    def tell(what: str) -> Callable[[Any], None]:
        def told(value: Any) -> None:  # noqa: ANN401
            with suppress(Exception):  # whoever listened has gone; the training has not
                config["said"].put(Said(what, value))

        return told

    try:
        if not Path(task.out).parent.joinpath(_NOTES).is_dir():
            raise UserError("ray.not_shared", node=node(), path=Path(task.out).parent)
        adapter = task.run(tell("progress"), tell("preflight"))
    except GroundtuneError as error:
        tell("error")(error)
        raise
    if first_process():
        tell("adapter")(adapter)


@contextmanager
def _listening(hear: Callable[[Said], None]) -> Iterator[tuple[Any, list[Said]]]:
    """A queue that workers speak into, and what was heard from it so far; a thread calls ``hear``."""
    from ray.util.queue import Empty, Queue

    said, heard, ended = Queue(actor_options={"num_cpus": 0}), list[Said](), threading.Event()

    def listen() -> None:
        while True:
            last = ended.is_set()
            try:
                one = said.get(timeout=_POLL)
            except Empty:
                if last:
                    return
                continue
            except Exception:  # the queue has gone with its machine
                return
            heard.append(one)
            hear(one)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield said, heard
    finally:
        ended.set()
        thread.join(10)
        said.shutdown(force=True)
