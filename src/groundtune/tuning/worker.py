"""One training as a value that can travel to another process, and the process that our launcher starts for it.

``Task.run`` is what every process of a group calls, however the group came about.
"""

from __future__ import annotations

import base64
import os
import pickle
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any

from groundtune.config import TuningSection
from groundtune.errors import GroundtuneError
from groundtune.tuning.group import close_group, first_process
from groundtune.tuning.plan import Progress
from groundtune.tuning.preflight import Preflight
from groundtune.types import Adapter, Example


@dataclass(frozen=True)
class Task:
    """What ``LoraTrainer.train`` is made of; the fields are its arguments."""

    examples: tuple[Example, ...]
    base: str
    out: str
    settings: TuningSection
    held_out: tuple[Example, ...] = ()
    schema: Mapping[str, Any] | None = None
    minimum: int = 10
    free: float | None = None

    def run(
        self,
        progress: Callable[[Progress], None] | None = None,
        announce: Callable[[Preflight], None] | None = None,
    ) -> Adapter:
        """Train, together with the other processes of the group that this one belongs to (``group.open_group``). Only
        the first one calls ``progress`` and ``announce``. Raises as ``LoraTrainer.train`` does.
        """
        from groundtune.tuning.lora import LoraTrainer

        trainer = LoraTrainer(
            self.settings, progress=progress, announce=announce, held_out=self.held_out, schema=self.schema,
            minimum=self.minimum, free=self.free,
        )  # fmt: skip
        return trainer.train(self.examples, base=self.base, out=self.out)


@dataclass(frozen=True)
class Said:
    """What a worker tells its launcher: ``what`` is progress, preflight, adapter or error."""

    what: str
    value: Any

    def line(self) -> bytes:
        """One line."""
        return base64.b64encode(pickle.dumps(self)) + b"\n"


def heard(line: bytes) -> Said | None:
    """What stands in a line of a worker that this program started; None for anything else."""
    try:
        said = pickle.loads(base64.b64decode(line.strip(), validate=True))
    except Exception:
        return None
    return said if isinstance(said, Said) else None


def main() -> int:
    """Run the pickled ``Task`` that comes on stdin, and say on stdout how it goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher ends all of its workers
    with os.fdopen(os.dup(0), "rb") as given:
        task = pickle.load(given)
    threading.Thread(target=_end_with_the_launcher, daemon=True).start()
    with os.fdopen(os.dup(1), "wb", buffering=0) as out:
        os.dup2(2, 1)  # what libraries print does not go between our lines
        return _run(task, out)


def _run(task: Task, out: IO[bytes]) -> int:
    def tell(what: str) -> Callable[[Any], None]:
        return lambda value: _say(out, Said(what, value))

    try:
        adapter = task.run(tell("progress"), tell("preflight"))
    except GroundtuneError as error:
        _say(out, Said("error", error))
        return 1
    if first_process():
        _say(out, Said("adapter", adapter))
    close_group()
    return 0


def _say(out: IO[bytes], said: Said) -> None:
    out.write(said.line())


def _end_with_the_launcher() -> None:
    """End when stdin does, which is when the launcher has ended in whatever way. Not read through ``sys.stdin``, whose
    lock Python wants back at its own end.
    """
    while os.read(0, 64):
        pass
    os._exit(1)
