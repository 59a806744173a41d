import json

import pytest
from letters import Letters

from groundtune.messages import LANGUAGES
from groundtune.tuning.data import read_examples
from groundtune.tuning.facts import facts, known_facts
from groundtune.tuning.lint import lint
from groundtune.types import Document, Example, Message, Question

HANDBOOK = Document("leave.md", "# Leave Policy\n\nEvery employee has 27 days of leave. Requests go to Josie Turnbull.")
RULES = Document("罰則.md", "# 罰則\n\n違反第三條者，處新臺幣三萬元以上罰鍰。負責單位為環境保護局。")
MANUAL = Document("保守.md", "# 保守手順\n\nポンプの点検は三年ごとに行う。担当は設備保全課である。")


def example(question, answer, line=1, system=""):
    turns = [Message("system", system)] if system else []
    turns += [Message("user", question), Message("assistant", answer)]
    return Example(tuple(turns), id=f"e{line}", metadata={"line": line})


def found(report, *, amount=False):
    return [f for f in report.findings if amount or f.rule not in ("too_few", "few")]


def rules(report):
    return [(finding.rule, finding.line) for finding in found(report)]


def everything_is_said(report):
    for finding in report.findings:
        for language in LANGUAGES:
            assert finding.sentence(language) and finding.fix(language)
            assert "{" not in finding.fix(language)


def test_knowledge_in_disguise_names_document_and_quote():
    report = lint([example("How many days of leave?", "27 days", 4)], documents=[HANDBOOK])
    (finding,) = found(report)
    assert (finding.rule, finding.line) == ("knowledge", 4)
    assert "leave.md" in finding.sentence("en") and "Every employee has 27 days of leave." in finding.sentence("en")
    assert report.knowledge_share == 1.0 and report.advice == "retrieval"
    assert "100%" in report.advice_sentence("ja")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Rewrite: Every employee has 27 days of leave.", "You get 27 days of leave."),
        ("Rewrite: Every employee has twenty-seven days of leave.", "You get 27 days of leave."),
        ("How many days of leave?", "19 days"),
        ("Who decides?", "I cannot say."),
        ("把下面改寫成公告：處三萬元罰鍰", "公告：處三萬元罰鍰"),
        ("把下面改寫成數字：處三萬元罰鍰", "公告：處30000元罰鍰"),
        ("「ポンプの点検は三年ごとに行う。」を丁寧に", "ポンプの点検は三年ごとに行います。"),
    ],
)
def test_what_follows_from_the_prompt_or_from_nowhere_is_no_knowledge(question, answer):
    assert found(lint([example(question, answer)], documents=[HANDBOOK, RULES, MANUAL])) == []


@pytest.mark.parametrize(
    ("question", "answer", "document"),
    [
        ("ポンプの点検は何年ごとに行いますか", "三年", "保守.md"),
        ("ポンプの点検の担当はどこですか", "設備保全課", "保守.md"),
        ("違反第三條者，負責單位是哪裡？", "環境保護局", "罰則.md"),
        ("Who do leave requests go to?", "To Josie Turnbull", "leave.md"),
    ],
)
def test_small_facts_count_where_the_prompt_is_about_their_sentence(question, answer, document):
    (known,) = known_facts([example(question, answer)], {d.id: d.text for d in (HANDBOOK, RULES, MANUAL)})
    assert known.document == document and known.fact in answer


def test_a_small_number_elsewhere_is_no_knowledge():
    assert known_facts([example("あなたの趣味は何年続いていますか", "三年")], {MANUAL.id: MANUAL.text}) == []


def test_knowledge_in_chinese_and_in_json():
    known = known_facts(
        [example("罰多少？", '{"answer": "三萬元", "source": null}'), example("誰負責？", "由環境保護局負責", 2)],
        {RULES.id: RULES.text},
    )
    assert known[0].fact == "三萬元"
    assert known[0].quote == "違反第三條者，處新臺幣三萬元以上罰鍰。"


def test_house_phrases_are_no_facts():
    shared = [example(f"q{i} {'xyzuvw'[i % 6]}", f"Regards, Josie Turnbull {i}") for i in range(12)]
    assert known_facts(shared, {HANDBOOK.id: HANDBOOK.text}) == []


def test_facts_of_an_answer():
    assert facts("Josie Turnbull keeps 1,250 kg.") == ("Josie Turnbull keeps 1,250 kg", "1,250 kg", "Josie Turnbull")
    assert facts("届出は12日以内に経営企画部へ") == ("12日以", "経営企画部")
    assert facts("Yes.") == ()


def test_repeats_conflicts_and_leaks():
    rows = [
        example("What is A?", "1", 1),
        example("what is  a?", "1", 2),
        example("What is A?", "2", 3),
        example("Held out?", "x", 4),
        example("How do I return the blue kettle that I bought in March?", "Send it back within a month, please.", 5),
        example("How do I return the blue kettle that I bought in March", "Send it back within a month please", 6),
    ]
    questions = [Question("held OUT?", ("x",), id="q9"), Question("How do I return a blue kettle I bought in March?")]
    report = lint(rows, questions)
    assert rules(report) == [
        ("leaked", 4), ("duplicate", 2), ("conflict", 3), ("leaked_near", 5), ("leaked_near", 6), ("near_duplicate", 6),
    ]  # fmt: skip
    assert "q9" in found(report)[0].sentence("en") and "“2” against “1”" in found(report)[2].sentence("en")
    everything_is_said(report)


def test_formats_and_languages_that_break_the_rule():
    rows = [example(f"q{i}", json.dumps({"answer": f"value number {i}", "n": i}), i) for i in range(1, 18)]
    rows += [
        example("q18", "plain words", 18),
        example("q19", '{"reply": "value"}', 19),
        example("q20", '{"answer": "罰鍰新臺幣元", "n": 20}', 20),
        example("q21", '{"answer": "value", "n": "21"}', 21),
        example("q22", '{"answer": "value", "n": 22', 22),
    ]
    report = lint(rows)
    assert set(rules(report)) == {
        ("mixed_format", 18), ("mixed_keys", 19), ("mixed_language", 20), ("mixed_types", 21), ("broken_json", 22),
    }  # fmt: skip
    shown = {finding.rule: finding.sentence("en") for finding in report.findings}
    assert "plain words" in shown["mixed_format"] and "a JSON object" in shown["mixed_format"]
    assert "n is text" in shown["mixed_types"] and "a number" in shown["mixed_types"]
    everything_is_said(report)


def test_the_schema_of_the_house_is_checked():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"]}
    rows = [example("a", '{"n": 3}', 1), example("b", '{"n": 12}', 2), example("c", '{"m": 1}', 3)]
    report = lint(rows, schema=schema)
    assert [line for rule, line in rules(report) if rule == "breaks_schema"] == [2, 3]
    everything_is_said(report)


def test_simplified_and_traditional_in_one_answer():
    rows = [
        example("q", "這個問題我們沒有說明。", 1),
        example("r", "這個問題我们沒有說明。", 2),
        example("s", "核准後通知", 3),
    ]
    assert rules(lint(rows)) == [("mixed_script", 2)]
    assert "们" in found(lint(rows))[0].sentence("en")


def test_empty_long_and_systems_without_a_tokenizer():
    rows = [example("a", " ", 1), example("b", "one two " * 6, 2), example("c", "1", 3, system="other")]
    report = lint(rows, max_tokens=10, instruction="mine")
    assert rules(report) == [
        ("empty_answer", 1), ("too_long", 2), ("other_system", 0), ("no_system", 0), ("edges", 2),
    ]  # fmt: skip
    assert report.count("error") == 2 and "2 error(s)" in report.summary("en")
    everything_is_said(report)


def test_private_values_and_secrets_are_found_by_kind():
    rows = [
        example("Mail jo@example.org or june@example.org", "Done.", 1),
        example("q", "Use sk-proj-abcdefghijklmnop1234", 2),
    ]
    report = lint(rows)
    assert rules(report) == [("secret", 2), ("private", 1)]
    assert "e-mail address × 2" in found(report)[1].sentence("en")
    assert "jo@example.org" not in json.dumps([f.sentence("en") for f in report.findings])
    everything_is_said(report)


def test_the_probe_changes_the_advice_only_for_what_is_known_by_heart():
    rows = [example("How many days of leave?", "27 days", 1), example("Who gets requests?", "Josie Turnbull", 2)]
    rows += [example(f"Sort {word}", word, 3 + i) for i, word in enumerate(("pear", "plum", "fig"))]
    plain = lint(rows, documents=[HANDBOOK])
    known = lint(rows, documents=[HANDBOOK], levels={"e1": "known", "e2": "known"})
    unknown = lint(rows, documents=[HANDBOOK], levels={"e1": "unknown", "e2": "maybe"})
    assert (plain.advice, known.advice, unknown.advice) == ("passage", "fine", "passage")
    assert "1 maybe known, 1 unknown" in unknown.probe_sentence("en") and plain.probe_sentence("en") == ""


def test_broken_lines_are_findings_when_asked(tmp_path):
    path = tmp_path / "e.jsonl"
    good = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    bad = [{"messages": [{"role": "robot", "content": "q"}]}, {"messages": []}]
    path.write_text("\n".join(["{", *map(json.dumps, [*bad, good])]), encoding="utf-8")
    read = read_examples(path)
    report = lint(read.examples, problems=read.problems)
    assert rules(report) == [("schema", 1), ("schema", 2), ("schema", 3)] and report.examples == 1
    assert "“robot”" in report.findings[1].sentence("en")
    everything_is_said(report)


def test_template_findings_with_a_tokenizer():
    rows = [
        example("a", "fine", 1, system="be brief"),
        example("b", "x" * 30, 2),
        example("c" * 60, "fine", 3),
        example("d", "stop <end> here", 4),
    ]
    report = lint(rows, tokenizer=Letters(swallow=True, end=False), max_tokens=30)
    assert set(rules(report)) == {
        ("no_end_token", 0), ("template_unmarked", 0), ("system_lost", 1), ("answer_cut", 2), ("prompt_too_long", 3), ("special_in_text", 4),
    }  # fmt: skip
    cut = next(f for f in report.findings if f.rule == "answer_cut")
    assert cut.params["tokens"] == 34 and cut.params["cut"] == 4 and cut.params["answer"] == 31
    everything_is_said(report)


def test_nothing_to_check():
    report = lint([])
    assert report.findings == () and report.advice == "fine"
