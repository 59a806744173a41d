"""The files of one adapter folder: which belong to it, whether they are whole, and what stands in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOTE, SCORES, CHECK = "adapter.json", "scores.json", "check.json"
_KEPT = {".json", ".safetensors", ".bin", ".jinja", ".model"}


def files_of(folder: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of what belongs to an adapter, by file name."""
    kept = [
        p for p in sorted(folder.glob("*")) if p.is_file() and p.suffix in _KEPT and p.name not in (NOTE, SCORES, CHECK)
    ]
    return {path.name: (path.stat().st_size, _sha256(path)) for path in kept}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def missing_file(folder: Path, files: Mapping[str, tuple[int, str]]) -> str:
    """The first file that is gone or has another size."""
    if not (folder / "adapter_config.json").is_file():
        return "adapter_config.json"
    for name, (size, _) in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            return name
    return ""


def changed_file(folder: Path, files: Mapping[str, tuple[int, str]]) -> str:
    """The first file whose digest is another one, empty when there is none."""
    return next((name for name, (_, digest) in files.items() if _sha256(folder / name) != digest), "")


def template_digest(folder: Path) -> str:
    """Digest of the chat template in a PEFT folder, empty when it has none of its own."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return hashlib.sha256(own.read_bytes()).hexdigest()[:32]
    template = read_json(folder / "tokenizer_config.json").get("chat_template")
    return hashlib.sha256(json.dumps(template).encode()).hexdigest()[:32] if template else ""


def end_tokens(folder: Path) -> tuple[int, ...]:
    """The ids that end an answer, by the generation settings."""
    return token_ids(read_json(folder / "generation_config.json").get("eos_token_id"))


def token_ids(found: Any) -> tuple[int, ...]:  # noqa: ANN401
    """Ids as settings hold them: one number, a list of them, or nothing."""
    numbers = found if isinstance(found, list | tuple) else [found]
    return tuple(number for number in numbers if isinstance(number, int))


def read_scores(path: Path) -> dict[str, float]:
    """Numbers by name; empty when the file cannot be read."""
    return {str(key): float(value) for key, value in read_json(path).items() if isinstance(value, int | float)}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty when there is none that can be read."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}
