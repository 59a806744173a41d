"""Citations against gold evidence, by place."""

import pytest

from groundtune.measure.citations import citation_scores, is_right, locate, quote_verbatim, section_of
from groundtune.types import Citation, Evidence, Span, digest

TEXT = """# Leave policy
Edition 2026.

### § 1 Annual leave
Staff get 25 days of leave a year. New staff get 20 days.
Leave of 25 days may be carried over once.

### § 2 Sick leave
Sick leave is paid for 25 days.
"""
EVIDENCE = Evidence("leave.md", "Staff get 25 days of leave a year.")


def cite(quote, document="leave.md", text=TEXT, start=None):
    start = text.index(quote) if start is None else start
    return Citation(document, digest(text), start, start + len(quote), quote)


@pytest.mark.parametrize(
    ("citation", "right"),
    [
        (cite("Staff get 25 days of leave a year."), True),
        (cite("25 days of leave a year. New staff"), True),
        (cite("Leave of 25 days may be carried over once."), True),  # holds the answer, same section
        (cite("New staff get 20 days."), False),  # same section, without the answer
        (cite("Sick leave is paid for 25 days."), False),  # holds the answer, another section
        (cite("Staff get 25 days of leave a year.", document="other.md"), False),
    ],
)
def test_a_citation_is_right_when_it_points_at_the_evidence(citation, right):
    assert is_right(citation, EVIDENCE, ("25 days",), TEXT) is right


def test_precision_and_recall():
    texts = {("leave.md", digest(TEXT)): TEXT}
    both = [cite("Staff get 25 days of leave a year."), cite("Sick leave is paid for 25 days.")]
    scores = citation_scores(both, EVIDENCE, ("25 days",), lambda d, v: texts.get((d, v)))
    assert (scores.precision, scores.recall) == (0.5, 1.0)
    wrong = citation_scores(both[1:], EVIDENCE, ("25 days",), lambda d, v: texts.get((d, v)))
    assert (wrong.precision, wrong.recall) == (0.0, 0.0)
    none = citation_scores([], EVIDENCE, ("25 days",), lambda d, v: None)
    assert (none.precision, none.recall) == (None, 0.0)


def test_the_cited_version_decides():
    old = TEXT.replace("Staff get 25 days of leave a year.", "Staff get 22 days of leave a year.")
    citation = cite("Staff get 22 days of leave a year.", text=old)
    scores = citation_scores([citation], EVIDENCE, ("25 days",), lambda d, v: old if v == digest(old) else TEXT)
    assert scores.recall == 0.0


def test_quotes_must_stand_word_for_word_at_their_place():
    stored = {("leave.md", digest(TEXT)): TEXT}
    good = cite("New staff get 20 days.")
    moved = cite("New staff get 20 days.", start=0)
    invented = Citation("leave.md", digest(TEXT), 0, 5, "Never")
    unknown = Citation("leave.md", "no such version", good.start, good.end, good.quote)

    def version_text(document, version):
        return stored.get((document, version))

    assert quote_verbatim([good], version_text) == 1.0
    assert quote_verbatim([good, moved, invented, unknown], version_text) == 0.25
    assert quote_verbatim([], version_text) is None


def test_locate_ignores_line_breaks_but_not_words():
    text = "甲は乙に\n対して通知する。"
    span = locate(text, "乙に対して")
    assert text[span.start : span.end] == "乙に\n対して"
    assert locate(text, "乙に対する") is None
    assert locate(text, " \n") is None


def test_sections_are_headings_or_paragraphs():
    start = TEXT.index("New staff")
    section = section_of(TEXT, Span(start, start + 5))
    assert TEXT[section.start : section.end].startswith("### § 1")
    assert TEXT[section.start : section.end].rstrip().endswith("once.")
    plain = "first paragraph\n\nsecond one\n\nthird"
    span = section_of(plain, Span(plain.index("second"), plain.index("second") + 3))
    assert plain[span.start : span.end].strip() == "second one"
