import time
from dataclasses import asdict

import pytest
from letters import Letters

from groundtune.tuning.near import near_across, near_pairs
from groundtune.tuning.numbers import counted, values
from groundtune.tuning.survey import survey
from groundtune.types import Example, Message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("請問到職滿一年的員工，今年可以請幾天特別休假？", "請問到職滿一年的員工今年可以請幾天特別休假呢"),
        ("入社して一年の社員は、今年は有給休暇を何日取れますか。", "入社して一年の社員は今年は有給休暇を何日とれますか"),
        ("How many days of annual leave does an employee get after one year?",
         "how many days of annual leave does an employee get after one year"),
    ],
)  # fmt: skip
def test_near_duplicates_in_three_languages(one, other):
    texts = [one, "完全不同的一句話", "Something else entirely", other]
    (pair,) = near_pairs(texts)
    assert (pair.first, pair.second) == (0, 3) and pair.similarity >= 0.8


def test_a_shared_instruction_does_not_make_duplicates():
    head = "Return the intent and the slots of this request as JSON and nothing else. Request: "
    words = "jazz radio table Rome weather Oslo film Alien taxi hotel pizza train violin garden".split()
    texts = [f"{head}{a} {b}" for a, b in zip(words, reversed(words), strict=True)][:7]
    texts += [
        f"{head}{' '.join(pair)}" for pair in (("blue", "sofa"), ("quick", "lunch"), ("old", "bridge"), ("red", "bus"))
    ]
    assert near_pairs(texts) == []
    assert [(p.first, p.second) for p in near_pairs([*texts, texts[3] + "!"])] == [(3, len(texts))]


def test_across_two_sets():
    train = ["Where do I send the broken kettle?", "Opening hours on Sunday"]
    held = ["opening hours on sunday?", "Where do I send my old lamp?"]
    (pair,) = near_across(train, held, 0.7)
    assert (pair.first, pair.second) == (0, 1)
    assert near_across([], held) == [] and near_pairs([]) == [] and near_pairs(["", ""]) != []


def test_thousands_of_texts_take_seconds():
    texts = [
        f"order {i} of {i * 7919 % 1009} pieces of {'abcdefghij'[i % 10] * 4} for the {i * 31 % 97} branch"
        for i in range(3000)
    ]
    began = time.process_time()
    found = near_pairs([*texts, texts[5]])
    assert time.process_time() - began < 10
    assert any((pair.first, pair.second, pair.similarity) == (5, 3000, 1.0) for pair in found)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("新臺幣三萬元", {"30000"}), ("30,000 dollars", {"30000"}), ("thirty thousand", {"30000"}), ("3萬", {"30000"}),
        ("三分之二", {"2/3"}), ("two-thirds", {"2/3"}), ("百分之五", {"5"}), ("二〇二六年", {"2026"}), ("1.50", {"1.5"}),
        ("一億二千万円", {"120000000"}), ("fifteen (15) copies", {"15"}), ("one hundred and twenty", {"120"}),
        ("３日", {"3"}), ("no number", set()),
    ],
)  # fmt: skip
def test_values(text, wanted):
    assert values(text) == wanted


def test_numbers_with_what_they_count():
    assert counted("within thirty days") == {"30", "30 day"}
    assert counted("三十日以内") == {"30", "30 日"}
    assert counted("六箇月") == {"6", "6 月"}
    assert counted("5 percent and 百分之五 and 5%") == {"5", "5 %"}


def rows(count):
    made = []
    for i in range(count):
        turns = (Message("system", "s"), Message("user", f"question {i}"), Message("assistant", "ab" * (i + 1)))
        made.append(Example(turns, id=f"e{i}", metadata={"document": f"d{i % 3}"}))
    return made


def test_survey_counts_by_hand():
    examples = [*rows(4), rows(1)[0]]
    examples.append(Example((Message("user", "mail a@example.org"), Message("assistant", '{"n": 1}')), id="j"))
    examples.append(Example((Message("user", "幾天？"), Message("assistant", "三十天的特別休假")), id="z"))
    found = survey(examples, Letters())
    assert (found.examples, found.turns, found.documents, found.systems) == (7, {3: 5, 2: 2}, 3, 1)
    assert found.forms == {"text": 6, "json_object": 1} and found.languages["zh-TW"] == 1
    assert found.duplicates == 1 and found.same_answer == 2 and found.private == {"email": 1}
    assert found.exact and (found.answers.p50, found.answers.longest) == (6, 8)
    # <system>s<user>question 3<assistant>abababab<end>
    assert found.tokens.longest == max(1 + 1 + 1 + 10 + 1 + 8 + 1, 1 + 18 + 1 + 8 + 1)
    rough = survey(examples)
    assert not rough.exact and rough.answers.longest == 8
    assert asdict(survey([])) == asdict(survey([], Letters())) | {"exact": False}
