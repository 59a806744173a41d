"""Which folder or hub id a base model spec means, and a fingerprint of what is in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from groundtune.config import TuningSection
from groundtune.errors import TrainingError
from groundtune.types import Example

_EDGE = 1 << 20


def base_path(spec: str) -> str:
    """A local folder or hub id for ``builtin:name`` or ``hf:name``.

    Raises ``TrainingError`` for a base that cannot be trained here, or a built-in one that is not installed.
    """
    provider, _, name = spec.partition(":")
    if provider == "builtin":
        folder = Path(__file__).parent.parent / "builtin" / name
        if not (folder / "config.json").is_file():
            raise TrainingError("tuning.base_missing", base=spec)
        return str(folder)
    if provider == "hf" and name:
        return name
    raise TrainingError("tuning.base_not_tunable", base=spec)


def base_digest(path: str) -> str:
    """Fingerprint of a model folder from names, sizes, first and last MiB of its files; of the id for a hub id."""
    folder = Path(path)
    seen = hashlib.sha256()
    if not folder.is_dir():
        seen.update(path.encode())
    for file in sorted(folder.glob("*")) if folder.is_dir() else ():
        if file.suffix in {".json", ".safetensors", ".jinja", ".model"}:
            size = file.stat().st_size
            seen.update(f"{file.name}:{size}:".encode())
            with file.open("rb") as stream:
                seen.update(stream.read(_EDGE))
                stream.seek(max(0, size - _EDGE))
                seen.update(stream.read(_EDGE))
    return seen.hexdigest()[:32]


def data_digest(examples: Sequence[Example]) -> str:
    """Fingerprint of the chats in their order; metadata does not count."""
    chats = [[message.as_dict() for message in example.messages] for example in examples]
    return hashlib.sha256(json.dumps(chats, ensure_ascii=False).encode()).hexdigest()[:32]


def training_digest(
    examples: Sequence[Example], base: str, settings: TuningSection, held_out: Sequence[Example] = ()
) -> str:
    """Fingerprint of everything that decides the trained weights: equal digest, equal adapter."""
    chosen = {key: value for key, value in asdict(settings).items() if key != "memory_gb"}  # where, not what
    parts = [data_digest(examples), data_digest(held_out), base_digest(base_path(base)), chosen]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
