"""Which of the models found here to start with on this machine, and which larger one would still fit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.models.catalogue import ModelInfo

_SHARE = 0.6  # of the memory that weights may take; the rest is for the context, the index and other programs
_GIB = 1024**3
# A 4-bit GGUF file takes about 0.62 GB per 10^9 parameters (Qwen3 4B, Q4_K_M: 2.32 GiB); 1.5 GB more while it runs.
_BYTES_PER_BILLION, _RUNNING = 0.62e9, 1.5e9
# Sizes in 10^9 parameters of one open family (Apache-2.0; English, Chinese, Japanese) that Ollama and the hub carry.
_LADDER = (0.6, 1.7, 4, 8, 14, 32)
_PATIENT = 8  # 10^9 parameters: above it a processor without a GPU writes slower than one reads


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores, memory in bytes (0: unknown) and whether an NVIDIA GPU is there."""

    cores: int
    memory: int
    gpu: bool


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Specs to start with; ``base`` is the best usable model. ``larger`` is a model of ``billions`` that would fit when
    only the built-in one is there ("" otherwise).
    """

    machine: Machine
    base: str
    reader: str
    embedder: str
    larger: str = ""
    billions: float = 0.0


def this_machine() -> Machine:
    """What the operating system says; nothing is imported or run."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        memory = 0
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return Machine(cores, memory, shutil.which("nvidia-smi") is not None)


def suggest(models: Sequence[ModelInfo], machine: Machine) -> Suggestion:
    """A local model that fits into the memory, the largest first; else a provider whose key is set; else the built-in
    one, together with the largest open model that this machine could run.
    """
    usable = [model for model in models if model.available]
    base = _best(usable, "model", machine) or "builtin:base"
    reader = next((m.spec for m in usable if m.kind == "reader"), "")
    embedder = _best(usable, "embedder", machine) or ""
    if base != "builtin:base" or not machine.memory:
        return Suggestion(machine, base, reader, embedder)
    room = (machine.memory * _SHARE - _RUNNING) / _BYTES_PER_BILLION
    fitting = [size for size in _LADDER if size <= room and (machine.gpu or size <= _PATIENT)]
    if not fitting:
        return Suggestion(machine, base, reader, embedder)
    return Suggestion(machine, base, reader, embedder, f"ollama:qwen3:{fitting[-1]:g}b", fitting[-1])


def _best(usable: Sequence[ModelInfo], kind: str, machine: Machine) -> str | None:
    found = [m for m in usable if m.kind == kind and not m.spec.startswith("builtin:")]
    local = [m for m in found if m.size_bytes and (not machine.memory or m.size_bytes <= machine.memory * _SHARE)]
    if local:
        return max(local, key=lambda m: m.size_bytes or 0).spec
    hosted = [m for m in found if m.size_bytes is None]
    if hosted:
        return hosted[0].spec
    return next((m.spec for m in usable if m.kind == kind), None)
