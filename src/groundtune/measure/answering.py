"""Ask one approach every item: cached answers first, each new one on disk before it counts, failures kept apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from groundtune import parallel
from groundtune.errors import ApproachFailed, ModelError, ModelUnreachable
from groundtune.measure.cache import AnswerCache
from groundtune.measure.items import Item
from groundtune.measure.limits import Limits, Meter
from groundtune.ports import Approach
from groundtune.types import Answer, Question

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


class Elsewhere(Protocol):
    """Whoever answers in place of the approach here."""

    def said(self, questions: Iterable[Question]) -> Iterator[tuple[int, Answer | ApproachFailed | ModelError]]:
        """``(number of the question, what was said)`` as it comes; few questions are taken ahead."""


def silent(progress: Progress) -> None:
    """The listener when nobody listens."""


class Asking:
    """Answers items with one approach. ``key`` gives an item's cache key; with ``refresh`` stored answers are ignored
    (and replaced). ``meter`` says when to stop asking; ``name`` and ``model`` are what progress and prices go by.
    ``away``: others answer in place of the approach here.
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
        away: Elsewhere | None = None,
    ) -> None:
        self._away = away
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
        asked = self._elsewhere(items) if self._away else parallel.map(self._one, items, workers=self._workers)
        for outcome in asked:
            outcomes.append(outcome)
            at = done + len(outcomes)
            seconds = (total - at) * self._spent / self._asked / self._workers if self._asked else None
            self._listener(Progress("answer", self._name, at, total, 0.0 if at >= total else seconds))
        if items and len(self._unreached) == len(items):
            raise self._unreached[-1]
        places = {id(item): place for place, item in enumerate(items)}
        return sorted(outcomes, key=lambda outcome: places[id(outcome.item)])

    def _elsewhere(self, items: Sequence[Item]) -> Iterator[Outcome]:
        """Outcomes as they come; each answer is on disk before it counts."""
        assert self._away is not None
        known: list[Outcome] = []
        sent: list[Item] = []

        def questions() -> Iterator[Question]:
            for item in items:
                found = self._known(item)
                if found is not None:
                    known.append(found)
                    continue
                self._meter.wait()
                sent.append(item)
                yield item.question

        started = time.perf_counter()
        for number, said in self._away.said(questions()):
            outcome = self._heard(sent[number], said)
            self._spent = (time.perf_counter() - started) * self._workers
            yield outcome
        yield from known

    def _one(self, item: Item) -> Outcome:
        found = self._known(item)
        if found is not None:
            return found
        self._meter.wait()
        started = time.perf_counter()
        try:
            said: Answer | ApproachFailed | ModelError = self._approach.answer(item.question)
        except (ApproachFailed, ModelError) as error:
            said = error
        outcome = self._heard(item, said)
        if outcome.answer is not None:
            with self._lock:
                self._spent += time.perf_counter() - started
        return outcome

    def _known(self, item: Item) -> Outcome | None:
        """The outcome of an item that need not, or must not, be asked."""
        stored = None if self._refresh else self._cache.get(self._key(item))
        if stored is not None:
            return Outcome(item, stored)
        return Outcome(item) if self.stopped or self._meter.exhausted else None

    def _heard(self, item: Item, said: Answer | ApproachFailed | ModelError) -> Outcome:
        if isinstance(said, ApproachFailed):
            self._broke(said)
            return Outcome(item, error=said.sentence())
        if isinstance(said, ModelError):
            self._failed(said)
            return Outcome(item, error=said.sentence())
        self._cache.put(self._key(item), said)
        self._meter.add(self._model, said.usage)
        with self._lock:
            self._unreached.clear()
            self._raised = 0
            self._asked += 1
        return Outcome(item, said)

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
