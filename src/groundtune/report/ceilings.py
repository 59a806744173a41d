"""What each lever could still win, at most: a chart for the approach that leads, a table for all of them."""

from __future__ import annotations

from groundtune.measure.results import Ceiling, Report
from groundtune.report import charts, figures
from groundtune.report.markup import Column, Html, details, paragraph, table
from groundtune.report.words import Words, signed
from groundtune.verdict.outcome import Verdict


def part(report: Report, verdict: Verdict | None, words: Words) -> list[Html]:
    """Nothing where the failures were not asked again; say how to have that done."""
    if not report.ceilings:
        return [paragraph(words("ceilings_off"), "muted")]
    name = (verdict.winner or verdict.leading if verdict else None) or report.ceilings[0].approach
    own = [c for c in report.ceilings if c.approach == name]
    shown = own or [c for c in report.ceilings if c.approach == report.ceilings[0].approach]
    others = [c for c in report.ceilings if c not in shown]
    parts = [_chart(shown, words), paragraph(words("ceilings_legend"), "muted")]
    return [*parts, details(words("ceilings_others"), _table(others, words), "more") if others else Html("")]


def _chart(own: list[Ceiling], words: Words) -> Html:
    own = sorted(own, key=lambda c: -c.share)
    rows = [
        charts.IntervalRow(
            words.named("ceiling_short", c.lever), c.share, c.low, c.high, _gain(c, words), figures.colour(c.approach)
        )
        for c in own
    ]
    desc = words.listed([f"{row.name} {row.words}" for row in rows])
    caption_of = words(
        "chart.ceilings_desc", name=words.approach(own[0].approach), success=words.percent(own[0].success)
    )
    return figures.picture_of(
        "ceilings", words, f"{caption_of} {desc}", lambda c, w: charts.intervals(rows, c, w), _table(own, words)
    )


def _gain(c: Ceiling, words: Words) -> str:
    return f"{words.points(c.share)} ({words.interval(c.low, c.high)})"


def _table(found: list[Ceiling], words: Words) -> Html:
    keys = ("approach_head", "ceiling_lever", "ceiling_share", "interval", "ceiling_reach", "n")
    columns = [Column(words(key), index > 1) for index, key in enumerate(keys)]
    rows = [
        [words.approach(c.approach), words.named("ceiling", c.lever), signed(c.share * 100), words.interval(c.low, c.high),
         words.percent(min(1.0, c.success + c.share)), str(c.n)]
        for c in sorted(found, key=lambda c: (c.approach, -c.share))
    ]  # fmt: skip
    return table(words("ceilings"), columns, rows)
