"""Chunks: exact offsets, headings, whole tables and code."""

from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.knowledge.chunk import chunk_document
from groundtune.types import Document, digest

LINES = st.sampled_from(
    [
        "# Title", "## Part", "### Article 1", "", "", "A sentence. Another one follows here.", "第一條規定。第二句話。",
        "| a | b |", "|---|---|", "| 1 | 2 |", "```", "code = 1", "- item", "x" * 90, "年次有給休暇は「12日。」とする。",
        "  indented", "\f", "\u3000全形", "~~~", "#no heading",
    ]
)  # fmt: skip
MARKDOWN = st.lists(LINES, max_size=40).map("\n".join)


def check(text, size):
    document = Document("d", text, {"title": "T"})
    chunks = chunk_document(document, size)
    end = 0
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end] != ""
        assert chunk.digest == digest(chunk.text) and chunk.version == document.version and chunk.title == "T"
        assert not text[end : chunk.start].strip(), "text between chunks is lost"
        assert chunk.start >= end
        end = chunk.end
    assert not text[end:].strip()
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    return chunks


@settings(max_examples=150, deadline=None)
@given(MARKDOWN, st.integers(40, 300))
def test_chunks_are_exact_ordered_and_complete(text, size):
    for chunk in check(text, size):
        assert len(chunk.text) <= max(40, size) * 1.5 or "\n" in chunk.text


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400), st.integers(40, 120))
def test_any_text_at_all(text, size):
    check(text, size)


def test_one_chunk_per_section_with_the_nearest_heading():
    text = "# Law\n\nEdition 2026\n\n## Chapter I\n\n### Article 1\n\nFirst.\n\n### Article 2\n\nSecond.\n"
    chunks = check(text, 1200)
    assert [chunk.heading for chunk in chunks] == ["Law", "Article 1", "Article 2"]
    assert chunks[1].text == "## Chapter I\n\n### Article 1\n\nFirst."


def test_a_table_and_code_stay_whole_when_they_fit():
    prose = "Words that fill a paragraph. " * 12
    table = "| Item | Price |\n|---|---|\n" + "| Bolt | 3 |\n" * 20
    code = "```\n# not a heading\n" + "x = 1\n\n" * 20 + "```\n"
    text = f"### Prices\n\n{prose}\n\n{table}\n{prose}\n\n{code}\n{prose}\n"
    chunks = check(text, 400)
    assert sum(table.strip() in chunk.text for chunk in chunks) == 1
    assert sum(code.strip() in chunk.text for chunk in chunks) == 1
    assert {chunk.heading for chunk in chunks} == {"Prices"}


def test_long_text_is_cut_at_sentences_and_evenly():
    text = " ".join(f"Sentence number {n} is here." for n in range(200))
    chunks = check(text, 1000)
    assert all(chunk.text.endswith(".") for chunk in chunks)
    assert min(len(chunk.text) for chunk in chunks) > 500


def test_cjk_chunks_are_smaller():
    text = "員工每年有十二天特別休假。" * 200
    assert max(len(chunk.text) for chunk in check(text, 1200)) <= 750


def test_ids_survive_text_that_is_put_before():
    body = "### A\n\nsame words\n\n### B\n\nother words\n"
    first = check(body, 1200)
    second = check("### New\n\nnew words\n\n" + body, 1200)
    assert [chunk.id for chunk in second[1:]] == [chunk.id for chunk in first]


def test_equal_sections_have_different_ids():
    chunks = check("### A\n\nsame\n\n### A\n\nsame\n", 1200)
    assert len(chunks) == 2 and chunks[0].digest == chunks[1].digest and chunks[0].id != chunks[1].id


def test_pages_are_counted_by_form_feeds():
    text = "\n\f\n".join(f"Page {n}. " + "Words fill the page. " * 30 for n in range(1, 4))
    pages = [chunk.page for chunk in check(text, 500)]
    assert pages[0] == 1 and pages[-1] == 3
    assert check("no pages", 500)[0].page is None
