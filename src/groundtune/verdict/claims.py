"""The article's claims against the measurement: holds, does not hold, undecided. The measurement has the last word."""

from __future__ import annotations

from dataclasses import replace

from groundtune.measure import stats
from groundtune.measure.results import Contrast, Report
from groundtune.verdict.outcome import Claim, Standing
from groundtune.verdict.paired import gap
from groundtune.verdict.sentence import sentence

KNOWLEDGE = ("answer_in_output", "answer_em", "success")
FORM = ("format_valid", "example_format_valid")


def check(report: Report, margin: float) -> tuple[Claim, ...]:
    """All claims, p values Holm-adjusted over them. ``margin``: a difference below it does not matter."""
    primary = ("success", "example_success")
    found = [
        ("rag_knows", _find(report, KNOWLEDGE, "rag", "finetune"), True),
        ("tuning_teaches_little", _find(report, KNOWLEDGE, "finetune", "prompt"), False),
        ("rag_misses_format", _find(report, FORM, "finetune", "rag"), True),
        ("hybrid_beats_rag", _find(report, primary, "rag+finetune", "rag"), True),
        ("hybrid_beats_finetune", _find(report, primary, "rag+finetune", "finetune"), True),
    ]
    adjusted = iter(stats.holm([c.p_value for _, c, _ in found if c is not None]))
    return tuple(
        _judge(name, None if c is None else replace(c, p_adjusted=next(adjusted)), positive, margin)
        for name, c, positive in found
    )


def _find(report: Report, metrics: tuple[str, ...], a: str, b: str) -> Contrast | None:
    for metric in metrics:
        if (found := gap(report, metric, a, b)) is not None:
            return found.contrast
    return None


def _judge(name: str, c: Contrast | None, positive: bool, margin: float) -> Claim:
    """``positive``: the claim says that ``a`` is better than ``b``; otherwise that ``a`` gains nothing that matters."""
    if c is None:
        return Claim(name, Standing.UNMEASURED, sentence("claim.not_measured", claim=sentence(f"claim.{name}")))
    clear = c.p_adjusted < 0.05
    if positive:
        if c.low > 0 and clear:
            standing = Standing.HOLDS
        elif c.high < margin and c.low <= 0:
            standing = Standing.FAILS
        else:
            standing = Standing.UNDECIDED
    elif c.high < margin:
        standing = Standing.HOLDS
    else:
        standing = Standing.FAILS if c.low > 0 and clear else Standing.UNDECIDED
    said = sentence(
        f"claim.{standing}",
        claim=sentence(f"claim.{name}"),
        metric=sentence(f"metric.{c.metric}"),
        a=c.a,
        b=c.b,
        difference=c.difference * 100,
        low=c.low * 100,
        high=c.high * 100,
        n=c.n,
    )
    return Claim(name, standing, said, c.metric, c.a, c.b, c.difference, c.low, c.high, c.n)
