"""A training that other processes do: what is decided here before it is sent to them, and what they say meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from groundtune.errors import TrainingError
from groundtune.tuning.base import training_digest
from groundtune.tuning.data import require_enough
from groundtune.tuning.lora import LoraTrainer, finished_adapter
from groundtune.tuning.worker import Said, Task
from groundtune.types import Adapter, Example


class SentTrainer(LoraTrainer):
    """A ``LoraTrainer`` whose steps are shared by ``count`` processes: same batches, same result within rounding."""

    def __init__(self, *args: Any, count: int, **options: Any) -> None:  # noqa: ANN401 - as LoraTrainer
        super().__init__(*args, **options)
        self.count = count

    def train(self, examples: Sequence[Example], *, base: str, out: str) -> Adapter:
        """As ``LoraTrainer.train``. Raises ``TrainingError`` also for more processes than a step has rows, and when they
        die.
        """
        require_enough(examples, self.minimum)
        digest = training_digest(examples, base, self.settings, self.held_out)
        if (finished := finished_adapter(Path(out), digest)) is not None:
            return finished
        count = self.workers()
        if count > self.settings.batch_size:
            raise TrainingError("tuning.processes_batch", count=count, batch=self.settings.batch_size)
        return self.send(
            Task(tuple(examples), base, out, self.settings, self.held_out, self.schema, self.minimum, self.free), count
        )

    def workers(self) -> int:
        """How many processes share the steps."""
        return self.count

    def send(self, task: Task, count: int) -> Adapter:
        """Have ``count`` processes run ``task``."""
        raise NotImplementedError

    def hear(self, said: Said) -> None:
        """Pass on what was said to whoever listens here; an adapter or an error is for the sender."""
        hears = {"preflight": self.announce, "progress": self.progress}.get(said.what)
        if hears is not None:
            hears(said.value)
