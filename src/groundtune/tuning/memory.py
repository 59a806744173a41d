"""How much memory a training needs, and the way to train that fits into what is free.

Counted, not tried: weights by their type; for each adapter parameter 16 bytes (value, gradient, two moments of Adam,
all float32); per token and layer about 12 hidden + 4 intermediate numbers kept for the backward pass (counted on Llama
layers with LoRA on every linear layer: within 15 %), or one hidden vector per layer with checkpointing; logits, their
float32 copy and gradient at the trained positions; and what Python and the libraries themselves take.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.config import TuningSection
from groundtune.errors import TrainingError
from groundtune.tuning.loading import auto, pretrained, unreadable
from groundtune.tuning.quiet import threads as on_threads
from groundtune.tuning.rows import Row

GIB = float(1 << 30)
SMALL = 50_000_000  # parameters; smaller models need larger steps, and one thread
ROOM = 0.9  # of what is free is planned with
LIBRARIES = 0.7 * GIB  # torch, transformers, peft, trl and their buffers, measured on a processor
_FOUR_BIT = 0.56  # bytes per weight with NF4 and double quantisation
_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


@dataclass(frozen=True)
class Shape:
    """Sizes of a base model. ``linear`` is the sum of inputs and outputs of its adapted linear layers, ``linears`` their
    weights.
    """

    parameters: int
    linear: int
    linears: int
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int


@dataclass(frozen=True)
class Estimate:
    """Bytes at the largest step, by what they are for."""

    weights: float
    adapter: float
    activations: float
    logits: float
    libraries: float = LIBRARIES

    @property
    def total(self) -> float:
        return self.weights + self.adapter + self.activations + self.logits + self.libraries


@dataclass(frozen=True)
class Way:
    """How the steps are computed; it changes the last bits of the result, so an interrupted run keeps it.
    ``micro_batch`` rows at a time, ``accumulation`` times per step, in each of ``processes``; ``free`` is what each has in
    bytes, None when not known.
    """

    micro_batch: int
    accumulation: int
    checkpointing: bool
    half: bool
    packing: bool
    threads: int
    estimate: Estimate
    free: float | None = None
    processes: int = 1


def shape_of(base: str) -> Shape:
    """Counted on a model without weights. Raises ``TrainingError`` when the base cannot be read."""
    import torch

    config = pretrained("AutoConfig", base)
    try:
        with torch.device("meta"):
            model = auto("AutoModelForCausalLM").from_config(config)
    except (ValueError, ImportError) as error:
        raise unreadable(base, error) from error
    head = model.get_output_embeddings()
    linears = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    text = config.get_text_config()
    hidden = int(getattr(text, "hidden_size", 0) or 0)
    return Shape(
        parameters=sum(p.numel() for p in model.parameters()),
        linear=sum(m.in_features + m.out_features for m in linears),
        linears=sum(m.in_features * m.out_features for m in linears),
        layers=int(getattr(text, "num_hidden_layers", 1) or 1),
        hidden=hidden,
        intermediate=int(getattr(text, "intermediate_size", 0) or 4 * hidden),
        vocabulary=int(getattr(text, "vocab_size", 0) or 0),
    )


def estimate(shape: Shape, settings: TuningSection, rows: Sequence[Row], way: tuple[int, bool, bool, bool]) -> Estimate:
    """The most that a step with the longest rows needs; ``way``: rows at a time, checkpointing, bfloat16, packing."""
    micro, checkpointing, half, packing = way
    number = 2 if half or settings.four_bit else 4
    longest = sorted(rows, key=lambda row: -len(row.input_ids))[:micro]
    widest = max(len(row.input_ids) for row in longest)
    tokens = sum(len(row.input_ids) for row in longest) if packing else widest * len(longest)
    trained = sum(sorted((row.trained for row in rows), reverse=True)[:micro])
    layer = (12 * shape.hidden + 4 * shape.intermediate) * number
    kept = shape.layers * shape.hidden * number + layer if checkpointing else shape.layers * layer
    per_weight = _FOUR_BIT if settings.four_bit else number
    return Estimate(
        weights=shape.linears * per_weight + (shape.parameters - shape.linears) * number,
        adapter=16.0 * settings.rank * shape.linear,
        activations=float(tokens * kept),
        logits=float(trained * shape.vocabulary * (number + 8)),
    )


def choose(
    shape: Shape,
    settings: TuningSection,
    rows: Sequence[Row],
    *,
    half: bool,
    threads: int,
    free: float | None,
    processes: int = 1,
) -> Way:
    """The first of these that fits: whole steps at once; fewer rows at a time, whose gradients are added up; the same
    with activations computed again in the backward pass. Raises ``TrainingError`` when none does, or when there are more
    ``processes`` than rows in a step.
    """
    if processes > settings.batch_size:
        raise TrainingError("tuning.processes_batch", count=processes, batch=settings.batch_size)
    each = max(1, -(-settings.batch_size // processes))
    sizes = [size for size in range(each, 0, -1) if each % size == 0]
    tried: list[Way] = []
    for checkpointing in (False, True):
        for size in sizes:
            need = estimate(shape, settings, rows, (size, checkpointing, half, settings.packing))
            way = Way(size, each // size, checkpointing, half, settings.packing, threads, need, free, processes)
            if free is None or need.total <= ROOM * free:
                return way
            tried.append(way)
    least = tried[-1].estimate.total
    longest = max(len(row.input_ids) for row in rows)
    raise TrainingError("tuning.memory", need=in_gib(least), free=in_gib(free), longest=longest)


def free_memory(settings: TuningSection, sharing: int = 1) -> float | None:
    """Bytes that are free on the accelerator of this process, or its part of this computer's (and its container's) memory,
    which ``sharing`` processes have in common; ``tuning.memory_gb`` when that is set. None when it cannot be told.
    """
    if settings.memory_gb > 0:
        return settings.memory_gb * GIB
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.mem_get_info()[0])
    found = [room for pair in _LIMITS if (room := _container(*pair)) is not None]
    try:
        import psutil  # type: ignore[import-untyped]

        found.append(float(psutil.virtual_memory().available))
    except ImportError:
        pass
    return min(found) / sharing if found else None


def _container(limit: Path, used: Path) -> float | None:
    try:
        most, now = limit.read_text().strip(), used.read_text().strip()
    except OSError:
        return None
    return float(int(most) - int(now)) if most.isdigit() and int(most) < 1 << 60 else None


def in_gib(size: float | None) -> str:
    """Bytes as GiB; ``?`` when they are not known."""
    return "?" if size is None else f"{size / GIB:.1f}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception is torch's way to say that memory is used up."""
    said = str(error)
    return type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError) or "not enough memory" in said


def default_threads(shape: Shape) -> int:
    """One for small models (two are slower on a busy machine), else as torch says."""
    import torch

    return 1 if shape.parameters < SMALL else int(torch.get_num_threads())


def seconds_of(shape: Shape, tokens: int, trained: int, *, half: bool, threads: int) -> float:
    """Seconds of a training over ``tokens`` tokens, roughly: four operations per weight and token (forward, and back
    through frozen weights), six at the output layer, at a third of the rate of a matrix product measured now.
    """
    work = 4.0 * shape.linears * tokens + 6.0 * shape.hidden * shape.vocabulary * trained
    return work / (_EFFICIENCY * _rate(half=half, threads=threads))


_EFFICIENCY = 0.35


def _rate(*, half: bool, threads: int) -> float:
    """Operations per second of a product of 512 x 512 matrices, the best of four. On a processor its own time counts, so
    that other programs do not.
    """
    import torch

    cuda = torch.cuda.is_available()
    matrix: Any = torch.ones(
        512, 512, dtype=torch.bfloat16 if half else torch.float32, device="cuda" if cuda else "cpu"
    )
    clock = time.perf_counter if cuda else time.process_time
    best = float("inf")
    with on_threads(threads):
        for _ in range(4):
            started = clock()
            torch.mm(matrix, matrix)
            if cuda:
                torch.cuda.synchronize()
            best = min(best, clock() - started)
    return 2.0 * 512**3 / max(best / (1 if cuda else threads), 1e-6)
