"""Finding and ending processes of Ray."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def ray_processes(*words: str) -> Iterator[int]:
    """Processes of Ray that run now (``raylet``, ``gcs_server``, ``ray::…``), or those whose command holds a word."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            dead = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if not dead and any(word in command for word in words or ("/raylet/raylet", "gcs_server", "ray::")):
            yield int(folder.name)


def kill_worker(name: str = "ray::_do") -> int:
    """End a worker that has a task in hand, as the kernel does when memory runs out; its process id."""
    found: list[int] = []

    def look() -> bool:
        found[:] = ray_processes(name)
        return bool(found)

    wait_until(look)
    os.kill(found[0], signal.SIGKILL)
    return found[0]


def wait_until(true: Any, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
