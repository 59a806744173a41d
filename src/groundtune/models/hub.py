"""Loading from Hugging Face folders, this computer's cache or the hub, with a sentence for everything that can fail."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import ModelError, ModelUnreachable
from groundtune.models.http import clean, extra_for

_FLOAT32_UP_TO = 1_000_000_000  # parameters; above it bfloat16 halves the memory


@dataclass(frozen=True)
class Loaded:
    """A transformers model in evaluation mode, any adapter merged, and its tokenizer."""

    model: Any
    tokenizer: Any


def load(
    name: str, *, adapter: str | Path | None = None, dtype: str | None = None, device: str | None = None
) -> Loaded:
    """Load a model from a folder, this computer's cache or the hub. ``dtype`` is a torch name, e.g. ``"bfloat16"``.

    Raises ``MissingExtra``, ``ModelUnreachable`` (not there) or ``ModelError`` (cannot be loaded).
    """
    if adapter is not None and not (Path(adapter) / "adapter_config.json").is_file():
        raise ModelUnreachable("models.adapter_missing", path=adapter)
    with extra_for(f"hf:{name}"):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # its lines would stand between those of the comparison's own progress
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        model = from_pretrained(AutoModelForCausalLM, name, dtype=getattr(torch, dtype) if dtype else "auto")
        own = adapter is not None and (Path(adapter) / "tokenizer_config.json").is_file()
        tokenizer = from_pretrained(AutoTokenizer, str(adapter) if own else name)
        if own and not tokenizer.chat_template:
            tokenizer.chat_template = from_pretrained(AutoTokenizer, name).chat_template
        if dtype is None and device == "cpu" and model.num_parameters() <= _FLOAT32_UP_TO:
            model = model.float()
        if adapter is not None:
            model = _merge(model, name, Path(adapter))
    return Loaded(model.to(device).eval(), tokenizer)


def from_pretrained(kind: Any, name: str, **options: Any) -> Any:  # noqa: ANN401
    """``kind.from_pretrained``: a folder or this computer's cache first, then the network."""
    if os.path.isdir(name):
        try:
            return kind.from_pretrained(name, local_files_only=True, **options)
        except Exception as error:  # whatever a broken folder makes the library raise
            raise ModelError("models.hf_broken", name=name, reason=clean(error)) from error
    try:
        return kind.from_pretrained(name, local_files_only=True, **options)
    except (OSError, ValueError):  # not in the cache, or only some of its files
        pass
    try:
        return kind.from_pretrained(name, **options)
    except Exception as error:  # no network, no such name, no permission: all mean that it is not here
        raise ModelUnreachable("models.hf_absent", name=name, reason=clean(error)) from error


def _merge(model: Any, name: str, adapter: Path) -> Any:  # noqa: ANN401
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError("models.adapter_broken", path=adapter, name=name, reason=clean(error)) from error
