"""Items of one approach to one ``ApproachResult``: means with intervals, latency, tokens, failure labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from groundtune.measure.plugins import metric_names
from groundtune.measure.results import Abstention, ApproachResult, Estimate, ItemResult
from groundtune.measure.stats import estimate, percentile
from groundtune.types import Answer


def summarise(
    name: str,
    model: str,
    items: Sequence[ItemResult],
    answers: Sequence[Answer],
    *,
    fit_seconds: float,
    seed: int,
    instruction: str = "",
    missing: int = 0,
) -> ApproachResult:
    """Metrics over the items that they apply to; failed items count in ``errors`` only. ``answers`` are those of the
    items that did not fail, in their order; ``instruction`` is the system prompt of every call.
    """
    answered = [item for item in items if not item.error]
    seconds = [item.seconds for item in answered]
    return ApproachResult(
        name=name,
        model=next((answer.model for answer in answers if answer.model), model),
        metrics=metrics_of(answered, seed=seed),
        latency_p50=percentile(seconds, 0.5),
        latency_p95=percentile(seconds, 0.95),
        input_tokens=_mean([float(item.input_tokens) for item in answered]),
        output_tokens=_mean([float(item.output_tokens) for item in answered]),
        retrieved_tokens=_mean(
            [retrieved_tokens(a, instruction + item.question) for a, item in zip(answers, answered, strict=True)]
        ),
        cached_tokens=_mean([float(item.cached_tokens) for item in answered]),
        fit_seconds=fit_seconds,
        errors=len(items) - len(answered),
        missing=missing,
        labels=dict(Counter(item.label for item in items if item.label).most_common()),
        items=tuple(items),
        abstention=abstention_of(answered),
    )


def metrics_of(items: Sequence[ItemResult], *, seed: int = 0) -> dict[str, Estimate]:
    """Estimates of every metric that applies to at least one item, in the order of ``METRICS``, then of plugins."""
    groups = [item.group for item in items]
    names = metric_names(items)
    found = {metric: estimate([i.scores.get(metric) for i in items], groups, seed=seed) for metric in names}
    return {metric: value for metric, value in found.items() if value.n}


def abstention_of(items: Sequence[ItemResult]) -> Abstention | None:
    """What was answered and what was refused, of the questions; None without any."""
    asked = [item for item in items if item.part == "question"]
    if not asked:
        return None
    answered = [item for item in asked if not item.abstained]
    answerable = [item for item in answered if item.answerable]
    right = sum(item.label in ("ok", "format") for item in answerable)
    refused = [item for item in asked if item.abstained]
    due = sum(not item.answerable for item in refused)
    return Abstention(
        right, len(answerable) - right, len(refused) - due, due, sum(not item.answerable for item in answered)
    )


def retrieved_tokens(answer: Answer, rest: str) -> float:
    """Prompt tokens that the shown passages took: the prompt's tokens by the passages' share of its characters
    (``rest`` is what else the prompt holds).
    """
    passages = sum(len(hit.chunk.text) for hit in answer.context)
    total = passages + len(rest)
    return answer.usage.input_tokens * passages / total if passages else 0.0


def shown_table(results: Sequence[ApproachResult]) -> dict[str, float]:
    """Of the answerable questions with evidence: share whose document, and whose quote, the model was shown."""
    table: dict[str, float] = {}
    for result in results:
        asked = [i for i in result.items if i.part == "question" and i.answerable and i.evidence_shown is not None]
        if asked:
            table[f"document_shown[{result.name}]"] = sum(i.group in i.retrieved for i in asked) / len(asked)
            table[f"evidence_shown[{result.name}]"] = sum(bool(i.evidence_shown) for i in asked) / len(asked)
    return table


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
