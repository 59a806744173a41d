import pytest

from groundtune.tuning.facts import facts, known_facts
from groundtune.tuning.lint import lint
from groundtune.types import Document, Example, Message, Question

HANDBOOK = Document("leave.md", "# Leave Policy\n\nEvery employee has 27 days of leave. Requests go to Josie Turnbull.")
RULES = Document("罰則.md", "# 罰則\n\n違反第三條者，處新臺幣三萬元以上罰鍰。負責單位為環境保護局。")


def example(question, answer, line=1, system=""):
    turns = [Message("system", system)] if system else []
    turns += [Message("user", question), Message("assistant", answer)]
    return Example(tuple(turns), id=f"e{line}", metadata={"line": line})


def rules(report):
    return [(finding.rule, finding.line) for finding in report.findings]


def test_knowledge_in_disguise_names_document_and_quote():
    report = lint([example("How many days of leave?", "27 days", 4)], documents=[HANDBOOK])
    (finding,) = report.findings
    assert (finding.rule, finding.line) == ("knowledge", 4)
    assert "leave.md" in finding.sentence("en") and "Every employee has 27 days of leave." in finding.sentence("en")
    assert report.knowledge_share == 1.0 and report.advice == "retrieval"
    assert "100%" in report.advice_sentence("ja")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Rewrite: Every employee has 27 days of leave.", "You get 27 days of leave."),
        ("How many days of leave?", "19 days"),
        ("Who decides?", "I cannot say."),
        ("把下面改寫成公告：處三萬元罰鍰", "公告：處三萬元罰鍰"),
    ],
)
def test_what_follows_from_the_prompt_or_from_nowhere_is_no_knowledge(question, answer):
    assert lint([example(question, answer)], documents=[HANDBOOK, RULES]).findings == ()


def test_knowledge_in_chinese_and_in_json():
    found = known_facts(
        [example("罰多少？", '{"answer": "三萬元", "source": null}'), example("誰負責？", "由環境保護局負責", 2)],
        {RULES.id: RULES.text},
    )
    assert found[0].fact == "三萬元"
    assert found[0].quote == "違反第三條者，處新臺幣三萬元以上罰鍰。"


def test_house_phrases_are_no_facts():
    shared = [example(f"q{i} {'xyzuvw'[i % 6]}", f"Regards, Josie Turnbull {i}") for i in range(12)]
    assert known_facts(shared, {HANDBOOK.id: HANDBOOK.text}) == []


def test_facts_of_an_answer():
    assert facts("Josie Turnbull keeps 1,250 kg.") == ("Josie Turnbull keeps 1,250 kg", "1,250 kg", "Josie Turnbull")
    assert facts("届出は12日以内に経営企画部へ") == ("12日以", "経営企画部")
    assert facts('{"answer": "orange dot", "n": 5}') == ("orange dot",)
    assert facts("Yes.") == ()


def test_repeats_conflicts_and_leaks():
    rows = [
        example("What is A?", "1", 1),
        example("what is  a?", "1", 2),
        example("What is A?", "2", 3),
        example("Held out?", "x", 4),
    ]
    report = lint(rows, [Question("held OUT?", ("x",), id="q9")])
    assert rules(report) == [("leaked", 4), ("duplicate", 2), ("conflict", 3)]
    assert "q9" in report.findings[0].sentence("en")


def test_formats_and_languages_that_break_the_rule():
    rows = [example(f"q{i}", f'{{"answer": "value number {i}"}}', i) for i in range(1, 9)]
    rows += [
        example("q9", "plain", 9),
        example("q10", '{"reply": "value"}', 10),
        example("q11", '{"answer": "罰鍰新臺幣元"}', 11),
    ]
    assert set(rules(lint(rows))) == {("mixed_format", 9), ("mixed_keys", 10), ("mixed_language", 11)}


def test_empty_long_and_systems():
    class Letters:
        chat_template = "x"
        all_special_tokens = ["<end>"]

        def __call__(self, text, add_special_tokens):
            return {"input_ids": list(text)}

        def apply_chat_template(self, turns, tokenize):
            return "user: x assistant: ANSWER"

    rows = [example("a", " ", 1), example("b", "12345678901", 2), example("c", "1", 3, system="other")]
    report = lint(rows, tokenizer=Letters(), max_tokens=10, instruction="mine")
    assert rules(report) == [
        ("empty_answer", 1),
        ("too_long", 2),
        ("other_system", 0),
        ("no_system", 0),
        ("no_end_token", 0),
    ]
    assert report.count("error") == 2 and "2 error(s)" in report.summary("en")
    for finding in report.findings:
        for language in ("en", "zh-TW", "ja"):
            assert finding.sentence(language) and finding.fix(language)


def test_nothing_to_check():
    report = lint([])
    assert report.findings == () and report.advice == "fine"
