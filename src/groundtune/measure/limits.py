"""How much a comparison may spend: dollars, minutes, requests a minute. What is not asked in time is asked next time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from groundtune.types import Usage

Price = Callable[[str, Usage], float]


def free(model: str, usage: Usage) -> float:
    """The price of a model that costs nothing."""
    return 0.0


@dataclass(frozen=True)
class Limits:
    """``max_cost`` in US dollars and ``max_minutes``; None: no limit. ``price`` gives the dollars of one call."""

    max_cost: float | None = None
    max_minutes: float | None = None
    price: Price = free


class Meter:
    """Counts what one comparison spends and spaces its requests. Safe to use from several threads."""

    def __init__(
        self,
        limits: Limits,
        per_minute: float = 0.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``per_minute`` 0: requests are not spaced."""
        self._limits = limits
        self._gap = 60.0 / per_minute if per_minute > 0 else 0.0
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._started = clock()
        self._next = 0.0
        self._dollars = 0.0

    @property
    def dollars(self) -> float:
        """Spent so far, by the list prices."""
        return self._dollars

    @property
    def exhausted(self) -> bool:
        """True when nothing more may be asked. The request that crosses a limit is the last one."""
        limits = self._limits
        if limits.max_cost is not None and self._dollars >= limits.max_cost:
            return True
        return limits.max_minutes is not None and self._clock() - self._started >= 60 * limits.max_minutes

    def wait(self) -> None:
        """Wait until the next request may go out."""
        if not self._gap:
            return
        with self._lock:
            now = self._clock()
            at = max(now, self._next)
            self._next = at + self._gap
        if at > now:
            self._sleep(at - now)

    def price(self, model: str, usage: Usage) -> float:
        """Dollars of so many tokens, by the list prices."""
        return self._limits.price(model, usage)

    def add(self, model: str, usage: Usage) -> None:
        """Count one answer."""
        dollars = self._limits.price(model, usage)
        with self._lock:
            self._dollars += dollars
