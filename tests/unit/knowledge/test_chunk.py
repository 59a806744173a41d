"""Chunks: exact offsets, headings, whole tables and code."""

import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.knowledge.chunk import chunk_document
from groundtune.text.prompts import label
from groundtune.types import Document, digest

LINES = st.sampled_from(
    [
        "# Title", "## Part", "### Article 1", "", "", "A sentence. Another one follows here.", "第一條規定。第二句話。",
        "| a | b |", "|---|---|", "| 1 | 2 |", "```", "code = 1", "- item", "x" * 90, "年次有給休暇は「12日。」とする。",
        "  indented", "\f", "\u3000全形", "~~~", "#no heading", "第三條　本法所稱員工，指受僱者。", "第一章 總則", "1.2.3 Scope",
        "Article 7 The fee is due.", "Under", "=====", "-----", "1. first", "(1) 甲", "か\u3099き\u3099" * 30, "👩‍👩‍👧" * 25,
        "line\r", "## " + "long heading " * 12, "一" * 700, "---", "title: x",
    ]
)  # fmt: skip
MARKDOWN = st.lists(LINES, max_size=40).map("\n".join)
STYLES = st.sampled_from(["", "code", "slides"])

FRONT_MATTER = re.compile(r"---\n(?:.*?\n)??(?:---|\.\.\.)[ \t]*\r?(?:\n|\Z)", re.DOTALL)


def check(text, size, style="", title="T"):
    document = Document("d", text, {"title": title, "format": style} if style else {"title": title})
    chunks = chunk_document(document, size)
    front = FRONT_MATTER.match(text) if style != "code" else None
    end = front.end() if front and text[front.end() :].strip() else 0
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end] != ""
        assert chunk.digest == digest(chunk.text) and chunk.version == document.version and chunk.title == title
        assert not text[end : chunk.start].strip(), "text between chunks is lost"
        assert chunk.start >= end
        assert len(chunk.text) <= max(40, size) * 1.5
        end = chunk.end
    assert not text[end:].strip()
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    return chunks


@settings(max_examples=100, deadline=None)
@given(MARKDOWN, st.integers(40, 300), STYLES)
def test_chunks_are_exact_ordered_and_complete(text, size, style):
    for chunk in check(text, size, style):
        assert not inside(text, chunk.start) and not inside(text, chunk.end)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400), st.integers(40, 120), STYLES)
def test_any_text_at_all(text, size, style):
    check(text, size, style)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(["e\u0301", "か\u3099", "👍🏽", "👩‍🚀", "葛\U000e0100", "\r\n", " ", "a", "字"]), max_size=300
    ).map("".join)
)
def test_no_character_is_divided(text):
    for chunk in check(text, 40):
        assert not inside(text, chunk.start) and not inside(text, chunk.end)


def inside(text, place):
    """A cut here would divide a character (white space around a chunk may be trimmed before its mark)."""
    if not 0 < place < len(text) or text[place - 1].isspace():
        return False
    before, after = text[place - 1], text[place]
    return unicodedata.category(after)[0] == "M" or "\u200d" in (before, after) or "\U0001f3fb" <= after <= "\U0001f3ff"


def headings(text, **options):
    return [chunk.heading for chunk in check(text, 1200, **options)]


def test_one_chunk_per_section_with_the_path_of_headings():
    text = "# Law\n\nEdition 2026\n\n## Chapter I\n\n### Article 1\n\nFirst.\n\n### Article 2\n\nSecond.\n\n## Chapter II\n\nx\n"
    chunks = check(text, 1200, title="Law")
    assert [chunk.heading for chunk in chunks] == [
        "Law",
        "Chapter I > Article 1",
        "Chapter I > Article 2",
        "Chapter II",
    ]
    assert chunks[1].text == "## Chapter I\n\n### Article 1\n\nFirst."
    assert headings(text)[1] == "Law > Chapter I > Article 1"
    assert headings("## A > B\n\n### **C** `d`\n\nx") == ["A › B > C d"]
    assert label("Law", "Chapter I > Article 1") == "Law | Article 1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("第一章　總則\n第一條　本法適用於溫室。\n第二條　鑰匙由園長保管。\n", ["第一章 總則 > 第一條", "第一章 總則 > 第二條"]),
        ("第1条（目的）　この規程は、休暇を定める。\n第2条の3　休暇は年12日とする。\n", ["第1条（目的）", "第2条の3"]),
        ("第 5 條\n　雇主應給假。\n第 6 條之 1\n　不得扣薪。\n", ["第 5 條", "第 6 條之 1"]),
        ("Chapter I Scope\nArticle 1. Staff get leave.\nArticle 2. Fees are due.\n", ["Chapter I Scope > Article 1", "Chapter I Scope > Article 2"]),
        ("1.1 Purpose\nWe garden.\n1.2 Scope\nAll beds.\n1.2.1 Limits\nNo trees.\n", ["1.1 Purpose", "1.2 Scope", "1.2 Scope > 1.2.1 Limits"]),
        ("Rules\n=====\n\nBe kind.\n\nTools\n-----\n\nClean them.\n", ["Rules", "Rules > Tools"]),
        ("依第三條規定之罰鍰，應於十日內繳納。\n第三條規定不適用。\n", [""]),
        ("Section 5 applies to gardens.\n1. Buy milk\n2. Buy bread\n3.5 percent is paid.\n", [""]),
        ("# Real heading\n\n第三條　這裡已有標題。\n\n1.2 Not a heading\n", ["Real heading"]),
        ("---\ntitle: x\ndate: y\n---\nText after settings.\n", [""]),
        ("```\n# comment\n第一條\n```\nText.\n", [""]),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n", [""]),
    ],
)  # fmt: skip
def test_headings_of_every_kind(text, found):
    assert headings(text) == found


def test_source_code_is_cut_at_definitions():
    text = "# license\nimport os\n\n\n# opens it\n@cached\ndef open_valve(n):\n    # not a heading\n    return n\n\n\nclass Tank:\n    def size(self):\n        return 1\n"
    chunks = check(text, 1200, style="code")
    assert [chunk.heading for chunk in chunks] == ["", "def open_valve", "class Tank"]
    assert chunks[1].text.startswith("# opens it\n@cached\ndef open_valve")
    assert headings("export async function f() {\n}\npub fn g() {}\nCREATE TABLE t (x);\n", style="code") == [
        "export async function f", "pub fn g", "CREATE TABLE t",
    ]  # fmt: skip


def test_slides_are_not_mixed():
    chunks = check("## One\n\nfirst\n\f\nsecond without a title\n\f\n## Three\n\nthird\n", 1200, style="slides")
    assert [(chunk.page, chunk.heading) for chunk in chunks] == [(1, "One"), (2, ""), (3, "Three")]


def test_items_of_a_long_list_stay_whole():
    text = "".join(f"- Item {n} has two sentences. Here is the second one.\n" for n in range(60))
    assert all(chunk.text.startswith("- Item") and chunk.text.endswith("one.") for chunk in check(text, 300))


def test_rows_of_a_long_table_stay_whole():
    text = "".join(f"| Name: Bolt. No. {n} | Price: {n} |\n" for n in range(99))
    assert all(chunk.text.startswith("| Name") and chunk.text.endswith("|") for chunk in check(text, 200))


def test_later_parts_of_a_markdown_table_name_its_columns():
    table = "| Item | Price |\n|:--|--:|\n" + "".join(f"| Bolt {n} | {n} |\n" for n in range(60))
    first, *more = check(f"## Prices\n\n{table}", 300)
    assert first.heading == "Prices" and first.text.startswith("## Prices\n\n| Item")
    assert more and {chunk.heading for chunk in more} == {"Prices (Item | Price)"}
    assert check(table, 300)[1].heading == "Item | Price"
    plain = "".join(f"| Name: Bolt {n} | Price: {n} |\n" for n in range(60))
    assert {chunk.heading for chunk in check(plain, 300)} == {""}


def test_cjk_text_is_cut_at_sentence_ends():
    text = "".join(f"第{n}批貨品已於今日入庫，請倉管人員核對。" for n in range(200))
    chunks = check(text, 300)
    assert len(chunks) > 10 and all(chunk.text.endswith("。") for chunk in chunks)


def test_time_grows_with_the_text_and_not_faster():
    """Each of these once took quadratic time."""

    def seconds(count):
        texts = [
            "\n\n".join(["Short words here."] * count),
            "\f".join(["page words"] * count),
            "第一條　甲乙丙。\n" * count,
        ]
        started = time.process_time()
        for text in texts:
            chunk_document(Document("d", text, {"title": "T"}))
        return time.process_time() - started

    small, large = min(seconds(500) for _ in range(3)), seconds(8000)
    assert large < 16 * 4 * max(small, 0.002)


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
