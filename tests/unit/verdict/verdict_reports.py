"""Synthetic reports with a known truth: which approach succeeds on which item is given, not drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from groundtune.measure import stats
from groundtune.measure.results import ApproachResult, ItemResult, Report

METRICS = ("success", "answer_in_output", "format_valid")


def share(n: int, rate: float, shift: float = 0.0) -> list[float]:
    """``rate`` of ``n`` items are 1, spread evenly; ``shift`` in [0, 1) moves which ones."""
    return [float(int((i + shift + 1) * rate) > int((i + shift) * rate)) for i in range(n)]


def approach(
    name: str,
    success: Sequence[float],
    *,
    knows: Sequence[float] | None = None,
    form: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    retrieved: float = 0.0,
    groups: Sequence[str] | None = None,
) -> ApproachResult:
    n = len(success)
    table = {"success": success, "answer_in_output": knows or success, "format_valid": form or [1.0] * n}
    where = groups or [f"d{i}" for i in range(n)]
    items = tuple(
        ItemResult(
            id=f"q{i}", part="question", group=where[i], question="What is the fee?", expected="5", output="5",
            scores={m: table[m][i] for m in METRICS}, label=labels[i] if labels else "",
        )
        for i in range(n)
    )  # fmt: skip
    metrics = {m: stats.estimate(list(table[m]), where) for m in METRICS}
    return ApproachResult(
        name, "fake:one", metrics=metrics, input_tokens=100 + retrieved, output_tokens=40, retrieved_tokens=retrieved,
        items=items,
    )  # fmt: skip


def report(
    *approaches: ApproachResult, trained: int = 200, settings: Mapping[str, str | float] | None = None
) -> Report:
    n = len(approaches[0].items)
    return Report(
        project="p", language="en", created="2026-11-23T00:00:00", version="1", base_model="builtin:base",
        reader="builtin:reader", questions=n, unanswerable=0, examples_held_out=30, examples_trained=trained,
        documents=n, approaches=tuple(approaches), settings=dict(settings or {}),
    )  # fmt: skip


def five(n: int, **rates: float) -> Report:
    """All five approaches at the given success rates; items are nested: a better approach succeeds on a superset."""
    names = {"prompt": "prompt", "few_shot": "few-shot", "rag": "rag", "finetune": "finetune", "hybrid": "rag+finetune"}
    made = []
    for key, name in names.items():
        if key in rates:
            count = round(rates[key] * n)
            scores = [1.0] * count + [0.0] * (n - count)
            made.append(approach(name, scores, retrieved=200.0 if "rag" in name else 0.0))
    return report(*made)
