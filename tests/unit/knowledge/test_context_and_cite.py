"""Passages and citations: exact offsets, no quote that does not stand."""

from dataclasses import replace

import pytest

from groundtune.knowledge.chunk import chunk_document
from groundtune.knowledge.cite import cite
from groundtune.knowledge.context import estimate_tokens, select_passages
from groundtune.types import Document, Hit, Reading

TEXT = """# Leave policy

### § 1 Annual leave

Full-time staff receive 27 days of paid annual leave. The leave year runs from 1 April. Part-time staff get a share.

### § 2 Sickness

Ring your supervisor before 08:45. A doctor's note is needed from the eighth day.

### 第3條（罰則）

違反前條規定者，處新臺幣三千元以上一萬五千元以下罰鍰。再犯者加重處罰。
"""
DOCUMENT = Document("leave.md", TEXT, {"title": "Leave policy"})
HITS = [Hit(chunk, 1.0 / (rank + 1)) for rank, chunk in enumerate(chunk_document(DOCUMENT)[:4])]


def lookup(document_id, version):
    return TEXT if (document_id, version) == ("leave.md", DOCUMENT.version) else None


def exact(passages):
    assert all(TEXT[p.start : p.end] == p.text for p in passages)
    return [p.text for p in passages]


def test_best_sentences_with_exact_offsets():
    passages = select_passages("How many days of annual leave do staff receive?", HITS, sentences=1)
    assert exact(passages) == ["Full-time staff receive 27 days of paid annual leave."]
    assert passages[0].label == "Leave policy | § 1 Annual leave"
    assert exact(select_passages("罰鍰金額是多少？", HITS, sentences=1))[0].startswith("違反前條規定者")


def test_neighbours_are_merged_and_the_best_comes_first():
    passages = select_passages("When must I ring my supervisor, and is a doctor's note needed?", HITS, sentences=2)
    assert exact(passages) == ["Ring your supervisor before 08:45. A doctor's note is needed from the eighth day."]
    many = select_passages("annual leave", HITS, sentences=50)
    assert exact(many)[0].startswith("Full-time") and not any(p.text.startswith("#") for p in many)


def test_the_reader_is_heard():
    class Reader:
        name, threshold = "r", 0.5

        def read(self, question, passages, k=5):
            index = next(i for i, text in enumerate(passages) if "08:45" in text)
            start = passages[index].index("08:45")
            return [Reading(index, start, start + 5, 0, start + 6, 5.0, 0.8)]

    passages = select_passages("annual leave days of staff", HITS, reader=Reader(), sentences=1)
    assert exact(passages) == ["Ring your supervisor before 08:45."]


def test_whole_chunks_up_to_a_budget():
    assert exact(select_passages("x", HITS, sentences=0)) == [hit.chunk.text for hit in HITS]
    assert exact(select_passages("x", HITS, sentences=0, tokens=1)) == [HITS[0].chunk.text]
    assert select_passages("x", [], sentences=3) == ()


def test_tokens_are_estimated():
    assert estimate_tokens("abcdefgh") == 2 and estimate_tokens("罰鍰abcd") == 3


PASSAGES = select_passages("annual leave sickness note 罰鍰", HITS, sentences=0)


def quotes(answer, passages=PASSAGES):
    found = cite(answer, passages, lookup)
    for citation in found.citations:
        assert TEXT[citation.start : citation.end] == citation.quote
    return [citation.quote for citation in found.citations], found.dropped


@pytest.mark.parametrize(
    ("answer", "quote"),
    [
        ("27 days", "Full-time staff receive 27 days of paid annual leave."),
        ("the EIGHTH day", "A doctor's note is needed from the eighth day."),
        ("新台幣三千元以上一萬五千元以下", "違反前條規定者，處新臺幣三千元以上一萬五千元以下罰鍰。"),
        ('The policy says "ring your supervisor" first.', "Ring your supervisor before 08:45."),
        ("規定寫「再犯者加重處罰」，所以會更重。", "再犯者加重處罰。"),
        (
            "Full-time staff receive 27 paid days of annual leave.",
            "Full-time staff receive 27 days of paid annual leave.",
        ),
    ],
)
def test_the_sentence_that_holds_the_answer(answer, quote):
    assert quotes(answer) == ([quote], 0)


@pytest.mark.parametrize(
    "answer", ["30 days", "Full-time staff receive 30 days of paid annual leave.", "", "7 day", "一萬元"]
)
def test_nothing_is_cited_for_what_the_passages_do_not_say(answer):
    assert quotes(answer) == ([], 0)


def test_markers_point_to_passages_and_invented_ones_are_counted():
    number = next(i for i, p in enumerate(PASSAGES, 1) if "08:45" in p.text)
    found, dropped = quotes(f"You call your supervisor early [{number}]. Lunch is free [99][0].")
    assert found == ["Ring your supervisor before 08:45."] and dropped == 2
    assert quotes(f"Bananas grow in Ecuador [{number}].") == ([], 1)


def test_a_quote_that_does_not_stand_is_never_shown():
    forged = [replace(p, text=p.text.replace("27", "99")) for p in PASSAGES]
    assert quotes("99 days", forged) == ([], 1)
    moved = [replace(p, start=p.start + 1, end=p.end + 1) for p in PASSAGES]
    assert quotes("27 days", moved) == ([], 1)
    assert cite("27 days", PASSAGES, lambda document_id, version: None).citations == ()
