"""The comparison in Markdown: the table alone for a README, or ``report.md`` with the verdict around it."""

from __future__ import annotations

from groundtune.measure.results import Report
from groundtune.report.columns import Cell, comparison
from groundtune.report.words import Words
from groundtune.verdict.cost import CostReport
from groundtune.verdict.outcome import Verdict
from groundtune.verdict.words import render_text

_PLAIN = str.maketrans({"<": "&lt;", ">": "&gt;", "_": "\\_", "*": "\\*"})
_SPECIAL = str.maketrans({"|": "\\|", "\n": " ", "<": "&lt;", ">": "&gt;", "*": "\\*", "_": "\\_", "`": "\\`"})


def to_markdown(report: Report, lang: str | None = None, cost: CostReport | None = None) -> str:
    """One row per approach, the best of each column in bold, then what it was measured on."""
    words = Words.of(lang)
    found = comparison(report, words, cost)
    heads = [words("approach_head"), *(head.title for head in found.heads)]
    lines = [_row(heads), "|" + "|".join([" :-- ", *(" --: " for _ in found.heads)]) + "|"]
    keys = [head.key for head in found.heads]
    for row in found.rows:
        lines.append(_row([row.title, *(_cell(c, key) for c, key in zip(row.cells, keys, strict=True))], escape=False))
    names = ("questions", "unanswerable", "examples_held_out", "documents")
    sizes = {name: words.count(getattr(report, name)) for name in names}
    made = words("markdown_note", date=report.created[:10], model=report.base_model, version=report.version)
    lines += ["", f"{words('sizes', **sizes)}{words('stop')}{made}".translate(_SPECIAL)]
    lines += [words("skipped", approach=title, reason=reason).translate(_SPECIAL) for title, reason in found.skipped]
    return "\n".join(lines) + "\n"


def to_document(
    report: Report, verdict: Verdict | None = None, cost: CostReport | None = None, lang: str | None = None
) -> str:
    """The verdict's headline, the table, then everything else that the verdict says, under headings."""
    table = to_markdown(report, lang, cost)
    if verdict is None:
        return f"# {report.project}\n\n{table}"
    headline, confidence, *rest = render_text(verdict, lang).splitlines()
    lines, begins = [], False
    for line in rest:  # an empty line stands in front of each heading
        lines.append(f"## {line}\n" if begins else line.translate(_PLAIN))
        begins = not line
    return "\n".join([f"# {headline}", "", confidence.translate(_PLAIN), "", table.rstrip(), *lines, ""])


def _cell(cell: Cell, key: str) -> str:
    text = f"**{cell.text}**" if cell.best else cell.text
    if not cell.detail:
        return text
    return f"{text} / {cell.detail}" if key in ("latency", "tokens") else f"{text} ({cell.detail})"


def _row(cells: list[str], *, escape: bool = True) -> str:
    return "| " + " | ".join(c.translate(_SPECIAL) if escape else c for c in cells) + " |"
