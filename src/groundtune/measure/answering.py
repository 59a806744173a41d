"""Ask one approach every item: cached answers first, each new one on disk before it counts, failures kept apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundtune import parallel
from groundtune.errors import ApproachFailed, ModelError, ModelUnreachable
from groundtune.measure.cache import AnswerCache
from groundtune.measure.items import Item
from groundtune.measure.limits import Limits, Meter
from groundtune.ports import Approach
from groundtune.types import Answer

GIVE_UP_AFTER = 5  # items in a row that could not reach the model, or code of the user that raised: so would the rest


@dataclass(frozen=True)
class Progress:
    """Where a comparison stands. ``stage`` is ``index``, ``retrieval``, ``fit`` or ``answer``; ``seconds_left`` is an
    estimate for this stage and approach, None before there is anything to go by.
    """

    stage: str
    approach: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None


Listener = Callable[[Progress], None]


@dataclass(frozen=True)
class Outcome:
    """One item's answer, or the sentence of the error that took its place; neither: it was not asked."""

    item: Item
    answer: Answer | None = None
    error: str = ""

    @property
    def asked(self) -> bool:
        """Whether the item counts."""
        return self.answer is not None or bool(self.error)


def silent(progress: Progress) -> None:
    """The listener when nobody listens."""


class Asking:
    """Answers items with one approach. ``key`` gives an item's cache key; with ``refresh`` stored answers are ignored
    (and replaced). ``meter`` says when to stop asking; ``name`` and ``model`` are what progress and prices go by.
    """

    def __init__(
        self,
        approach: Approach,
        cache: AnswerCache,
        key: Callable[[Item], str],
        *,
        listener: Listener = silent,
        refresh: bool = False,
        workers: int = 1,
        meter: Meter | None = None,
        name: str = "",
        model: str = "",
    ) -> None:
        self._approach = approach
        self._cache = cache
        self._key = key
        self._listener = listener
        self._refresh = refresh
        self._workers = workers
        self._meter = meter or Meter(Limits())
        self._name = name or approach.name
        self._model = model
        self._lock = threading.Lock()
        self._unreached: list[ModelUnreachable] = []
        self._raised = 0
        self.stopped = ""  # the sentence of the error after which the rest was not asked
        self._asked = 0
        self._spent = 0.0

    def run(self, items: Sequence[Item], *, done: int = 0, total: int = 0) -> list[Outcome]:
        """Outcomes in the order of the items. Raises ``ModelUnreachable`` when five in a row (or all of fewer) could
        not reach the model; what was answered before is kept. When code of the user raises five times in a row the rest
        is not asked. ``done`` of ``total`` (0: these items) is what progress goes by.
        """
        outcomes: list[Outcome] = []
        total = total or done + len(items)
        for outcome in parallel.map(self._one, items, workers=self._workers):
            outcomes.append(outcome)
            at = done + len(outcomes)
            seconds = (total - at) * self._spent / self._asked / self._workers if self._asked else None
            self._listener(Progress("answer", self._name, at, total, 0.0 if at >= total else seconds))
        if items and len(self._unreached) == len(items):
            raise self._unreached[-1]
        return outcomes

    def _one(self, item: Item) -> Outcome:
        key = self._key(item)
        stored = None if self._refresh else self._cache.get(key)
        if stored is not None:
            return Outcome(item, stored)
        if self.stopped or self._meter.exhausted:
            return Outcome(item)
        self._meter.wait()
        started = time.perf_counter()
        try:
            answer = self._approach.answer(item.question)
        except ApproachFailed as error:
            self._broke(error)
            return Outcome(item, error=error.sentence())
        except ModelError as error:
            self._failed(error)
            return Outcome(item, error=error.sentence())
        self._cache.put(key, answer)
        self._meter.add(self._model, answer.usage)
        with self._lock:
            self._unreached.clear()
            self._raised = 0
            self._asked += 1
            self._spent += time.perf_counter() - started
        return Outcome(item, answer)

    def _broke(self, error: ApproachFailed) -> None:
        with self._lock:
            self._raised += 1
            if self._raised >= GIVE_UP_AFTER:
                self.stopped = error.sentence()

    def _failed(self, error: ModelError) -> None:
        with self._lock:
            if not isinstance(error, ModelUnreachable):
                self._unreached.clear()
                return
            self._unreached.append(error)
            hopeless = len(self._unreached) >= GIVE_UP_AFTER
        if hopeless:
            raise error
