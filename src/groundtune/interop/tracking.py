"""A comparison in MLflow, Weights & Biases or trackio: one run per approach, with its settings, scores and the report.

``mlflow:http://127.0.0.1:5000#experiment``, ``wandb:entity/project`` (offline with ``WANDB_MODE=offline``),
``trackio:project``. The SDKs find their keys themselves; none are read here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import GroundtuneError, MissingExtra, SpecError
from groundtune.interop.bring import short
from groundtune.measure.results import ApproachResult, Report


@dataclass(frozen=True)
class Logged:
    """A run that was logged. ``id`` is the tracker's own, where it has one."""

    approach: str
    id: str
    metrics: int


def log_report(report: Report, to: str, files: tuple[Path, ...] = ()) -> tuple[Logged, ...]:
    """Log every approach that was run, and ``files`` (e.g. report.json and report.html) with each where the tracker keeps
    files. Raises ``SpecError`` for an unknown tracker, ``MissingExtra`` without its package, and ``GroundtuneError`` with
    its reason when the tracker refuses.
    """
    kind, _, place = to.partition(":")
    if kind not in _TRACKERS:
        raise SpecError("interop.no_tracker", name=kind, known=", ".join(f"{one}:…" for one in _TRACKERS))
    made: list[Logged] = []
    for result in report.approaches:
        if result.skipped:
            continue
        try:
            made.append(Logged(result.name, _TRACKERS[kind](report, result, place, files), len(numbers_of(result))))
        except GroundtuneError:
            raise
        except Exception as error:
            if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == kind:
                raise MissingExtra("interop.needs_package", package=kind) from error
            raise GroundtuneError("interop.tracker_failed", name=to, reason=short(error, 300)) from error
    return tuple(made)


def numbers_of(result: ApproachResult) -> dict[str, float]:
    """What is plotted: means with their bounds, latency, tokens, counts."""
    found: dict[str, float | None] = {}
    for name, estimate in result.metrics.items():
        found |= {name: estimate.value, f"{name}.low": estimate.low, f"{name}.high": estimate.high}
    found |= {
        "latency_p50": result.latency_p50, "latency_p95": result.latency_p95, "input_tokens": result.input_tokens,
        "output_tokens": result.output_tokens, "retrieved_tokens": result.retrieved_tokens,
        "cached_tokens": result.cached_tokens, "fit_seconds": result.fit_seconds, "errors": result.errors,
        "missing": result.missing, "items": len(result.items),
    }  # fmt: skip
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def facts_of(report: Report, result: ApproachResult) -> dict[str, str]:
    """What a run is found again by: approach, model, data and settings, as texts."""
    found: dict[str, Any] = {
        "approach": result.name, "model": result.model, "project": report.project, "created": report.created,
        "groundtune": report.version, "reader": report.reader, "questions": report.questions,
        "examples_trained": report.examples_trained, "documents": report.documents, "data_digest": report.data_digest,
    }  # fmt: skip
    kept = {name: value for name, value in report.settings.items() if name != "document_digests"}
    return {name: str(value)[:500] for name, value in (found | kept).items()}


def _mlflow(report: Report, result: ApproachResult, place: str, files: tuple[Path, ...]) -> str:
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    address, _, experiment = place.partition("#")
    client = MlflowClient(tracking_uri=address or None)
    name = experiment or report.project
    held = client.get_experiment_by_name(name)
    number = held.experiment_id if held is not None else client.create_experiment(name)
    run = client.create_run(number, run_name=result.name, tags={"groundtune.data_digest": report.data_digest})
    run_id = str(run.info.run_id)
    now = int(time.time() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric(_key(key), value, now, 0) for key, value in numbers_of(result).items()],
        params=[Param(_key(key), value) for key, value in facts_of(report, result).items()],
    )
    for file in files:
        client.log_artifact(run_id, str(file))
    client.set_terminated(run_id)
    return run_id


def _wandb(report: Report, result: ApproachResult, place: str, files: tuple[Path, ...]) -> str:
    import wandb

    entity, slash, project = place.rpartition("/")
    run = wandb.init(
        project=project or report.project,
        entity=entity if slash else None,
        name=result.name,
        group=report.created,
        config=facts_of(report, result),
        reinit="finish_previous",
        settings=wandb.Settings(silent=True, console="off"),
    )
    run.log(numbers_of(result))
    for file in files:
        run.save(str(file), base_path=str(file.parent), policy="now")
    run.finish()
    return str(run.id)


def _trackio(report: Report, result: ApproachResult, place: str, files: tuple[Path, ...]) -> str:
    import trackio

    trackio.init(
        project=place or report.project,
        name=f"{result.name} {report.created}",
        config=facts_of(report, result),
        embed=False,
    )
    trackio.log(numbers_of(result))
    trackio.finish()
    return ""


_TRACKERS: dict[str, Callable[[Report, ApproachResult, str, tuple[Path, ...]], str]] = {
    "mlflow": _mlflow, "wandb": _wandb, "trackio": _trackio,
}  # fmt: skip


def _key(name: str) -> str:
    """MLflow takes letters, digits, ``_ - . / :`` and spaces."""
    return "".join(c if c.isalnum() or c in "_-./ :" else "_" for c in name)
