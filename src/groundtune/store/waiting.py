"""Waiting until a service shows what it was given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0  # seconds between two looks


def wait_for(conditions: Iterable[Callable[[], bool]], seconds: float) -> bool:
    """Whether all of them hold within a time; each is asked at least once."""
    deadline = time.monotonic() + seconds
    pause = _FIRST_WAIT
    for holds in conditions:
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(_LONGEST_WAIT, 1.5 * pause)
    return True
