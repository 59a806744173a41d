"""The small causal language model that ships inside the package (``builtin:base``)."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

from groundtune.errors import ModelError, ModelUnreachable, SpecError
from groundtune.models.bare import open_bare
from groundtune.models.hf import HuggingFaceModel
from groundtune.models.hub import load
from groundtune.models.shipped import check_digest

FOLDER = Path(__file__).resolve().parent.parent / "builtin"
NAMES = ("base",)


def open_model(
    name: str, *, adapter: str | Path | None = None, threads: int | None = 1, truncate: bool = False
) -> HuggingFaceModel:
    """``builtin:base``, optionally with a trained adapter. The weights are checked against the model card.

    Raises ``SpecError`` (no such name), ``ModelUnreachable`` (not in this installation), ``ModelError`` (damaged).
    """
    folder = check(name)
    # stored as bfloat16, computed in float32: a token takes 11 ms in float32 and 13 ms in bfloat16 through transformers
    # (8 layers of width 256, one thread with avx512_bf16), and only float32 goes through the lean decoder
    loaded = open_bare(folder, None if adapter is None else Path(adapter))
    if loaded is None:
        loaded = load(str(folder), adapter=adapter, dtype="float32", device="cpu")
    return HuggingFaceModel(f"builtin:{name}", loaded, threads=threads, truncate=truncate)


def check(name: str) -> Path:
    """The folder of a built-in model after every file on its card was found whole."""
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        key = "models.builtin_unknown_hint" if close else "models.builtin_unknown"
        raise SpecError(key, name=name, known=", ".join(NAMES), hint=close[0] if close else "")
    folder = FOLDER / name
    card = folder / "card.json"
    if not card.is_file():
        raise ModelUnreachable("models.builtin_missing", name=f"builtin:{name}", path=card)
    try:
        expected = json.loads(card.read_text(encoding="utf-8"))["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError("models.builtin_damaged", path=card) from error
    for file, sha256 in expected.items():
        path = folder / file
        if not path.is_file():
            raise ModelUnreachable("models.builtin_missing", name=f"builtin:{name}", path=path)
        check_digest(path, sha256)
    return folder
