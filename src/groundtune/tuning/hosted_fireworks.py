"""Fireworks AI: datasets and supervised fine-tuning jobs of an account, whose ids the caller chooses.

Because the ids are ours, creating twice is noticed by the service (409) and nothing has to be searched. As documented
in its API reference (read November 2026); checked against a local server only, never with a paid job.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from groundtune.errors import ModelRefused, ModelUnreachable
from groundtune.tuning.hosted import Order, State, Status, first
from groundtune.tuning.hosted_http import Client

_STATES: dict[str, State] = {
    "CREATING": "waiting", "PENDING": "waiting", "VALIDATING": "waiting", "CREATING_INPUT_DATASET": "waiting",
    "RUNNING": "running", "WRITING_RESULTS": "running", "DELETING": "running", "COMPLETED": "done",
    "EARLY_STOPPED": "done", "FAILED": "failed", "FAILED_CLEANING_UP": "failed", "EXPIRED": "failed",
    "CANCELLED": "cancelled", "DELETED": "cancelled",
}  # fmt: skip
_READY_POLLS, _READY_WAIT = 60, 5.0


class Fireworks:
    """The key is FIREWORKS_API_KEY, the account FIREWORKS_ACCOUNT_ID; FIREWORKS_BASE_URL is another address."""

    def __init__(self, client: Client | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        base = os.environ.get("FIREWORKS_BASE_URL", "").strip() or "https://api.fireworks.ai/v1"
        self._client = client or Client(base, "FIREWORKS_API_KEY")
        self._sleep = sleep

    def upload(self, name: str, content: bytes) -> str:
        dataset = name.removesuffix(".jsonl")
        rows = str(content.count(b"\n"))
        body = {"datasetId": dataset, "dataset": {"userUploaded": {}, "format": "CHAT", "exampleCount": rows}}
        try:
            self._client.post(f"{self._account()}/datasets", body, repeat=True)
        except ModelRefused as refused:
            if refused.params.get("status") != 409:  # it is there already: an earlier run made it
                raise
        place = f"{self._account()}/datasets/{dataset}"
        if self._client.get(place).get("state") != "READY":
            self._client.upload(f"{place}:upload", name, content, {})
        for _ in range(_READY_POLLS):
            if self._client.get(place).get("state") == "READY":
                return dataset
            self._sleep(_READY_WAIT)
        raise ModelUnreachable("tuning.hosted_unreachable", where=self._client.where, reason=f"dataset {dataset}")

    def create(self, file: str, order: Order) -> str:
        body: dict[str, Any] = {
            "dataset": f"{self._account()}/datasets/{file}", "baseModel": order.model, "epochs": order.epochs,
            "loraRank": order.rank, "outputModel": f"{self._account()}/models/{order.suffix}",
            "displayName": order.suffix,
        }  # fmt: skip
        if order.rate:
            body["learningRate"] = order.rate
        try:
            made = self._client.post(
                f"{self._account()}/supervisedFineTuningJobs", body, supervisedFineTuningJobId=order.suffix
            )
        except ModelRefused as refused:
            if refused.params.get("status") != 409:
                raise
            return order.suffix
        return PurePosixPath(first(made, "name")).name or order.suffix

    def find(self, order: Order) -> str:
        try:
            self._client.get(f"{self._account()}/supervisedFineTuningJobs/{order.suffix}")
        except ModelRefused as refused:
            if refused.params.get("status") == 404:
                return ""
            raise
        return order.suffix

    def status(self, job: str) -> Status:
        table = self._client.get(f"{self._account()}/supervisedFineTuningJobs/{job}")
        state = _STATES.get(str(table.get("state", "")).removeprefix("JOB_STATE_"), "running")
        progress, told = table.get("jobProgress"), table.get("status")
        percent = progress.get("percent") if isinstance(progress, dict) else None
        reason = first(told, "message") if isinstance(told, dict) and state == "failed" else ""
        model = first(table, "outputModel") if state == "done" else ""
        return Status(state, model, reason, float(percent) if isinstance(percent, int | float) else None)

    def cancel(self, job: str) -> None:
        self._client.delete(f"{self._account()}/supervisedFineTuningJobs/{job}")

    def download(self, job: str, result: str, out: Path) -> Path | None:
        links = self._client.get(f"{result}:getDownloadEndpoint").get("filenameToSignedUrls")
        if not isinstance(links, dict) or not links:
            return None
        for name, address in links.items():
            plain = PurePosixPath(str(name)).name  # never a path that leads out of the folder
            self._client.download(str(address), out / plain)
        return out

    def _account(self) -> str:
        account = os.environ.get("FIREWORKS_ACCOUNT_ID", "").strip()
        if not account:
            raise ModelUnreachable(
                "tuning.hosted_no_account", where=self._client.where, variable="FIREWORKS_ACCOUNT_ID"
            )
        return f"accounts/{account}"
