"""OpenAI's fine-tuning jobs: a legacy service that is closing, and says so before anything is sent.

Announced (developers.openai.com/api/docs/deprecations, read November 2026): closed to organisations that never
fine-tuned since 7 May 2026, no new jobs for anybody after 6 January 2027; tuned GPT-4o and GPT-4.1 models are removed
with their base models, announced for 14 January 2027. The weights cannot be downloaded.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from groundtune.errors import ModelRefused, TrainingError
from groundtune.tuning.hosted import Order, State, Status, first
from groundtune.tuning.hosted_http import Client

LAST_JOBS, LAST_ANSWERS = date(2027, 1, 6), date(2027, 1, 14)
_STATES: dict[str, State] = {
    "validating_files": "waiting", "queued": "waiting", "paused": "waiting", "running": "running", "succeeded": "done",
    "failed": "failed", "cancelled": "cancelled",
}  # fmt: skip


class OpenAIJobs:
    """The key is OPENAI_API_KEY; OPENAI_BASE_URL is another address of the same API."""

    def __init__(self, client: Client | None = None, today: date | None = None) -> None:
        base = os.environ.get("OPENAI_BASE_URL", "").strip() or "https://api.openai.com/v1"
        self._client = client or Client(base, "OPENAI_API_KEY")
        self._today = today or datetime.now(UTC).date()

    def upload(self, name: str, content: bytes) -> str:
        self._open()
        return self._id(self._client.upload("files", name, content, {"purpose": "fine-tune"}))

    def create(self, file: str, order: Order) -> str:
        self._open()
        hyper: dict[str, Any] = {"n_epochs": order.epochs}
        body = {
            "training_file": file, "model": order.model, "suffix": order.suffix,
            "method": {"type": "supervised", "supervised": {"hyperparameters": hyper}},
        }  # fmt: skip
        return self._id(self._client.post("fine_tuning/jobs", body))

    def find(self, order: Order) -> str:
        jobs = self._client.get("fine_tuning/jobs", limit="100").get("data")
        for job in jobs if isinstance(jobs, list) else []:
            if order.suffix in str(job.get("user_provided_suffix", "")) and job.get("status") not in (
                "failed",
                "cancelled",
            ):
                return first(job, "id")
        return ""

    def status(self, job: str) -> Status:
        table = self._client.get(f"fine_tuning/jobs/{job}")
        error = table.get("error")
        state = _STATES.get(str(table.get("status")), "running")
        reason = first(error, "message", "code") if isinstance(error, dict) and state == "failed" else ""
        return Status(state, first(table, "fine_tuned_model") if state == "done" else "", reason)

    def cancel(self, job: str) -> None:
        self._client.post(f"fine_tuning/jobs/{job}/cancel", {}, repeat=True)

    def download(self, job: str, result: str, out: Path) -> Path | None:
        return None

    def _open(self) -> None:
        if self._today > LAST_JOBS:
            raise TrainingError("tuning.hosted_openai_over", last=LAST_JOBS.isoformat())

    def _id(self, table: dict[str, Any]) -> str:
        found = first(table, "id")
        if not found:
            raise ModelRefused("tuning.hosted_answer", where=self._client.where, answer=str(table)[:120])
        return found
