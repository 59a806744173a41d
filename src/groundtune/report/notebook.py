"""What a notebook shows of a report and of a verdict: the table and the headline, in the language in use. Small, with its
own colours left to the notebook; ``report.html`` holds everything.
"""

from __future__ import annotations

from groundtune.measure.results import Report
from groundtune.report.columns import Cell, comparison
from groundtune.report.markup import Html, bullets, join, paragraph, tag
from groundtune.report.verdict_part import heading, said, sizes
from groundtune.report.words import Words
from groundtune.verdict.outcome import Verdict


def report_fragment(report: Report) -> str:
    """The comparison as a table."""
    words = Words.of(None)
    found = comparison(report, words)
    head = join([tag("th", words("approach_head")), *(tag("th", one.title) for one in found.heads)])
    rows = [
        tag("tr", join([tag("th", row.title, scope="row"), *(_cell(one) for one in row.cells)])) for row in found.rows
    ]
    skipped = [words("skipped", approach=title, reason=reason) for title, reason in found.skipped]
    table = tag("table", join([tag("thead", tag("tr", head)), tag("tbody", join(rows))]))
    parts: list[object] = [tag("b", report.project), paragraph(sizes(report, words)), table if rows else ""]
    return tag("div", join([*parts, bullets(skipped), bullets(report.notes)]), css="groundtune-report", lang=words.tag)


def verdict_fragment(verdict: Verdict) -> str:
    """The headline, how sure it is, why, and what comes next."""
    words = Words.of(None)
    parts: list[object] = [
        paragraph(tag("b", verdict.headline.text(words.lang))),
        paragraph(verdict.confidence.text(words.lang)),
        bullets(said(verdict.reasons, words), ordered=True),
    ]
    steps = said(verdict.next_steps, words)
    parts += [paragraph(heading("next", words)), bullets(steps, ordered=True)] if steps else []
    return tag("div", join(parts), css="groundtune-verdict", lang=words.tag)


def _cell(cell: Cell) -> Html:
    value = tag("b", cell.text) if cell.best else cell.text
    return tag("td", join([value, " ", tag("small", cell.detail)]) if cell.detail else value)
