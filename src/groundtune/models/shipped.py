"""Weight files that ship inside the package: read whole, checked by digest, or refused by name."""

from __future__ import annotations

import hashlib
import io
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
