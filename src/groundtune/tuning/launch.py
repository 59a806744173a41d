"""Several processes on this machine that train one adapter together: started, listened to, and ended together.

Each worker is a Python of its own that finds the others by the variables that torchrun sets too. When one dies or this
process is interrupted, all are ended; the training goes on from its last checkpoint when it is asked for again.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from groundtune.errors import GroundtuneError, TrainingError
from groundtune.text.normalise import squeeze
from groundtune.tuning.sent import SentTrainer
from groundtune.tuning.worker import Said, Task, heard
from groundtune.types import Adapter

_MAIN = "import sys; from groundtune.tuning.worker import main; sys.exit(main())"
_LOOK = 0.1  # seconds between two looks at the workers
_GRACE = 3.0  # seconds: for the reason of the first death to be heard, and for a worker to end by itself


class LaunchedTrainer(SentTrainer):
    """A ``LoraTrainer`` whose steps are shared by ``count`` processes of this machine. When one dies, the others are ended."""

    def send(self, task: Task, count: int) -> Adapter:
        """Start the processes and follow them. Raises ``TrainingError`` when one dies."""
        with _workers(task, count) as workers:
            return self._follow(workers)

    def _follow(self, workers: _Workers) -> Adapter:
        adapter: Adapter | None = None
        while True:
            said = workers.next()
            if said is None:
                if adapter is None:
                    raise workers.died()
                return adapter
            if said.what == "adapter":
                adapter = said.value
            elif said.what == "error":
                raise said.value
            else:
                self.hear(said)


@dataclass
class _Workers:
    """Running workers and what they say. ``logs`` holds what each wrote on stderr."""

    running: list[subprocess.Popen[bytes]]
    logs: list[Path]
    said: queue.SimpleQueue[Said] = field(default_factory=queue.SimpleQueue)

    def next(self) -> Said | None:
        """The next thing said; None when all have ended well or one has died."""
        while True:
            try:
                return self.said.get(timeout=_LOOK)
            except queue.Empty:
                codes = [worker.poll() for worker in self.running]
                if any(codes) or all(code == 0 for code in codes):
                    return self._last_words()

    def _last_words(self) -> Said | None:
        """What was said before the end and not heard yet; an error of our own is the reason of all deaths."""
        until = time.monotonic() + _GRACE
        while time.monotonic() < until:
            try:
                return self.said.get(timeout=_LOOK)
            except queue.Empty:
                if all(worker.poll() is not None for worker in self.running):
                    break
        return None

    def died(self) -> GroundtuneError:
        """Which worker died and of what: one that was killed, before those that lost it."""
        codes = [worker.poll() for worker in self.running]
        dead = [number for number, code in enumerate(codes) if code]
        dead.sort(key=lambda number: (codes[number] or 0) > 0)
        number = dead[0] if dead else 0
        code = codes[number]
        if code is not None and code < 0:
            reason = _signal(-code)
        else:
            lines = self.logs[number].read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = squeeze(lines[-1])[:200] if lines else f"exit code {code}"
        return TrainingError("tuning.worker_died", number=number + 1, count=len(self.running), reason=reason)

    def end(self) -> None:
        """Asked first, then made to."""
        for worker in self.running:
            if worker.poll() is None:
                worker.terminate()
        until = time.monotonic() + _GRACE
        for worker in self.running:
            try:
                worker.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            if worker.stdin is not None:
                with suppress(OSError):
                    worker.stdin.close()


@contextmanager
def _workers(task: Task, count: int) -> Iterator[_Workers]:
    port, listeners = _free_port(), []
    with tempfile.TemporaryDirectory(prefix="groundtune-") as folder:
        workers = _Workers([], [Path(folder) / f"stderr-{number}" for number in range(count)])
        try:
            for number, log in enumerate(workers.logs):
                worker = _start(number, count, port, log)
                workers.running.append(worker)
                talk = threading.Thread(target=_talk, args=(worker, task, workers.said), daemon=True)
                talk.start()
                listeners.append(talk)
            yield workers
        finally:
            workers.end()
            for talk in listeners:
                talk.join(_GRACE)


def _start(number: int, count: int, port: int, log: Path) -> subprocess.Popen[bytes]:
    own = {
        "RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count,
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
    }  # fmt: skip
    each = max(1, (os.cpu_count() or 1) // count)
    settings = {"OMP_NUM_THREADS": str(each), **os.environ, **{key: str(value) for key, value in own.items()}}
    with log.open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _MAIN], env=settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=None if os.environ.get("GROUNDTUNE_DEBUG") == "1" else stderr,
        )  # fmt: skip


def _talk(worker: subprocess.Popen[bytes], task: Task, said: queue.SimpleQueue[Said]) -> None:
    """Tell a worker what to do and hear it to its end. Its stdin stays open: a worker ends when that does."""
    assert worker.stdin is not None and worker.stdout is not None
    with suppress(OSError):  # it has died already, as its exit code says
        pickle.dump(task, worker.stdin)
        worker.stdin.flush()
    with worker.stdout:
        for line in worker.stdout:
            if (found := heard(line)) is not None:
                said.put(found)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
