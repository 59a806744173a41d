"""Fine-tuning at a service behind one seam: upload, create, follow, cancel, download. Interrupted at any point, it goes on.

What has happened so far stands in ``.groundtune/hosted/<provider>-<digest>.json`` (file id, job id, state, result;
never a key), written after every step. The job carries a suffix made from the digest of data, base and settings, so
that a job whose creation was not answered is found again instead of being created, and paid, twice.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from groundtune.config import TuningSection
from groundtune.errors import DataError, ModelRefused, SpecError, TrainingError
from groundtune.files import write_whole
from groundtune.tuning.base import data_digest
from groundtune.tuning.data import require_enough
from groundtune.tuning.hosted_http import Unsure
from groundtune.tuning.plan import RANK, passes_for
from groundtune.tuning.private import count_kinds
from groundtune.types import Example

State = Literal["waiting", "running", "done", "failed", "cancelled"]
PROVIDERS = {
    "together": "groundtune.tuning.hosted_together:Together",
    "fireworks": "groundtune.tuning.hosted_fireworks:Fireworks",
    "openai": "groundtune.tuning.hosted_openai:OpenAIJobs",
}
FIRST_POLL, LONGEST_POLL = 5.0, 60.0  # seconds


@dataclass(frozen=True)
class Order:
    """What is asked for: ``model`` as the service names it, LoRA of ``rank``, ``epochs`` passes; a ``rate`` of 0 means
    the service's own. ``suffix`` marks the job as ours.
    """

    model: str
    epochs: int
    rate: float
    rank: int
    suffix: str


@dataclass(frozen=True)
class Status:
    """Where a job stands. ``model`` is the result's name at the service once it is done; ``reason`` why it failed."""

    state: State
    model: str = ""
    reason: str = ""
    percent: float | None = None


@dataclass(frozen=True)
class Job:
    """What is kept of a job."""

    provider: str
    model: str
    digest: str
    data_digest: str
    examples: int
    attempt: int = 0
    file: str = ""
    job: str = ""
    state: State = "waiting"
    result: str = ""
    reason: str = ""
    downloaded: str = ""


class Tuner(Protocol):
    """One service. Every method raises ``ModelUnreachable`` or ``ModelRefused``; ``create`` and only it may raise
    ``Unsure``.
    """

    def upload(self, name: str, content: bytes) -> str:
        """Store the training file; its id, when the service is ready to train on it."""

    def create(self, file: str, order: Order) -> str:
        """Start a job; its id."""

    def find(self, order: Order) -> str:
        """The id of a job with this suffix, empty when there is none."""

    def status(self, job: str) -> Status:
        """Where the job stands."""

    def cancel(self, job: str) -> None:
        """Stop it."""

    def download(self, job: str, result: str, out: Path) -> Path | None:
        """The adapter as a file or folder in ``out``, None where a service keeps the weights."""


def open_tuner(spec: str) -> tuple[Tuner, str, str]:
    """Service, its name and the model of ``provider:model``. Raises ``SpecError`` for an unknown one, and
    ``TrainingError`` for a service that has closed.
    """
    provider, _, model = spec.partition(":")
    if provider not in PROVIDERS or not model:
        raise SpecError("tuning.hosted_unknown", name=spec, known=", ".join(f"{name}:MODEL" for name in PROVIDERS))
    module, _, attribute = PROVIDERS[provider].partition(":")
    tuner: Tuner = getattr(importlib.import_module(module), attribute)()
    return tuner, provider, model


def training_file(examples: Sequence[Example]) -> bytes:
    """OpenAI chat JSONL that trains what we train: the last answer; earlier ones get weight 0. No metadata is sent."""
    rows = []
    for example in examples:
        turns: list[dict[str, object]] = [dict(message.as_dict()) for message in example.messages]
        for turn in turns[:-1]:
            if turn["role"] == "assistant":
                turn["weight"] = 0
        rows.append(json.dumps({"messages": turns}, ensure_ascii=False))
    return ("\n".join(rows) + "\n").encode()


def make_order(examples: Sequence[Example], provider: str, model: str, settings: TuningSection) -> tuple[Order, str]:
    """The order, and the digest of everything that decides its result."""
    epochs = settings.epochs or passes_for(len(examples))
    parts = [provider, model, data_digest(examples), epochs, settings.learning_rate, settings.rank or RANK]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    return Order(model, epochs, settings.learning_rate, settings.rank or RANK, f"gt{digest[:10]}"), digest


class Hosted:
    """One order at one service, kept in ``folder``. ``tell`` hears of every change of the job."""

    def __init__(
        self,
        folder: Path,
        spec: str,
        examples: Sequence[Example],
        settings: TuningSection,
        *,
        tell: Callable[[Job, Status], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        tuner: Tuner | None = None,
    ) -> None:
        opened, self.provider, model = open_tuner(spec)
        self.tuner = tuner or opened
        self.examples = tuple(examples)
        self.order, self.digest = make_order(examples, self.provider, model, settings)
        self.path = folder / f"{self.provider}-{self.digest[:10]}.json"
        self._out = folder
        self._tell = tell
        self._sleep = sleep

    def run(self, *, allow_private: bool = False) -> Job:
        """Train, or go on where an earlier run stopped, until the job has ended.

        Raises ``DataError`` for too few examples or private values in them (unless allowed), ``TrainingError`` when the
        job failed or was cancelled, and what the service raises; whatever was reached is kept.
        """
        job = self.kept()
        if job is None:
            require_enough(self.examples)
            self._without_private(allow_private)
            job = Job(self.provider, self.order.model, self.digest, data_digest(self.examples), len(self.examples))
        if job.state in ("failed", "cancelled"):  # asked for again: a new job on the stored file
            job = replace(job, job="", state="waiting", reason="", attempt=job.attempt + 1)
        if not job.file:
            job = self._keep(replace(job, file=self.tuner.upload(f"{self.order.suffix}.jsonl", self._content())))
        if not job.job:
            job = self._keep(replace(job, job=self._create(job)))
        job = self._follow(job)
        if job.state == "done" and not job.downloaded:
            found = self.tuner.download(job.job, job.result, self._out / self.path.stem)
            job = self._keep(replace(job, downloaded=str(found.relative_to(self._out)) if found else ""))
        return job

    def cancel(self) -> Job:
        """Stop the job at the service. Raises ``DataError`` when there is none that runs."""
        job = self.kept()
        if job is None or not job.job or job.state not in ("waiting", "running"):
            raise DataError("tuning.hosted_nothing", provider=self.provider, model=self.order.model)
        self.tuner.cancel(job.job)
        return self._keep(replace(job, state="cancelled"))

    def kept(self) -> Job | None:
        """What an earlier run left, None when there is nothing that can be read."""
        try:
            table = json.loads(self.path.read_text(encoding="utf-8"))
            return Job(**table) if table.get("digest") == self.digest else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise DataError("tuning.hosted_record", path=self.path) from error

    def _create(self, job: Job) -> str:
        """A new job; after a failure without an answer the one that may have come of it, before another is made."""
        order = self.order  # a new attempt needs a new name, or the old job would be found
        if job.attempt:
            order = replace(order, suffix=f"{order.suffix}x{job.attempt}")
        reason = ""
        for _ in range(3):
            try:
                return self.tuner.create(job.file, order)
            except Unsure as unsure:
                reason = str(unsure)
                self._sleep(FIRST_POLL)
                found = self.tuner.find(order)
                if found:
                    return found
        raise ModelRefused("tuning.hosted_unsure", provider=self.provider, suffix=order.suffix, reason=reason)

    def _follow(self, job: Job) -> Job:
        wait = FIRST_POLL
        while True:
            status = self.tuner.status(job.job)
            changed = (status.state, status.model, status.reason) != (job.state, job.result, job.reason)
            if changed:
                job = self._keep(replace(job, state=status.state, result=status.model, reason=status.reason))
            if self._tell is not None:
                self._tell(job, status)
            if status.state == "done":
                return job
            if status.state in ("failed", "cancelled"):
                key = f"tuning.hosted_{status.state}"
                raise TrainingError(key, provider=self.provider, job=job.job, reason=status.reason or "-")
            self._sleep(wait)
            wait = min(LONGEST_POLL, wait * 1.5)

    def _content(self) -> bytes:
        return training_file(self.examples)

    def _without_private(self, allowed: bool) -> None:
        counts = count_kinds(self.examples)
        secret = counts.get("api_key", 0) + counts.get("private_key", 0)
        if secret or (counts and not allowed):
            raise DataError("tuning.hosted_secret" if secret else "tuning.hosted_private", count=sum(counts.values()))

    def _keep(self, job: Job) -> Job:
        write_whole(self.path, json.dumps(asdict(job), ensure_ascii=False, indent=1) + "\n")
        return job


def first(table: dict[str, Any], *names: str) -> str:
    """The first of these fields that holds a text."""
    return next((str(table[name]) for name in names if isinstance(table.get(name), str) and table[name]), "")
