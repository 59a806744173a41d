"""Are the shown citations right (they point at the gold evidence) and true (they stand in the stored text)?

A deterministic layer instead of ALCE's entailment model: gold evidence is a document and a verbatim quote, so a
citation can be checked by place. Works in every language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundtune.measure.scorers import contains
from groundtune.types import Citation, Evidence, Span

_HEADING = re.compile(r"^#{1,6}[ \t]+\S", re.MULTILINE)
_BLANK = re.compile(r"\n[ \t\u3000]*\n")

VersionText = Callable[[str, str], str | None]
"""(document id, version) to the stored text; None when that version is not stored."""


@dataclass(frozen=True)
class CitationScores:
    """``precision`` over the shown citations (None when none is shown), ``recall`` 1 when the evidence is cited."""

    precision: float | None
    recall: float


def locate(text: str, quote: str) -> Span | None:
    """Where a quote stands in a text, white space ignored (line breaks inside CJK sentences carry no text); None when
    it does not.
    """
    start = text.find(quote)
    if start >= 0:
        return Span(start, start + len(quote))
    letters = [re.escape(character) for character in quote if not character.isspace()]
    if not letters:
        return None
    match = re.search(r"\s*".join(letters), text)
    return Span(match.start(), match.end()) if match else None


def section_of(text: str, span: Span) -> Span:
    """The section that a span starts in: from its Markdown heading to the next one; the paragraph where a text has no
    headings.
    """
    borders = [m.start() for m in _HEADING.finditer(text)] or [m.end() for m in _BLANK.finditer(text)]
    start = max((b for b in borders if b <= span.start), default=0)
    end = min((b for b in borders if b > span.start), default=len(text))
    return Span(start, max(end, span.end))


def is_right(citation: Citation, evidence: Evidence, answers: Sequence[str], text: str) -> bool:
    """A citation is right when it overlaps the evidence quote in the same document, or when it holds an accepted answer
    inside the section of the evidence. ``text`` is the evidence document's text in the cited version.
    """
    if citation.document_id != evidence.document:
        return False
    if citation.quote and (evidence.quote in citation.quote or (not text and citation.quote in evidence.quote)):
        return True
    place = locate(text, evidence.quote)
    if place is None:
        return False
    if citation.start < place.end and citation.end > place.start:
        return True
    section = section_of(text, place)
    inside = section.start <= citation.start and citation.end <= section.end
    return inside and any(contains(citation.quote, answer) for answer in answers)


def citation_scores(
    citations: Sequence[Citation], evidence: Evidence, answers: Sequence[str], version_text: VersionText
) -> CitationScores:
    """Precision and recall of one answer's citations against its evidence."""
    right = [is_right(c, evidence, answers, version_text(c.document_id, c.version) or "") for c in citations]
    return CitationScores(sum(right) / len(right) if right else None, float(any(right)))


def quote_verbatim(citations: Sequence[Citation], version_text: VersionText) -> float | None:
    """Share of shown quotes that stand word for word at their place in the stored version; None without citations."""
    if not citations:
        return None
    true = 0
    for citation in citations:
        text = version_text(citation.document_id, citation.version)
        true += text is not None and bool(citation.quote) and text[citation.start : citation.end] == citation.quote
    return true / len(citations)
