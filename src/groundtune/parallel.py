"""Work on several cores of one machine: threads for what waits, helper processes for what computes; and what an engine
that spreads work over several machines (``parallel_ray``) has to be.

A helper is a fresh ``python -m groundtune.parallel`` that is fed through its pipes. Unlike ``multiprocessing`` it never
imports the caller's main module, so a script without ``if __name__ == "__main__"`` and a notebook are safe.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import IO, Any, Protocol, TypeVar

from groundtune.errors import GroundtuneError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Set to 1 to compute in the calling process only.
OFF = "GROUNDTUNE_ONE_PROCESS"


class Work(Protocol):
    """Something to be done to many items. It is pickled and opened once in each process that does it, so that a model is
    loaded once.
    """

    def open(self) -> Callable[[Any], Any]:
        """The function of one item. Raises ``GroundtuneError`` where it cannot be done."""


class Engine(Protocol):
    """Where work is done when it is not done here. An item whose worker dies is done again by another one."""

    @property
    def workers(self) -> int:
        """How many items are worked on at once."""

    def map(
        self, work: Work, items: Iterable[Any], lost: Callable[[Any, GroundtuneError], Any] | None = None
    ) -> Iterator[Any]:
        """Results in the order of ``items``, of which few are taken before their results are used. What the work raises
        is raised here. ``lost`` gives the result of an item that killed its workers again and again; without it the
        error is raised.
        """

    def arriving(
        self, work: Work, items: Iterable[Any], lost: Callable[[Any, GroundtuneError], Any] | None = None
    ) -> Iterator[tuple[int, Any]]:
        """``(number of the item, result)`` as they are done; else as ``map``."""


def map(function: Callable[[Item], Result], items: Iterable[Item], *, workers: int = 1) -> Iterator[Result]:
    """Yield ``function(item)`` in order. One worker runs in the calling thread, so a debugger and Ctrl-C behave."""
    if workers <= 1:
        for item in items:
            yield function(item)
        return
    with ThreadPoolExecutor(max_workers=workers) as pool:
        yield from pool.map(function, items)


def helpers() -> int:
    """How many helper processes leave one core for the caller; 0 when they are switched off or impossible."""
    if os.environ.get(OFF) == "1" or not sys.executable:
        return 0
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count - 1, 6)


class Helpers:
    """``map`` of a module-level function over items in helper processes, in order, at most ``ahead`` items per helper
    taken from the input before their results are used. A context manager; on leaving, the helpers end.
    """

    def __init__(self, function: Callable[[Any], Any], count: int, ahead: int = 2) -> None:
        """``function`` is found again by module and name, its items and results are pickled."""
        self._name = f"{function.__module__}:{function.__qualname__}"
        self._function = function
        self._ahead = ahead * max(1, count)
        self._idle: deque[subprocess.Popen[bytes]] = deque()
        self._all: list[subprocess.Popen[bytes]] = []
        self._pool = ThreadPoolExecutor(max_workers=max(1, count))
        self._count = count

    def map(self, items: Iterable[Any]) -> Iterator[Any]:
        """Results in the order of ``items``. What a helper raises is raised here; work of one that died is done here."""
        waiting: deque[tuple[Any, Future[Any]]] = deque()
        source = iter(items)
        while True:
            while len(waiting) < self._ahead:
                try:
                    item = next(source)
                except StopIteration:
                    break
                waiting.append((item, self._pool.submit(self._one, item)))
            if not waiting:
                return
            item, future = waiting.popleft()
            try:
                yield future.result()
            except (EOFError, BrokenPipeError, pickle.UnpicklingError, OSError):
                yield self._function(item)

    def _one(self, item: Any) -> Any:  # noqa: ANN401
        process = self._idle.popleft() if self._idle else self._start()
        assert process.stdin is not None and process.stdout is not None
        _send(process.stdin, item)
        good, result = pickle.load(process.stdout)
        self._idle.append(process)
        if not good:
            raise result
        return result

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        environment = {**os.environ, "PYTHONPATH": path, OFF: "1"}
        command = [sys.executable, "-m", "groundtune.parallel", self._name]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._all.append(process)
        return process

    def close(self) -> None:
        """End the helpers. Work in progress is given up."""
        for process in self._all:
            process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for process in self._all:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:  # what could not be sent to a helper that is gone
                        pass

    def __enter__(self) -> Helpers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _send(pipe: IO[bytes], value: object) -> None:
    pickle.dump(value, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _serve(arguments: Sequence[str]) -> None:
    """The helper: read an item, answer ``(True, result)`` or ``(False, error)``, until the pipe closes."""
    module, _, name = arguments[0].partition(":")
    function = getattr(importlib.import_module(module), name)
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a parser prints must not get between the answers
    while True:
        try:
            item = pickle.load(given)
        except EOFError:
            return
        try:
            answer = (True, function(item))
        except Exception as error:
            answer = (False, error)
        try:
            _send(answers, answer)
        except BrokenPipeError:
            return


if __name__ == "__main__":
    try:
        _serve(sys.argv[1:])
    except KeyboardInterrupt:
        pass
