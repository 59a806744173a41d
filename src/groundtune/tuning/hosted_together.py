"""Together AI: ``POST /files/upload``, ``POST /fine-tunes``, ``GET /fine-tunes/{id}``, ``GET /finetune/download``.

As documented in its API reference (read November 2026); checked against a local server only, never with a paid job.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from groundtune.errors import ModelRefused
from groundtune.tuning.hosted import Order, State, Status, first
from groundtune.tuning.hosted_http import Client

_STATES: dict[str, State] = {
    "pending": "waiting", "queued": "waiting", "running": "running", "compressing": "running", "uploading": "running",
    "cancel_requested": "running", "completed": "done", "error": "failed", "user_error": "failed", "cancelled": "cancelled",
}  # fmt: skip


class Together:
    """The key is TOGETHER_API_KEY; TOGETHER_BASE_URL is another address of the same API."""

    def __init__(self, client: Client | None = None) -> None:
        base = os.environ.get("TOGETHER_BASE_URL", "").strip() or "https://api.together.xyz/v1"
        self._client = client or Client(base, "TOGETHER_API_KEY")

    def upload(self, name: str, content: bytes) -> str:
        fields = {"purpose": "fine-tune", "file_name": name, "file_type": "jsonl"}
        return _id(self._client.upload("files/upload", name, content, fields), self._client)

    def create(self, file: str, order: Order) -> str:
        body: dict[str, Any] = {
            "training_file": file, "model": order.model, "n_epochs": order.epochs, "suffix": order.suffix,
            "train_on_inputs": False, "training_type": {"type": "Lora", "lora_r": order.rank, "lora_alpha": 2 * order.rank},
        }  # fmt: skip
        if order.rate:
            body["learning_rate"] = order.rate
        return _id(self._client.post("fine-tunes", body), self._client)

    def find(self, order: Order) -> str:
        jobs = self._client.get("fine-tunes").get("data")
        for job in jobs if isinstance(jobs, list) else []:
            named = " ".join(str(job.get(key, "")) for key in ("suffix", "output_name", "model_output_name"))
            if order.suffix in named and job.get("status") not in ("error", "user_error", "cancelled"):
                return first(job, "id")
        return ""

    def status(self, job: str) -> Status:
        table = self._client.get(f"fine-tunes/{job}")
        events = table.get("events")
        last = events[-1] if isinstance(events, list) and events and isinstance(events[-1], dict) else {}
        state = _STATES.get(str(table.get("status")), "running")
        reason = first(last, "message") if state == "failed" else ""
        return Status(state, first(table, "output_name", "model_output_name") if state == "done" else "", reason)

    def cancel(self, job: str) -> None:
        self._client.post(f"fine-tunes/{job}/cancel", {}, repeat=True)

    def download(self, job: str, result: str, out: Path) -> Path | None:
        return self._client.download("finetune/download", out / "adapter.tar.zst", ft_id=job, checkpoint="adapter")


def _id(table: dict[str, Any], client: Client) -> str:
    found = first(table, "id")
    if not found:
        raise ModelRefused("tuning.hosted_answer", where=client.where, answer=str(table)[:120])
    return found
