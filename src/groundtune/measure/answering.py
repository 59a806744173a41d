"""Ask one approach every item: cached answers first, each new one on disk before it counts, failures kept apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundtune import parallel
from groundtune.errors import ModelError, ModelUnreachable
from groundtune.measure.cache import AnswerCache
from groundtune.measure.items import Item
from groundtune.ports import Approach
from groundtune.types import Answer

GIVE_UP_AFTER = 5  # items in a row that could not reach the model: the rest would not either


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
    """One item's answer, or the sentence of the error that took its place."""

    item: Item
    answer: Answer | None = None
    error: str = ""


def silent(progress: Progress) -> None:
    """The listener when nobody listens."""


class Asking:
    """Answers items with one approach. ``key`` gives an item's cache key; with ``refresh`` stored answers are ignored
    (and replaced).
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
    ) -> None:
        self._approach = approach
        self._cache = cache
        self._key = key
        self._listener = listener
        self._refresh = refresh
        self._workers = workers
        self._lock = threading.Lock()
        self._unreached: list[ModelUnreachable] = []
        self._asked = 0
        self._spent = 0.0

    def run(self, items: Sequence[Item]) -> list[Outcome]:
        """Outcomes in the order of the items. Raises ``ModelUnreachable`` when five in a row (or all of fewer) could
        not reach the model; what was answered before is kept.
        """
        outcomes: list[Outcome] = []
        for outcome in parallel.map(self._one, items, workers=self._workers):
            outcomes.append(outcome)
            left = len(items) - len(outcomes)
            seconds = left * self._spent / self._asked / self._workers if self._asked else None
            name = self._approach.name
            self._listener(Progress("answer", name, len(outcomes), len(items), 0.0 if not left else seconds))
        if items and len(self._unreached) == len(items):
            raise self._unreached[-1]
        return outcomes

    def _one(self, item: Item) -> Outcome:
        key = self._key(item)
        stored = None if self._refresh else self._cache.get(key)
        if stored is not None:
            return Outcome(item, stored)
        started = time.perf_counter()
        try:
            answer = self._approach.answer(item.question)
        except ModelError as error:
            self._failed(error)
            return Outcome(item, error=error.sentence())
        self._cache.put(key, answer)
        with self._lock:
            self._unreached.clear()
            self._asked += 1
            self._spent += time.perf_counter() - started
        return Outcome(item, answer)

    def _failed(self, error: ModelError) -> None:
        with self._lock:
            if not isinstance(error, ModelUnreachable):
                self._unreached.clear()
                return
            self._unreached.append(error)
            hopeless = len(self._unreached) >= GIVE_UP_AFTER
        if hopeless:
            raise error
