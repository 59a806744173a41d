"""Answer scorers against the official definitions (SQuAD v2, MLQA, JSQuAD) and the cases that those get wrong."""

import collections
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.measure.numerals import forms, number
from groundtune.measure.scorers import (
    AnswerInOutput,
    ExactMatch,
    TokenF1,
    answer_in_output,
    contains,
    exact_match,
    token_f1,
    tokens,
)
from groundtune.ports import Scorer
from groundtune.types import Answer, Question


def squad_normalise(text):
    """evaluate-v2.0.py: lower, drop punctuation, drop articles, collapse white space."""
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def squad_f1(gold, prediction):
    gold_tokens, prediction_tokens = squad_normalise(gold).split(), squad_normalise(prediction).split()
    same = sum((collections.Counter(gold_tokens) & collections.Counter(prediction_tokens)).values())
    if not gold_tokens or not prediction_tokens:
        return float(gold_tokens == prediction_tokens)
    return 2.0 * same / (len(gold_tokens) + len(prediction_tokens)) if same else 0.0


SQUAD = [
    ("The Norman conquest", "norman conquest."),
    ("10th and 11th centuries", "in the 10th and 11th centuries"),
    ("Denmark, Iceland and Norway", "Denmark"),
    ("France", "Germany"),
    ("a king", "the king of an island"),
    ("1,200 soldiers", "1200 soldiers"),
    ("yes", ""),
    ("three days per year", "three days each year"),
]


@pytest.mark.parametrize(("gold", "prediction"), SQUAD)
def test_english_agrees_with_the_official_squad_scorer(gold, prediction):
    assert token_f1(prediction, [gold]) == pytest.approx(squad_f1(gold, prediction))
    if squad_normalise(gold) or squad_normalise(prediction):
        assert exact_match(prediction, [gold]) == float(squad_normalise(gold) == squad_normalise(prediction))


WORDS = st.lists(st.sampled_from(["cat", "dog", "tree", "house", "42", "red"]), min_size=1, max_size=6).map(" ".join)


@given(WORDS, WORDS)
def test_word_f1_is_squad_f1_for_any_words(gold, prediction):
    assert token_f1(prediction, [gold]) == pytest.approx(squad_f1(gold, prediction))


@pytest.mark.parametrize(
    ("prediction", "gold", "f1", "em"),
    [
        ("シリア北部", "シリアの北部", 10 / 11, 0.0),  # JSQuAD: character multiset
        ("１５日", "15日", 1.0, 1.0),
        ("台北市", "臺北市", 1.0, 1.0),
        ("第48條", "第四十八條", 1.0, 1.0),
        ("「東京都」。", "東京都", 1.0, 1.0),
        ("新臺幣三十萬元", "新台幣30萬元", 1.0, 1.0),
        ("五万円", "50,000円", 1.0, 1.0),
        ("二〇二六年", "2026年", 1.0, 1.0),
        ("ｷﾛｸﾞﾗﾑ", "キログラム", 1.0, 1.0),
        ("甲乙丙", "丙乙甲", 1.0, 0.0),  # the same multiset is not the same answer
        ("東京", "大阪", 0.0, 0.0),
    ],
)
def test_cjk_pairs(prediction, gold, f1, em):
    assert token_f1(prediction, [gold]) == pytest.approx(f1)
    assert exact_match(prediction, [gold]) == em


def test_cmrc_longest_common_substring_differs_from_the_multiset():
    # CMRC 2018 scores the longest common run: リ.. of シリア北部 / シリアの北部 is シリア (3 of 5 and 3 of 6): 0.545.
    assert 2 * (3 / 5) * (3 / 6) / (3 / 5 + 3 / 6) == pytest.approx(0.545, abs=1e-3)
    assert token_f1("シリア北部", ["シリアの北部"]) > 0.9


@pytest.mark.parametrize(
    ("text", "answer", "found"),
    [
        ("申請は30日以内に行う。", "30日", True),
        ("申請は三十日以內。", "30日", True),
        ("上限は5万円です", "50,000円", True),
        ("It costs 1,200 dollars.", "200", False),
        ("It costs 1,200 dollars.", "1200", True),
        ("after 3.5 days", "5 days", False),
        ("after 3.5 days", "3.5 days", True),
        ("at -5 degrees", "-5", True),
        ("at 5 degrees", "-5", False),
        ("between 10-15 people", "15 people", True),
        ("the catalogue", "cat", False),
        ("千葉県", "1000", False),
        ("anything", "", False),
        ("A館の受付", "館", True),
    ],
)
def test_answer_in_output(text, answer, found):
    assert contains(text, answer) is found
    assert answer_in_output(text, ["nowhere", answer]) == float(found)


def test_the_best_of_several_golds_counts():
    assert token_f1("eight weeks", ["two months", "eight weeks", "8"]) == 1.0
    assert exact_match("8", ["two months", "8"]) == 1.0
    assert token_f1("8", []) == exact_match("8", []) == 0.0


@given(st.text(max_size=30), st.text(max_size=30))
def test_scores_stay_in_range_and_f1_is_symmetric(a, b):
    value = token_f1(a, [b])
    assert 0.0 <= value <= 1.0
    assert value == pytest.approx(token_f1(b, [a]))
    assert exact_match(a, [a]) == 1.0
    assert exact_match(a, [b]) <= value


@given(st.integers(min_value=1, max_value=99_999_999))
def test_cjk_numerals_are_read_as_their_number(value):
    assert number(_kanji(value)) == value


def _kanji(value):
    digits = "〇一二三四五六七八九"

    def small(n):
        text = ""
        for unit, sign in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
            d, n = divmod(n, unit)
            if d:
                text += (digits[d] if d > 1 or unit == 1 else "") + sign
        return text

    high, low = divmod(value, 10000)
    return (small(high) + "万" if high else "") + small(low)


def test_words_with_numeral_characters_stay_words():
    for word in ("千葉県", "一般職員", "三重県", "四半期", "統一発票"):
        assert forms(word) == (word, word)


def test_scorer_classes_fill_the_port_and_know_when_they_do_not_apply():
    question = Question("How long?", ("5 days",))
    refusal = Question("Who?", (), answerable=False)
    for scorer, value in ((ExactMatch(), 0.0), (TokenF1(), 2 * 2 / 5), (AnswerInOutput(), 1.0)):
        port: Scorer = scorer
        assert port.score(question, Answer("It's 5 days")).value == pytest.approx(value, abs=0.2)
        assert port.score(question, Answer("5 days", abstained=True)).value == 0.0
        assert port.score(refusal, Answer("Bob")).value is None
    assert ExactMatch().score(question, Answer("It takes 5 days.", span="5 days")).value == 1.0


def test_texts_without_tokens_are_compared_as_they_stand():
    assert exact_match("±", ["±"]) == token_f1("%", [" % "]) == 1.0
    assert exact_match("the", ["a"]) == token_f1("+", ["%"]) == 0.0  # SQuAD calls the first pair equal


def test_tokens_cut_cjk_characters_next_to_digits():
    assert tokens("30日以内 ABC社") == ["30", "日", "以", "内", "abc", "社"]
