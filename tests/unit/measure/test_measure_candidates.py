"""Candidate questions: grounded word for word, in the document's language, unanswerable ones really unanswered."""

import json

import pytest

from groundtune.errors import DataError
from groundtune.measure.candidate_file import decided, keep, load_candidates, store_candidates, with_new
from groundtune.measure.candidates import EVERY, make_candidates
from groundtune.models.fake import FakeModel
from groundtune.tuning.data import load_questions
from groundtune.types import Document

TEXTS = {
    "en": ("# Canteen\n\nThe kitchen was renovated on 4 March 2021 by the landlord.\nThe canteen in hall three opens at 07:45 on working days.\n"
           "Guests pay 11 pounds for the set menu at noon.\n",
           "# Cycling\n\nBicycles are lent for 14 days to every member of staff.\nHelmets are kept by Mira Oldfield in the lodge.\n"),
    "zh-TW": ("# 餐廳規定\n\n廚房於2021年3月4日由房東完成整修工程。\n員工餐廳於上班日早上7時起供應早餐給全體同仁。\n訪客用餐每份收費二百元並須事先登記。\n",
              "# 單車借用\n\n每位同仁每次借用公司單車以14天為上限。\n安全帽由管理室保管並登記於「單車簿」之中。\n"),
    "ja": ("# 食堂の利用\n\n厨房は2021年3月4日に改装工事が終わりました。\n社員食堂は平日の朝は7時から利用することができます。\n来客の昼食は一食につき800円をいただいております。\n",
           "# 自転車の貸出\n\n自転車は社員一人につき14日まで借りることができます。\nヘルメットは「自転車台帳」に記入してから使ってください。\n"),
}  # fmt: skip


def documents(lang):
    canteen, cycling = TEXTS[lang]
    return Document("canteen.md", canteen, {"title": "A"}), Document("cycling.md", cycling, {"title": "B"})


@pytest.mark.parametrize(("lang", "word"), [("en", "blank"), ("zh-TW", "空格"), ("ja", "空欄")])
def test_each_language_gets_grounded_questions(lang, word):
    made = make_candidates(documents(lang), 20)
    texts = {document.id: document.text for document in documents(lang)}
    assert {"date", "number"} <= {c.kind for c in made} and len(made) >= 5
    for candidate in (c for c in made if c.answerable):
        assert candidate.quote in texts[candidate.document] and candidate.quote.count(candidate.answer) == 1
        assert word in candidate.question and candidate.answer not in candidate.question
    (unanswerable,) = [c for c in made if not c.answerable]
    assert made.index(unanswerable) == EVERY - 1
    asked = unanswerable.question.partition("____")
    assert asked[1] and asked[2].strip("”」 。") not in texts[unanswerable.document]


def test_a_count_is_kept_and_documents_take_turns():
    made = make_candidates(documents("en"), 2)
    assert [c.document for c in made] == ["canteen.md", "cycling.md"]
    assert make_candidates((), 5) == ()


def test_a_model_words_them_and_what_it_invents_is_left_out():
    def answer(messages):
        said = messages[-1].content
        if "pounds" in said:
            return json.dumps({"question": "What is the price of the set menu?", "answer": "11 pounds"})
        return json.dumps({"question": "Who built it?", "answer": "a giant"})

    (made,) = make_candidates(documents("en"), 20, model=FakeModel("t", answer))
    assert (made.question, made.answer) == ("What is the price of the set menu?", "11 pounds")


def test_decisions_survive_and_kept_ones_are_questions(tmp_path):
    path, questions = tmp_path / "questions.candidates.jsonl", tmp_path / "questions.jsonl"
    questions.write_text('{"question": "Old?", "answers": ["x"]}', encoding="utf-8")  # no newline at the end
    entries = with_new((), make_candidates(documents("en"), 20))
    assert with_new(entries, make_candidates(documents("en"), 20)) == entries
    for at in (0, 4):
        keep(questions, entries[at].candidate)
        keep(questions, entries[at].candidate)  # once more after a crash
    entries = decided(decided(entries, 0, "kept"), 1, "dropped")
    store_candidates(path, entries)
    assert load_candidates(path) == entries
    old, first, last = load_questions(questions)
    assert (old.text, first.answers, first.evidence.quote) == ("Old?", (entries[0].candidate.answer,), entries[0].candidate.quote)  # fmt: skip
    assert not last.answerable and not last.answers
    path.write_text('{"question": 1', encoding="utf-8")
    with pytest.raises(DataError, match="Line 1"):
        load_candidates(path)
