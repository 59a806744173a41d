"""Sentences, tokens and comparison keys in three languages."""

from hypothesis import given
from hypothesis import strategies as st

from groundtune.text.normalise import answer_key, answer_tokens, contains_answer, fold
from groundtune.text.prompts import Shown, label, render
from groundtune.text.scripts import cjk_share, language_of
from groundtune.text.sentences import enclosing_sentence, sentence_spans
from groundtune.text.tokenise import reading_units, search_terms

TEXTS = st.text(alphabet="ab. AZ1,。、「」（）\n！?第3条台北のは$", max_size=80)


@given(TEXTS)
def test_sentence_spans_are_ordered_and_cover_every_visible_character(text):
    spans = sentence_spans(text)
    assert all(a.end <= b.start for a, b in zip(spans, spans[1:], strict=False))
    inside = "".join(text[s.start : s.end] for s in spans)
    assert sorted(c for c in inside if not c.isspace()) == sorted(c for c in text if not c.isspace())


@given(TEXTS)
def test_reading_units_carry_exact_offsets(text):
    units = reading_units(text)
    assert all(text[u.start : u.end] == u.text for u in units)
    assert "".join(u.text for u in units) == "".join(text.split())


def cut(text):
    return [text[s.start : s.end] for s in sentence_spans(text)]


def test_sentences_of_three_languages():
    assert cut("Dr. Ito left at 5 p.m. He paid $3.50.") == ["Dr. Ito left at 5 p.m.", "He paid $3.50."]
    assert cut("特休7天。請於3日前申請！") == ["特休7天。", "請於3日前申請！"]
    assert cut("「はい。」と答えた。次へ進む。") == ["「はい。」と答えた。", "次へ進む。"]
    assert cut("# Title\n- one\n| a | b |") == ["# Title", "- one", "| a | b |"]


def test_enclosing_sentence():
    text = "One is here. Two is there."
    span = enclosing_sentence(text, 13, 16)
    assert text[span.start : span.end] == "Two is there."


def test_search_terms():
    assert search_terms("The policies of 臺北市") == ["polici", "台北", "北市"]
    assert search_terms("１５日") == ["15", "日"]


def test_answer_tokens_and_keys():
    assert answer_tokens("The 15 days!") == ["15", "days"]
    assert answer_key("１５日") == answer_key("15日")
    assert answer_key("臺北市") == answer_key("台北市")
    assert contains_answer("It is fifteen days.", "fifteen days")
    assert not contains_answer("the plant", "ant")
    assert contains_answer("期限は三十日とする。", "三十日")
    assert not contains_answer("anything", "")


def test_language_of():
    assert language_of("Working hours") == "en"
    assert language_of("勤務時間は九時からです。") == "ja"
    assert language_of("上班時間從九點開始，請準時。") == "zh-TW"
    assert language_of("上班时间从九点开始，请准时为们这") == "zh-CN"
    assert cjk_share("ab中文") == 0.5
    assert fold("ＡＢ臺") == "ab台"


def test_render_is_the_form_that_models_are_trained_on():
    shown = [Shown(label("Travel", "§ 3.2 Hotels"), " Up to 120. "), Shown(label("Leave"), "7 days.")]
    assert render("How much? ", shown) == "[1] Travel | § 3.2 Hotels\nUp to 120.\n\n[2] Leave\n7 days.\n\nHow much?"
    assert render("How much?") == "How much?"
