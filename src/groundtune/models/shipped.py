"""Files of models on disk: weights that are read whole and checked by digest, settings that may be missing."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import ModelError


def check_digest(path: Path, digest: str) -> bytes:
    """The bytes of ``path``. Raises ``ModelError`` when the file is missing or its SHA-256 is another."""
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != digest:
        raise ModelError("models.builtin_damaged", path=path)
    return data


def read_weights(path: Path, digest: str) -> dict[str, NDArray[Any]]:
    """Arrays of an ``.npz`` file. Raises ``ModelError`` when the file is missing or damaged."""
    with np.load(io.BytesIO(check_digest(path, digest))) as stored:
        return {name: stored[name] for name in stored.files}


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty when there is none or it is no object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
