"""The comparison and the verdict in a terminal: right widths in CJK, readable in 80 columns, no meaning by colour alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from groundtune.measure.results import Ceiling, Contrast, Report
from groundtune.messages import say
from groundtune.report.columns import Cell, Comparison, comparison
from groundtune.report.words import DASH, Words, signed
from groundtune.text.scripts import CJK
from groundtune.verdict.cost import CostReport
from groundtune.verdict.outcome import Verdict

STAR = "★"
_SHOWN_ERRORS = 3  # different reasons per approach
COLON = {"en": ": ", "zh-TW": "：", "ja": "："}
_OPEN, _CLOSE = (
    "「『（《〈【〔“‘([",
    "」』）》〉】〕”’)]、。，．：；！？ーぁぃぅぇぉっゃゅょァィゥェォッャュョ～…,.:;!?%％",
)
# A piece is one ideograph or one word, with the opening marks before and the closing marks and spaces after it.
_PIECE = re.compile(
    f"[{re.escape(_OPEN)}]*(?:[{CJK}]|[^\\s{CJK}{re.escape(_OPEN + _CLOSE)}]*)[{re.escape(_CLOSE)}]*(?: %)?[{re.escape(_CLOSE)}]*\\s*"
)


def comparison_table(report: Report, lang: str | None = None, cost: CostReport | None = None) -> Table:
    """One row per approach and one column per measure; wants about 120 columns."""
    words = Words.of(lang)
    return _by_approach(comparison(report, words, cost))


def print_comparison(report: Report, console: Console, lang: str | None = None, cost: CostReport | None = None) -> None:
    """The table (turned over where the terminal is narrow), what was skipped, and the paired differences."""
    words = Words.of(lang)
    table = comparison(report, words, cost)
    say_line(words("compared", project=report.project, **_sizes(report, words)), console, style="bold")
    if table.rows:
        wide = _by_approach(table)
        fits = Measurement.get(console, console.options, wide).maximum < console.width
        console.print(wide if fits else _by_metric(table))
        say_line(words("legend", star=STAR), console, style="dim")
    for title, reason in table.skipped:
        say_line(words("skipped", approach=title, reason=reason), console, style="yellow")
    for a in (a for a in report.approaches if a.errors):
        say_line(words("errors_in", approach=words.approach(a.name), count=a.errors), console, style="yellow")
        for reason in list(dict.fromkeys(item.error for item in a.items if item.error))[:_SHOWN_ERRORS]:
            say_line(reason, console, style="dim", mark="  ")
    if report.ceilings:
        console.print()
        say_line(words("ceilings"), console, style="bold")
        console.print(ceiling_table(report.ceilings, words))
        say_line(words("ceilings_legend"), console, style="dim")
    if report.contrasts:
        console.print()
        say_line(words("differences"), console, style="bold")
        console.print(contrast_table(report.contrasts, words, narrow=console.width < 110))
        say_line(words("differences_legend"), console, style="dim")


def contrast_table(contrasts: tuple[Contrast, ...], words: Words, *, narrow: bool = False) -> Table:
    """Declared paired differences in percentage points, grouped by measure: size, interval, Holm p, items, smallest
    detectable difference and what it means. ``narrow`` uses short names.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1 if narrow else 2, 0, 0), show_edge=False, pad_edge=False)
    table.add_column(words("contrast"), overflow="fold", vertical="middle")
    for key in ("difference", "interval", "p", "n", "detectable"):
        table.add_column(words(f"{key}_short" if narrow else key), justify="right", vertical="middle")
    table.add_column(words("meaning"), no_wrap=True)
    name = words.short if narrow else words.approach
    for metric in dict.fromkeys(c.metric for c in contrasts):
        table.add_row(Text(words.metric(metric), style="bold"))
        for c in (c for c in contrasts if c.metric == metric):
            size = Text(signed(c.difference * 100), style="bold" if is_clear(c) else "")
            interval = f"[{signed(c.low * 100)}, {signed(c.high * 100)}]"
            visible = DASH if c.detectable is None else f"{c.detectable * 100:.0f}"
            pair = Text(f"  {name(c.a)} − {name(c.b)}")
            p_value = words.p_value(c.p_adjusted)
            table.add_row(pair, size, Text(interval, style="dim"), p_value, str(c.n), visible, meaning(c, words))
    return table


def ceiling_table(ceilings: tuple[Ceiling, ...], words: Words) -> Table:
    """What each lever could still win at most, in percentage points, by approach: the widest first."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False, pad_edge=False)
    table.add_column(words("ceiling_lever"), overflow="fold")
    for key in ("ceiling_share", "interval", "ceiling_reach", "n"):
        table.add_column(words(key), justify="right")
    for name in dict.fromkeys(c.approach for c in ceilings):
        own = [c for c in ceilings if c.approach == name]
        table.add_row(Text(f"{words.approach(name)} ({words.percent(own[0].success)})", style="bold"))
        for c in sorted(own, key=lambda c: -c.share):
            share, between = signed(c.share * 100), words.interval(c.low, c.high)
            reach = words.percent(min(1.0, c.success + c.share))
            table.add_row(f"  {words.named('ceiling', c.lever)}", share, Text(between, style="dim"), reach, str(c.n))
    return table


def is_clear(c: Contrast) -> bool:
    """The interval excludes 0 and the Holm-adjusted p value is below 0.05."""
    return (c.low > 0 or c.high < 0) and c.p_adjusted < 0.05


def meaning(c: Contrast, words: Words) -> str:
    """Whether a difference is shown or could be chance."""
    if not is_clear(c):
        return words("could_be_chance")
    return words("clearly_higher" if c.difference > 0 else "clearly_lower")


def _sizes(report: Report, words: Words) -> dict[str, str]:
    names = ("questions", "unanswerable", "examples_held_out", "documents")
    return {name: words.count(getattr(report, name)) for name in names}


def _cell(cell: Cell, joint: str) -> Text:
    text = Text(cell.text, style="bold green" if cell.best else "")
    if cell.best:
        text.append(f" {STAR}")
    if cell.detail:
        text.append(joint + cell.detail, style="dim")
    return text


def _by_approach(table: Comparison) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    shown.add_column("", style="bold", no_wrap=True)
    for head in table.heads:
        shown.add_column(head.title, justify="right", vertical="bottom", min_width=6)
    for row in table.rows:
        shown.add_row(row.title, *(_cell(cell, "\n") for cell in row.cells))
    return shown


def _by_metric(table: Comparison) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    shown.add_column("", style="bold", overflow="fold")
    for row in table.rows:
        shown.add_column(row.title, justify="right", overflow="fold")
    for index, head in enumerate(table.heads):
        shown.add_row(head.title, *(_cell(row.cells[index], "\n") for row in table.rows))
    return shown


def print_verdict(verdict: Verdict, console: Console, lang: str | None = None, *, full: bool = False) -> None:
    """The verdict, most important first. ``full`` adds what was measured, assumed and priced."""
    words = Words.of(lang)
    console.print()
    say_line(verdict.headline.text(words.lang), console, style="bold")
    say_line(verdict.confidence.text(words.lang), console)
    _list(verdict_heading("reasons", words), [s.text(words.lang) for s in verdict.reasons], console, numbered=True)
    others = [f"{words.approach(r.approach)}{COLON[words.lang]}{r.reason.text(words.lang)}" for r in verdict.rejected]
    _list(verdict_heading("rejected", words), others, console)
    _list(
        verdict_heading("gates", words),
        [g.sentence.text(words.lang) for g in verdict.gates if full or g.excludes],
        console,
    )
    _list(verdict_heading("claims", words), [c.sentence.text(words.lang) for c in verdict.claims], console)
    _list(
        verdict_heading("flips", words),
        [f.sentence.text(words.lang) for f in verdict.flips if full or not f.cost_only],
        console,
    )
    _list(verdict_heading("next", words), [s.text(words.lang) for s in verdict.next_steps], console, numbered=True)
    for name in ("measured", "assumed", "priced") if full else ():
        _list(verdict_heading(name, words), [s.text(words.lang) for s in getattr(verdict, name)], console)


def verdict_heading(name: str, words: Words) -> str:
    """The verdict's own heading of that part."""
    return say(f"verdict.heading.{name}", lang=words.lang)


def _list(heading: str, lines: Sequence[str], console: Console, *, numbered: bool = False) -> None:
    if not lines:
        return
    console.print()
    say_line(heading, console, style="bold")
    for number, line in enumerate(lines, 1):
        say_line(line, console, mark=f"{number}. " if numbered else "• ")


def say_line(text: str, console: Console, *, style: str = "", mark: str = "") -> None:
    """Print a paragraph folded to the terminal by ``wrap``; ``mark`` hangs before it."""
    margin = " " * cell_len(mark)
    for index, line in enumerate(wrap(text, console.width - len(margin))):
        console.print(Text((margin if index else mark) + line, style=style), soft_wrap=True)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` cells: broken at spaces and between ideographs, none beginning with a closing mark or
    ending with an opening one. A longer word is cut.
    """
    lines, line = [], ""
    for piece in _PIECE.findall(text):
        if line and cell_len(line) + cell_len(piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        while cell_len(piece.rstrip()) > width > 1:
            kept = next(n for n in range(len(piece), 0, -1) if cell_len(piece[:n]) <= width)
            lines.append(piece[:kept])
            piece = piece[kept:]
        line += piece if line else piece.lstrip()
    return [*lines, line.rstrip()] if line.strip() or not lines else lines
