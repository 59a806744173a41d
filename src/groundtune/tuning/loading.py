"""The base model and its tokenizer for training, in the precision that is fast on this machine."""

from __future__ import annotations

import importlib.util
import time
from functools import cache
from pathlib import Path
from typing import Any

from groundtune.config import TuningSection
from groundtune.errors import TrainingError
from groundtune.registry import missing
from groundtune.tuning.base import base_path

_CPU = Path("/proc/cpuinfo")
_FAST_FLAGS = {"avx512_bf16", "amx_bf16"}


def load_tokenizer(base: str) -> Any:  # noqa: ANN401
    """The base model's tokenizer. Raises ``TrainingError`` when it cannot be read."""
    return pretrained("AutoTokenizer", base)


def load_base(base: str, *, half: bool | None = None, four_bit: bool = False) -> Any:  # noqa: ANN401
    """The base model for training, in bfloat16 where that is fast (``half`` decides otherwise) and float32 elsewhere.
    The adapter is float32 in both cases. ``four_bit``: NF4 weights (QLoRA), computed in bfloat16 on a CUDA device.
    """
    import torch

    dtype = torch.bfloat16 if (bfloat16_is_fast() if half is None else half) else torch.float32
    if not four_bit:
        return pretrained("AutoModelForCausalLM", base, dtype=dtype)
    require_four_bit()
    from peft import prepare_model_for_kbit_training
    from transformers import BitsAndBytesConfig

    settings = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )  # fmt: skip
    model = pretrained("AutoModelForCausalLM", base, dtype=torch.bfloat16, quantization_config=settings)
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def require_four_bit() -> None:
    """Raise ``TrainingError`` where QLoRA cannot run: without a CUDA device, or without bitsandbytes."""
    import torch

    if not torch.cuda.is_available():
        raise TrainingError("tuning.four_bit_no_cuda")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise TrainingError("tuning.four_bit_missing")


def wants_half(settings: TuningSection) -> bool:
    """Whether the base is computed in bfloat16: as ``tuning.precision`` says, else where that is fast."""
    if settings.precision == "auto":
        return bfloat16_is_fast()
    return settings.precision == "bfloat16"


@cache
def bfloat16_is_fast() -> bool:
    """True on an accelerator, and on a processor whose bfloat16 products take less than two thirds of the time. One
    that lacks the instructions is not even measured: there a single product can take fifty times as long.
    """
    import torch

    if torch.cuda.is_available():
        return True
    flags = cpu_flags(_CPU)
    if flags and not flags & _FAST_FLAGS:
        return False
    best = []
    for dtype in (torch.bfloat16, torch.float32):
        matrix = torch.ones(512, 512, dtype=dtype)
        times = []
        for _ in range(6):
            started = time.perf_counter()
            torch.mm(matrix, matrix)
            times.append(time.perf_counter() - started)
        best.append(min(times))
    return best[0] < best[1] / 1.5


def cpu_flags(path: Path) -> frozenset[str]:
    """The flags of an x86 processor as Linux lists them; empty where there is no such list."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    found = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return frozenset(found.split())


def pretrained(kind: str, base: str, **options: Any) -> Any:  # noqa: ANN401
    """``transformers.<kind>.from_pretrained`` for a base. Raises ``TrainingError`` when it cannot be read."""
    path = base_path(base)
    try:
        return auto(kind).from_pretrained(path, **options)
    except (OSError, ValueError) as error:
        raise unreadable(base, error) from error


def unreadable(base: str, error: Exception) -> TrainingError:
    """What to raise for a base that a library cannot read: with the first line of its reason."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return TrainingError("tuning.base_unreadable", base=base, reason=reason)


def auto(kind: str) -> Any:  # noqa: ANN401
    """``transformers.<kind>``. Raises ``MissingExtra``."""
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise missing(error, "groundtune tune") from error
    return getattr(transformers, kind)
