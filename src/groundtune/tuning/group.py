"""The processes that train one adapter together: which of them this one is, and how they agree.

Whoever has begun the group (Ray Train, a program of the user) is asked first; else the variables RANK, WORLD_SIZE,
MASTER_ADDR and MASTER_PORT, which torchrun, ``accelerate launch`` and our own launcher set. gloo connects processors,
NCCL connects NVIDIA cards.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
A = TypeVar("A")

__all__ = ["ALONE", "Group", "close_group", "devices", "first_process", "on_cards", "open_group", "processes"]


@dataclass(frozen=True)
class Group:
    """``rank`` of ``size`` processes, ``local`` of them on this machine."""

    rank: int = 0
    size: int = 1
    local: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and talks."""
        return self.rank == 0

    def agree(self, value: T) -> T:
        """What the first process has; all of them must call this."""
        return self.gather(value)[0]

    def gather(self, value: T) -> list[T]:
        """What every process has, in their order; all of them must call this."""
        if self.size == 1:
            return [value]
        import torch.distributed as together

        found: list[Any] = [None] * self.size
        together.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Until all are here."""
        self.gather(None)

    def share(self, items: Sequence[A]) -> Sequence[A]:
        """Which of ``items`` this process works on: every ``size``-th, from its own."""
        return items[self.rank :: self.size]

    def join(self, parts: Sequence[A]) -> list[A]:
        """The whole list from what each process made of its ``share``, in the order of the items."""
        gathered = self.gather(list(parts))
        whole: list[A] = []
        for number in range(max(map(len, gathered))):
            whole.extend(part[number] for part in gathered if number < len(part))
        return whole


ALONE = Group()


def open_group() -> Group:
    """The group that this process belongs to, begun if its variables are set and nobody has; alone without them."""
    if not _begun():
        if _number("WORLD_SIZE", 1) < 2 or "RANK" not in os.environ:
            return ALONE
        _begin()
    import torch.distributed as together

    rank, size = together.get_rank(), together.get_world_size()
    local = min(size, _number("LOCAL_WORLD_SIZE", size))
    os.environ.setdefault("LOCAL_RANK", str(rank % local))  # accelerate takes a process without it for alone
    return Group(rank, size, local)


def close_group() -> None:
    """End the group of this process, if there is one."""
    if _begun():
        import torch.distributed as together

        together.destroy_process_group()


def devices() -> int:
    """How many NVIDIA cards torch sees; none without torch, which training then asks for."""
    try:
        import torch
    except ModuleNotFoundError:
        return 0
    return int(torch.cuda.device_count())


def on_cards() -> bool:
    """Whether training runs on NVIDIA cards here."""
    return devices() > 0


def processes() -> int:
    """How many processes train together."""
    return max(1, _asked(lambda together: together.get_world_size(), "WORLD_SIZE", 1))


def first_process() -> bool:
    """Whether this is the process that writes files and talks; always so when there is only one."""
    return _asked(lambda together: together.get_rank(), "RANK", 0) == 0


def _begin() -> None:
    import torch
    import torch.distributed as together

    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(_number("LOCAL_RANK", 0) % max(1, devices()))
    else:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # accelerate would choose otherwise, and warn
    together.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")


def _begun() -> bool:
    together = sys.modules.get("torch.distributed")
    return bool(together is not None and together.is_available() and together.is_initialized())


def _asked(ask: Callable[[Any], int], name: str, otherwise: int) -> int:
    if _begun():
        return ask(sys.modules["torch.distributed"])
    return _number(name, otherwise)


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else otherwise
