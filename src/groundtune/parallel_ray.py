"""Ray as an engine: a bounded window of tasks on a cluster, or on a cluster of this machine alone that ends with us.

A task belongs to no process: when its worker or its whole machine dies, Ray gives it to another one. An actor would wait
for its own place to come back, and Ray Data takes 20 s to start its first pipeline.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from platform import node
from types import TracebackType
from typing import TYPE_CHECKING, Any

from groundtune.errors import GroundtuneError, MissingExtra, UserError
from groundtune.messages import say

if TYPE_CHECKING:
    from groundtune.parallel import Work

AHEAD = 2  # items per worker that are under way
_RETRIES = 3  # an item that kills four workers would kill the fifth
_REACH = 5.0  # seconds
_LOOK = 2.0  # seconds between two looks at the size of the cluster
_STORE = 256 * 1024 * 1024  # bytes of results that a cluster of our own holds before it puts them on disk
_KEPT = 2  # opened works that a worker keeps: each may hold models
_LOCAL = "local"


class RayEngine:
    """``parallel.Engine`` on Ray. A context manager; on leaving, the connection (or the cluster of our own) ends."""

    def __init__(self, address: str = "", workers: int = 0) -> None:
        """``address`` is ``host:port`` or ``ray://host:port`` of a cluster, ``auto`` for the one that runs on this
        machine, empty for RAY_ADDRESS or else a cluster of our own with ``workers`` processes (0: one per core).

        Raises ``MissingExtra`` without Ray, ``UserError`` for an address where no cluster answers.
        """
        self._ray = _imported()
        where = address or os.environ.get("RAY_ADDRESS", "") or _LOCAL
        _check_reachable(where)
        self._ours = not self._ray.is_initialized()  # else the caller of this process has chosen the cluster
        if self._ours:
            _connect(self._ray, where, workers)
        self._asked = workers
        self._there, self._look = 1, 0.0
        self._task = self._ray.remote(max_retries=_RETRIES, num_cpus=1)(_do)

    @property
    def workers(self) -> int:
        """Processors of the cluster now, at most as many as were asked for."""
        if time.monotonic() >= self._look:  # asking takes milliseconds, and this is asked for every item
            self._there, self._look = max(1, self.resource("CPU")), time.monotonic() + _LOOK
        return min(self._there, self._asked) if self._asked else self._there

    def _window(self) -> int:
        """Items under way: some ahead of the workers, but none more than the workers that were asked for could do."""
        workers = self.workers
        return AHEAD * workers if workers == self._there else workers

    def resource(self, name: str) -> int:
        """How much of ``CPU`` or ``GPU`` the cluster has now."""
        return int(self._ray.cluster_resources().get(name, 0))

    def map(
        self, work: Work, items: Iterable[Any], lost: Callable[[Any, GroundtuneError], Any] | None = None
    ) -> Iterator[Any]:
        """See ``parallel.Engine``. Who stops early leaves the few tasks that are under way to end by themselves: Ray
        2.60 can bring the process down when a task is cancelled in the moment in which it ends.
        """
        send = self._sender(work)
        waiting: deque[tuple[Any, Any]] = deque()
        source = iter(items)
        while True:
            for item in islice(source, max(0, self._window() - len(waiting))):
                waiting.append((item, send(item)))
            if not waiting:
                return
            item, ticket = waiting.popleft()
            yield self._result(ticket, item, lost)

    def arriving(
        self, work: Work, items: Iterable[Any], lost: Callable[[Any, GroundtuneError], Any] | None = None
    ) -> Iterator[tuple[int, Any]]:
        """See ``parallel.Engine``."""
        send = self._sender(work)
        waiting: dict[Any, tuple[int, Any]] = {}
        source = enumerate(items)
        while True:
            for number, item in islice(source, max(0, self._window() - len(waiting))):
                waiting[send(item)] = number, item
            if not waiting:
                return
            (ticket, *_), _rest = self._ray.wait(list(waiting), num_returns=1)
            number, item = waiting.pop(ticket)
            yield number, self._result(ticket, item, lost)

    def close(self) -> None:
        """End the connection, and the cluster when it is ours. Closing twice is allowed."""
        if self._ours and self._ray.is_initialized():
            self._ray.shutdown()

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _sender(self, work: Work) -> Callable[[Any], Any]:
        try:
            packed = pickle.dumps(work)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UserError("ray.only_here", reason=last_line(error)) from error
        import groundtune

        key, held = hashlib.sha256(packed).hexdigest(), self._ray.put(packed)
        begin = _Begin(groundtune.__version__, key, os.getcwd())
        return lambda item: self._task.remote(begin, [held], item)

    def _result(self, ticket: Any, item: Any, lost: Callable[[Any, GroundtuneError], Any] | None) -> Any:  # noqa: ANN401
        try:
            return self._get(ticket)
        except WorkerLost as error:
            if lost is None:
                raise
            return lost(item, error)

    def _get(self, ticket: Any) -> Any:  # noqa: ANN401
        errors = self._ray.exceptions
        try:
            good, result = self._ray.get(ticket)
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError) as error:
            raise WorkerLost("ray.worker_lost", count=_RETRIES + 1, reason=last_line(error)) from error
        except errors.RayTaskError as error:  # before our function began
            raise UserError("ray.cannot_begin", reason=last_line(error.cause or error)) from error
        except errors.RayError as error:
            raise GroundtuneError("ray.broken", reason=last_line(error)) from error
        if not good:
            raise result
        return result


class WorkerLost(GroundtuneError):
    """The same item killed every worker that had it."""


@dataclass(frozen=True)
class _Begin:
    """What a worker has to know before it opens a work: who sends it, which it is, the folder of relative paths."""

    version: str
    key: str
    folder: str


_opened: OrderedDict[str, Callable[[Any], Any]] = OrderedDict()


def _do(begin: _Begin, held: list[Any], item: Any) -> tuple[bool, Any]:  # noqa: ANN401
    """In a worker: ``(True, result)`` or ``(False, error)``. The work is opened with its first item."""
    try:
        if begin.key not in _opened:
            _open(begin, held)
        _opened.move_to_end(begin.key)
        return True, _opened[begin.key](item)
    except GroundtuneError as error:
        return False, error
    except Exception as error:
        return False, GroundtuneError("ray.failed", reason=last_line(error))


def _open(begin: _Begin, held: list[Any]) -> None:
    import ray

    import groundtune

    if begin.version != groundtune.__version__:  # other chunks, other prompts: the result would be a mixture
        raise UserError("ray.other_version", node=node(), theirs=groundtune.__version__, ours=begin.version)
    with suppress(OSError):  # a machine without it says so when a path of the settings is not there
        os.chdir(begin.folder)
    while len(_opened) >= _KEPT:
        _opened.popitem(last=False)
    packed = ray.get(held[0])
    try:
        work = pickle.loads(packed)
    except Exception as error:
        raise UserError("ray.cannot_open", node=node(), reason=last_line(error)) from error
    _opened[begin.key] = work.open()


def _imported() -> Any:  # noqa: ANN401
    # Ray reports usage to its makers unless told otherwise, and nobody asked the user.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtra("core.missing_extra", what="--engine ray", package="ray", extra="ray") from error
    return ray


def _connect(ray: Any, address: str, workers: int) -> None:  # noqa: ANN401
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == _LOCAL:
        settings |= {"include_dashboard": False, "num_cpus": workers or None, "object_store_memory": _STORE}
    try:
        with _quiet():
            ray.init(address=address, **settings)
        # A thread of Ray prints on stdout, where the data goes, that a task is tried again.
        from ray._private import worker

        worker._worker_logs_enabled = False
    except (SystemExit, Exception) as error:
        raise UserError("ray.unreachable", address=address, reason=last_line(error)) from error


def _check_reachable(address: str) -> None:
    """Ray itself tries for two minutes and then ends the process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address in (_LOCAL, "auto"):
        return
    if not colon or not port.isdigit():
        raise UserError("ray.address_form", address=address)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH).close()
    except (OSError, OverflowError) as error:
        raise UserError("ray.unreachable", address=address, reason=getattr(error, "strerror", "") or error) from error


@contextmanager
def _quiet() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def last_line(error: object) -> str:
    """The last line of what Ray says, without its coloured traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1].rstrip(".") if lines else type(error).__name__)[:300]


def describe(engine: RayEngine) -> str:
    """What work will be done on, for a person."""
    return say("ray.begins", workers=engine.workers)
