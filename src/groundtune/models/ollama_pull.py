"""Getting a model for a running Ollama, with progress (``POST /api/pull``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from groundtune.errors import ModelUnreachable, SpecError
from groundtune.models.ollama import Server

_QUIET = 600.0  # seconds without a word before giving up; checking a large file takes minutes


@dataclass(frozen=True, slots=True)
class PullProgress:
    """``status`` in Ollama's words; bytes of all layers that were begun so far, 0 while their size is not known."""

    status: str
    done: int = 0
    total: int = 0


def pull(name: str, *, host: str | None = None, on_progress: Callable[[PullProgress], None] | None = None) -> None:
    """Download a model into Ollama; what was interrupted goes on where it stopped. ``name`` without ``ollama:``.

    Raises ``SpecError`` without a name, ``ModelUnreachable`` when Ollama is away, does not know the model or cannot get
    it.
    """
    if not name:
        raise SpecError("models.name_missing", provider="ollama", example="ollama:qwen3:4b")
    server = Server(host, _QUIET, 2)
    layers: dict[str, tuple[int, int]] = {}
    status = ""
    for event in server.lines("/api/pull", {"model": name, "stream": True}, model=name):
        if "error" in event:
            raise ModelUnreachable("models.ollama_pull_failed", where=server.url, name=name, reason=event["error"])
        status = str(event.get("status") or "")
        if event.get("digest") and event.get("total"):
            layers[str(event["digest"])] = (int(event.get("completed") or 0), int(event["total"]))
        if on_progress is not None:
            done, total = (sum(pair[side] for pair in layers.values()) for side in (0, 1))
            on_progress(PullProgress(status, done, total))
    if status != "success":
        raise ModelUnreachable("models.ollama_pull_failed", where=server.url, name=name, reason=status or "no answer")
