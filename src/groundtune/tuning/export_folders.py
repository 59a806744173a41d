"""Folders of Hugging Face files: the merged model, and the PEFT adapter beside its base."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groundtune.errors import TrainingError
from groundtune.tuning.base import base_path
from groundtune.tuning.export_source import Source

ADAPTER, BASE = "adapter", "base"
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # what vLLM's --max-lora-rank takes


def write_merged(source: Source, folder: Path, dtype: str) -> None:
    """The merged model with tokenizer, chat template and generation settings. ``dtype`` is a torch name."""
    import torch

    source.model.to(getattr(torch, dtype)).save_pretrained(str(folder))
    source.tokenizer.save_pretrained(str(folder))
    _for_older_readers(folder)
    _ends(folder, source)


def write_adapter(source: Source, adapter: Path, base: str, folder: Path) -> tuple[int, str]:
    """The adapter's own files in ``adapter/``, a built-in base in ``base/``. Returns the rank to serve with and what
    to serve as the base (a folder below ``folder``, or the id of a hub model). Raises ``TrainingError`` for what vLLM
    cannot load at run time (DoRA, whole layers that were trained).
    """
    config = _json(adapter / "adapter_config.json")
    for key in ("use_dora", "modules_to_save", "trainable_token_indices"):
        if config.get(key):
            raise TrainingError("tuning.export_not_plain", what=key)
    target = folder / ADAPTER
    target.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copyfile(adapter / name, target / name)
    source.tokenizer.save_pretrained(str(target))
    (target / "chat_template.jinja").write_text(source.tokenizer.chat_template, encoding="utf-8")
    _for_older_readers(target)
    _ends(target, source)
    serve = base.partition(":")[2]
    if base.startswith("builtin:"):
        serve = BASE
        shutil.copytree(base_path(base), folder / BASE, ignore=shutil.ignore_patterns("__pycache__"))
        _for_older_readers(folder / BASE)
    config["base_model_name_or_path"] = serve
    _write(target / "adapter_config.json", config)
    rank = max([int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())])
    return next((allowed for allowed in _RANKS if allowed >= rank), rank), serve


def _for_older_readers(folder: Path) -> None:
    """Names of transformers 4 beside those of 5: without them a program that still uses it takes the default base of
    rotations, or finds no class for the tokenizer.
    """
    config = _json(folder / "config.json")
    rope = config.get("rope_parameters")
    if isinstance(rope, dict) and "rope_theta" in rope:
        config["rope_theta"] = rope["rope_theta"]
        config["rope_scaling"] = {**rope, "type": rope["rope_type"]} if rope.get("rope_type") != "default" else None
    if "dtype" in config:
        config["torch_dtype"] = config["dtype"]
    if config:
        _write(folder / "config.json", config)
    words = _json(folder / "tokenizer_config.json")
    if words.get("tokenizer_class") == "TokenizersBackend":
        words["tokenizer_class"] = "PreTrainedTokenizerFast"
    for key in ("backend", "is_local", "local_files_only"):  # how it was read here, which concerns nobody else
        words.pop(key, None)
    if words:
        _write(folder / "tokenizer_config.json", words)


def _ends(folder: Path, source: Source) -> None:
    """Every token that ends an answer into the generation settings."""
    table = _json(folder / "generation_config.json") or {"_from_model_config": False}
    table["eos_token_id"] = list(source.ends) if len(source.ends) != 1 else source.ends[0]
    _write(folder / "generation_config.json", table)


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    table = json.loads(path.read_text(encoding="utf-8"))
    return table if isinstance(table, dict) else {}


def _write(path: Path, table: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(table, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
