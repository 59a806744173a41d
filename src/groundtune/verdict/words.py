"""A verdict, an advice or a status as text that a person reads, in three languages."""

from __future__ import annotations

from collections.abc import Iterable

from groundtune.messages import say
from groundtune.verdict.advise import Advice
from groundtune.verdict.cost import CostReport
from groundtune.verdict.outcome import Verdict
from groundtune.verdict.sentence import Sentence, sentence
from groundtune.verdict.status import Status


def _part(heading: str, lines: Iterable[Sentence | str], lang: str | None, mark: str = "- ") -> list[str]:
    said = [line.text(lang) if isinstance(line, Sentence) else line for line in lines]
    if not said:
        return []
    return ["", say(f"verdict.heading.{heading}", lang=lang), *(f"{mark}{line}" for line in said)]


def _numbered(heading: str, lines: Iterable[Sentence], lang: str | None) -> list[str]:
    return _part(heading, [f"{i}. {line.text(lang)}" for i, line in enumerate(lines, 1)], lang, mark="")


def render_text(verdict: Verdict, lang: str | None = None) -> str:
    """The verdict as plain text, most important first."""
    out = [verdict.headline.text(lang), verdict.confidence.text(lang)]
    out += _numbered("reasons", verdict.reasons, lang)
    out += _part("gates", (g.sentence for g in verdict.gates), lang)
    rejected = [sentence("reject.line", name=r.approach, reason=r.reason) for r in verdict.rejected]
    out += _part("rejected", rejected, lang)
    out += _part("claims", (c.sentence for c in verdict.claims), lang)
    out += _part("disagreements", verdict.disagreements, lang)
    out += _part("flips", (f.sentence for f in verdict.flips if f.turns and not f.cost_only), lang)
    out += _part("cost_only", (f.sentence for f in verdict.flips if f.turns and f.cost_only), lang)
    out += _part("steady", (f.sentence for f in verdict.flips if not f.turns), lang)
    out += _numbered("next", verdict.next_steps, lang)
    out += _part("measured", verdict.measured, lang)
    out += _part("assumed", verdict.assumed, lang)
    out += _part("priced", verdict.priced, lang)
    return "\n".join(out) + "\n"


def render_advice(advice: Advice, lang: str | None = None) -> str:
    """The advice as plain text."""
    out = [sentence(f"advise.first_{advice.first}", name=advice.first).text(lang)]
    if advice.warning:
        out += ["", advice.warning.text(lang)]
    out += _part("why", advice.why, lang)
    out += _part("gates", (g.sentence for g in advice.gates), lang)
    out += _part("outlook", advice.outlook, lang)
    out += _numbered("measure_next", advice.measure_next, lang)
    out += _part("used", advice.used, lang)
    return "\n".join(out) + "\n"


def render_status(status: Status, lang: str | None = None) -> str:
    """The status as plain text."""
    return "\n".join([status.headline.text(lang), *_part("changes", status.changes, lang)]) + "\n"


def render_cost(report: CostReport, lang: str | None = None) -> str:
    """The sentences of a cost report: one line per approach, break-evens, what flips the order, prices."""
    months = report.inputs.horizon_months
    lines = [
        sentence(
            "advise.cost", name=a.name, month=a.per_month, thousand=a.per_1000, p10=a.p10, p90=a.p90, months=months
        )
        for a in report.approaches
    ]
    out = _part("cost", lines, lang)[1:]
    out += _part("break_evens", (b.sentence() for b in report.break_evens if b.name != "v*"), lang)
    bars = [
        sentence("flip.input", name=sentence(f"input.{b.name}"), low=b.low_input, high=b.high_input, a=report.pair[0],
                 b=report.pair[1])
        for b in report.tornado if b.flips
    ]  # fmt: skip
    out += _part("flips_cost", bars, lang)
    if report.machines:
        out += ["", sentence("machines", n=report.machines).text(lang)]
    if report.retrain:
        out += ["", sentence("step.retrain", months=min(report.retrain.exact, 999.0)).text(lang)]
    return "\n".join(out) + "\n"
