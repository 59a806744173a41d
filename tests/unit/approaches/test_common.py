import pytest

from groundtune.approaches.common import (
    abstains,
    answer_tokens,
    extract_answer,
    is_refusal,
    prepared,
    question_of,
    system_prompt,
    unanswerable,
)
from groundtune.approaches.fewshot import choose_shots, nearest_shots
from groundtune.approaches.setting import Setting
from groundtune.config import CompareSection, Config, FormatSection, ProjectSection
from groundtune.text.tokenise import search_terms
from groundtune.types import Example, Message


@pytest.mark.parametrize(
    ("text", "value", "found", "strict"),
    [
        ('{"answer": "27 days"}', "27 days", True, True),
        (' {"answer": null}\n', None, True, True),
        ('{"answer": 27}', "27", True, True),
        ('Sure:\n```json\n{"answer": "a {b}"}\n```', "a {b}", True, False),
        ('{"other": 1} {"answer": "b"}', "b", True, False),
        ('{"answer": "cut off \\"he', 'cut off "he', True, False),
        ("no json", None, False, False),
        ('{"reply": "x"}', None, False, False),
        ("", None, False, False),
    ],
)
def test_answer_field(text, value, found, strict):
    answer = extract_answer(text, "answer")
    assert (answer.value, answer.found, answer.strict) == (value, found, strict)


def test_nested_field_and_no_field():
    assert extract_answer('{"a": {"b": "c"}}', "a.b").value == "c"
    assert extract_answer(" text ", "").value == "text"


@pytest.mark.parametrize(
    "text",
    [
        "I don't know.", "The documents do not say.", "This is not mentioned in the passages.", "No information available.",
        "文件中沒有提到。", "無法回答這個問題", "不知道。", "わかりません。", "記載がありません", "その情報は見つかりません。",
    ],
)  # fmt: skip
def test_refusals(text):
    assert is_refusal(text) and abstains(text, "") and abstains(text, "answer")


@pytest.mark.parametrize(
    "text", ["27 days", "不得超過三日", "三万円です", "The fee is 5 pounds", "Do not enter bay 5."]
)
def test_answers_are_no_refusals(text):
    assert not is_refusal(text) and not abstains(text, "")


def test_abstaining_in_the_house_format():
    assert abstains('{"answer": null}', "answer") and abstains('{"answer": "not stated"}', "answer")
    assert abstains("", "answer") and not abstains('{"answer": "27", "note": "not stated"}', "answer")


def chat(text, target, system=""):
    turns = (Message("system", system),) if system else ()
    return Example((*turns, Message("user", text), Message("assistant", target)), id=text)


def test_system_prompt_comes_from_settings_then_examples_then_language():
    examples = [chat("a", "b", "shared"), chat("c", "d", "shared"), chat("e", "f", "odd")]
    assert system_prompt(Config(format=FormatSection(instruction="mine")), examples) == "mine"
    assert system_prompt(Config(), examples) == "shared"
    assert "passages" in system_prompt(Config(), [chat("a", "b")])
    assert "知識" in system_prompt(Config(project=ProjectSection(language="zh-TW"))) or "段落" in system_prompt(
        Config(project=ProjectSection(language="zh-TW"))
    )


def test_question_of_an_example():
    question = question_of(chat("a?", "b", "s"))
    assert (question.text, question.answers, question.id) == ("a?", ("b",), "a?")


def test_shots_are_diverse_seeded_and_hold_one_refusal():
    pool = [chat(f"leave days {i}", f"{i} days") for i in range(8)] + [chat("parking bay", "bay five")]
    pool += [chat("founder", "I don't know."), chat("long " * 40, "x")]
    shots = choose_shots(pool, 3, seed=0, field="")
    assert len(shots) == 3 and shots == choose_shots(pool, 3, seed=0, field="")
    assert sum(unanswerable(shot, "") for shot in shots) == 1
    assert "parking bay" in [shot.input for shot in shots]
    assert not any(shot.input.startswith("long") for shot in shots)
    assert choose_shots(pool, 0, seed=0, field="") == () == choose_shots([], 3, seed=0, field="")
    assert len(choose_shots(pool[:2], 3, seed=0, field="")) == 2


def test_nearest_shots_stand_next_to_the_question():
    pool = [chat("parking bay for visitors", "5"), chat("leave days", "27"), chat("parking", "x")]
    indexed = [(shot, frozenset(search_terms(shot.input))) for shot in pool]
    assert [shot.input for shot in nearest_shots(indexed, "parking bay", 2)] == ["parking", "parking bay for visitors"]


def test_the_limit_of_an_answer_comes_from_the_examples():
    assert answer_tokens(Config()) == 96  # nothing to go by
    short = [chat("q", "x" * 20)] * 100
    assert answer_tokens(Config(), short) == 96
    assert answer_tokens(Config(), [*short, chat("q", "x" * 400)]) == 96  # one of a hundred does not let all run on
    assert answer_tokens(Config(), [chat("q", "x" * 400)] * 50) == 250
    assert answer_tokens(Config(), [chat("q", "條" * 200)] * 50) == 375  # up to three tokens a character, by bytes
    assert answer_tokens(Config(compare=CompareSection(max_answer_tokens=8)), [chat("q", "x" * 400)]) == 8


def test_an_approach_asks_for_answers_as_long_as_those_of_its_examples(tmp_path):
    setting = Setting(Config(), None, None, tmp_path, lambda adapter: None)
    fitted, _ = prepared(setting, [chat("q", "x" * 400)] * 50)
    assert answer_tokens(fitted.config) == 250 and setting.config.compare.max_answer_tokens == 0
