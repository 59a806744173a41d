"""What ``groundtune tune`` shows before it trains, and what it says about several trainings."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from groundtune.cli.context import columns
from groundtune.messages import say
from groundtune.tuning.memory import in_gib
from groundtune.tuning.preflight import Preflight, ShownRow

if TYPE_CHECKING:
    from groundtune.measure.trials import Curve, Sweep, Trial

_MARKS = ("⟦", "⟧")
_COLOURS = ("\x1b[30;42m", "\x1b[0m")


def table(report: Preflight) -> dict[str, Any]:
    """The JSON form, with the reason of each default as a sentence and the memory in bytes."""
    defaults = [
        {"name": d.name, "value": d.value, "reason": d.reason, "sentence": d.sentence()} for d in report.defaults
    ]
    way = {**asdict(report.way), "total": report.way.estimate.total}
    return {**asdict(report), "way": way, "defaults": defaults}


def describe(report: Preflight, *, colour: bool) -> str:
    """Rows with the trained tokens marked, counts, time and memory, and the defaults with their reasons."""
    before, after = _COLOURS if colour else _MARKS
    key = "rows_colour" if colour else "rows_marked"
    lines = [say(f"cli.tune.{key}", shown=len(report.shown), rows=report.rows, before=before, after=after)]
    lines += [_row(row, before, after) for row in report.shown]
    way = report.way
    lines += [
        "",
        say("cli.tune.counts", rows=report.rows, tokens=f"{report.tokens:,}", trained=f"{report.trained_tokens:,}",
            longest=report.longest, mean=f"{report.mean:.0f}"),
        say("cli.tune.ends", end=report.end_token),
    ]  # fmt: skip
    if report.checked:
        lines.append(say("cli.tune.checked", count=report.checked))
    time, need, free = _time(report.seconds), in_gib(way.estimate.total), in_gib(way.free)
    lines += [
        say("cli.tune.needs", passes=report.passes, steps=report.steps, time=time, need=need, free=free),
        columns(("", "", ""), [(f"  {d.name}", d.value, d.sentence()) for d in report.defaults]).lstrip("\n"),
    ]
    return "\n".join(lines)


def describe_curve(curve: Curve) -> str:
    """A line per training, then whether more examples would help."""
    gain = curve.gain
    words = {"gain": f"{gain.value:+.3f}", "low": f"{gain.low:+.3f}", "high": f"{gain.high:+.3f}", "n": str(gain.n)}
    heads = tuple(say(f"cli.tune.curve_{name}") for name in ("share", "examples", "score", "seconds"))
    rows = [(f"{trial.value:.0%}", *_cells(trial)) for trial in curve.trials]
    said = say(f"cli.tune.curve_{curve.verdict}", None, **words)
    return "\n".join((columns(heads, rows), say(f"cli.tune.score_{curve.form}", count=curve.held_out), said))


def describe_sweep(sweep: Sweep) -> str:
    """A line per share, then which one won and by how much."""
    heads = (say("cli.tune.sweep_share"), *(say(f"cli.tune.curve_{name}") for name in ("examples", "score", "seconds")))
    rows = [(f"{trial.value:g}", *_cells(trial)) for trial in sweep.trials]
    lines = [columns(heads, rows), say(f"cli.tune.score_{sweep.form}", count=sweep.held_out)]
    if sweep.lead is None:
        return "\n".join(lines)
    clear = "clear" if sweep.lead.low > 0 else "close"
    words = {"lead": f"{sweep.lead.value:+.3f}", "low": f"{sweep.lead.low:+.3f}", "high": f"{sweep.lead.high:+.3f}"}
    return "\n".join([*lines, say(f"cli.tune.sweep_{clear}", None, share=f"{sweep.best:g}", **words)])


def _cells(trial: Trial) -> tuple[str, str, str]:
    score = trial.score
    value = f"{score.value or 0.0:.3f} ({score.low or 0.0:.3f} - {score.high or 0.0:.3f})"
    return str(trial.examples), value, f"{trial.seconds:.0f}"


def _row(row: ShownRow, before: str, after: str) -> str:
    line = f"{say('cli.lint.line', line=row.line)} " if row.line else ""
    end = row.end.strip("\n")
    return f"\n[{line}{row.id}]\n{row.prompt}{before}{row.trained}{after}{before}{end}{after}"


def _time(seconds: float) -> str:
    """``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
