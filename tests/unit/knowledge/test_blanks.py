"""A question with a blank is answered by what stands between the same words in a passage, word for word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.blanks import blanks_of, fill, has_blank
from groundtune.knowledge.reading import read_hits
from groundtune.types import Chunk, Document, Hit, digest


class NoReader:
    """Must not be asked."""

    name, threshold = "none", 0.5

    def read(self, question, passages, k=5):
        raise AssertionError("the reader was asked")


class Guesser:
    name, threshold = "guess", 0.5

    def read(self, question, passages, k=5):
        return []


def hit(text, title="", heading="", name="d"):
    chunk = Chunk(f"{name}#0", name, digest(text), text, 0, len(text), digest(text), title, heading)
    return Hit(chunk, 1.0)


def filled(question, *hits):
    found = fill(question, hits)
    text = hits[found[0].index].chunk.text
    return text[found[0].start : found[0].end], text[found[0].sentence_start : found[0].sentence_end]


CASES = [
    (
        'Which amount completes "... a handling fee of ____ for every parcel that ..."?',
        "First rule. Members pay a handling fee of NT$1,250 for every parcel that they send. Last rule.",
        "NT$1,250",
    ),
    ('It is "referred to as the \'____\') which pays the fee".', "It is (referred to as the “PQR”) which pays the fee.", "PQR"),
    (
        "「會員寄送包裹，應於＿＿＿內繳納手續費。」空格處應填入的期間是多少？",
        "前條不適用。會員寄送包裹，應於 三十日 內繳納手續費。逾期者加倍。",
        "三十日",
    ),
    (
        "規程に「会員は、荷物を送つた日から〔　　〕に手数料を納める」とありますが、〔　　〕に入る期間は何ですか。",
        "会員は、荷物を送つた日から二週間以内に手数料を納める。ただし、夏季は別に定める。",
        "二週間以内",
    ),
    (
        "「同条中「百円」とあるのは「〔　　〕」と読み替える」とありますが、空欄は何ですか。",
        "この場合において、同条中「百円」とあるのは「九十円」と読み替える。",
        "九十円",
    ),
    ("手續費為【　】，不得減免。請填空。", "一般會員之手續費為八十元，不得減免。", "八十元"),
    ('Fill in: "This rule takes effect on ____"', "Scope. This rule takes effect on 3 May 2031. It ends in June.", "3 May 2031"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "text", "answer"), CASES)
def test_what_stands_between_the_same_words_is_the_answer(question, text, answer):
    assert has_blank(question)
    span, sentence = filled(question, hit("Something else entirely. 別の話です。"), hit(text))
    assert span == answer
    assert span in sentence and sentence in text


@pytest.mark.parametrize(
    "question",
    [
        "What is the fee?",
        "手續費（每月）是多少？",
        "a snake_case name?",
        "f() と g[] は何ですか",
        "wait ... what?",
        "「手数料」は？",
    ],
)
def test_other_questions_have_no_blank(question):
    assert not has_blank(question) and fill(question, [hit("The fee is 5.")]) == []


@pytest.mark.parametrize(
    "text",
    [
        "Parcels are weighed at the counter.",
        "A handling fee is due.",
        "For every parcel a handling fee of",
        "a handling fee offor every parcel that",
    ],
)
def test_a_passage_that_says_something_else_fills_nothing(text):
    assert fill('"... a handling fee of ____ for every parcel that ..."?', [hit(text)]) == []


def test_of_equal_words_the_document_and_the_section_that_the_question_names_count():
    text = "Whoever is late pays a fine of {} to the office."
    hits = [
        hit(text.format("10"), "Harbour Rules", "Article 5", "a"),
        hit(text.format("20"), "Market Rules", "Article 51", "b"),
        hit(text.format("30"), "Market Rules", "Fines > Article 5 (Delay)", "c"),
    ]
    question = 'Article 5 of the Market Rules says: "pays a fine of ____ to the office". Which amount?'
    assert [hits[r.index].chunk.document_id for r in fill(question, hits)][0] == "c"
    assert filled(question, *hits)[0] == "30"
    assert filled('"pays a fine of ____ to the office"?', *hits)[0] == "10", "else the rank decides"


def test_more_words_that_agree_are_surer():
    few = fill('"a fee of ____ is due"?', [hit("Now a fee of 5 is due.")])
    many = fill('"every member of the club pays a fee of ____ is due in the first week of May"?', [
        hit("So every member of the club pays a fee of 5 is due in the first week of May.")
    ])  # fmt: skip
    assert few[0].probability < many[0].probability <= 0.99


def test_the_reader_is_not_asked_when_the_words_agree_and_is_when_they_do_not():
    question = "「會員寄送包裹，應於＿＿＿內繳納手續費。」空格處？"
    assert read_hits(question, [hit("會員寄送包裹，應於三十日內繳納手續費。")], NoReader())
    with pytest.raises(AssertionError, match="was asked"):
        read_hits(question, [hit("別的規定。")], NoReader())
    assert read_hits(question, [], Guesser()) == []


def test_the_words_between_other_blanks_are_its_context():
    blanks = blanks_of('"from ____ to ____ only"')
    assert [(blank.before, blank.behind) for blank in blanks] == [("from", "to"), ("to", "only")]


def test_an_answer_follows_an_update_and_the_past_can_be_asked(tmp_path):
    question = "「會員寄送包裹，應於＿＿＿內繳納手續費。」空格處應填入的期間是多少？"
    with KnowledgeBase.open(tmp_path) as kb:
        kb.add([Document("rules", "會員寄送包裹，應於三十日內繳納手續費。")])
        kb.add([Document("rules", "會員寄送包裹，應於六十日內繳納手續費。")])
        answer = kb.ask(question, reader=NoReader())
        assert answer.span == "六十日" and answer.citations[0].quote == answer.text and not answer.stale


@given(st.text(alphabet='ab_＿「」〔〕 　."…第1', max_size=40), st.text(alphabet='ab「」第1 。."', max_size=40))
def test_a_span_is_never_empty_and_lies_in_its_sentence(question, text):
    for reading in fill(question, [hit(text)]):
        assert 0 <= reading.sentence_start <= reading.start < reading.end <= reading.sentence_end <= len(text)
        assert 0 <= reading.probability <= 1
