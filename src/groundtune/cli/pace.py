"""A line on stderr now and then: how far, how fast, how long still."""

from __future__ import annotations

import sys
import time

from groundtune.messages import say

_EVERY = 3.0  # seconds between two lines
_LATELY = 20.0  # seconds over which the rate is measured: files differ in size


class Pace:
    """Call it with (done, total, what) as often as you like."""

    def __init__(self, every: float = _EVERY) -> None:
        self._every = every
        self._told = time.monotonic()
        self._seen: list[tuple[float, int]] = [(self._told, 0)]

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if done < self._seen[-1][1]:  # another piece of work began
            self._seen = [(now, done)]
        if now - self._told < self._every:
            return
        self._told = now
        while len(self._seen) > 1 and now - self._seen[0][0] > _LATELY:
            self._seen.pop(0)
        since, before = self._seen[0]
        self._seen.append((now, done))
        rate = (done - before) / max(now - since, 1e-9)
        left = say("cli.pace.left", time=_clock((total - done) / rate)) if rate > 0 else ""
        speed = f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"
        line = say("cli.pace.line", done=done, total=total, rate=speed, left=left, what=what)
        sys.stderr.write(line.rstrip() + "\n")
        sys.stderr.flush()


def _clock(seconds: float) -> str:
    """``0:07``, ``12:30`` or ``2:05:00``."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
