"""Rules on outputs: every kind in three languages, IFEval's four numbers, and what cannot be read."""

import pytest

from groundtune.errors import ConfigError
from groundtune.measure.format import HouseFormat
from groundtune.measure.instructions import check_rules, parse_rules, variants
from groundtune.measure.items import Item, Rubric, score_item
from groundtune.types import Answer, Question


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("words <= 4", "four words, no more", "here are five words now"),
        ("words = 4", "有薪假期", "有薪假"),
        ("characters < 6", "短い", "もう少し長い文です"),
        ("sentences = 2", "一句。兩句。", "一句。"),
        ("lines >= 2", "a\n\nb", "a"),
        ("paragraphs = 2", "a\nb\n\nc", "a\nb"),
        ("bullets = 3", "- a\n- b\n1. c", "- a\n- b"),
        ("bullets > 0", "・項目", "項目"),
        ("headings = 1", "# Title\nx", "Title"),
        ("contains: regards", "Kind Regards", "Bye"),
        ("without: !", "Fine.", "Fine!"),
        ("starts: Dear", " Dear A", "Hello"),
        ("ends: 敬上", "人事部 敬上\n", "人事部"),
        (r"matches: ^\d{4}-\d{2}", "x\n2024-05-01", "May 2024"),
        ("language: ja", "休暇は二十五日です", "The leave is long"),
        ("language: zh-TW", "特別休假為二十五天，請事先申請。", "特别休假为二十五天，请事先申请。"),
        ("language: zh", "特别休假为二十五天", "休暇は二十五日です"),
        ("language: en", "Leave", "特別休假"),
    ],
)
def test_each_rule_is_kept_or_broken(rule, good, bad):
    rules = parse_rules([rule])
    assert check_rules(good, rules).strict == 1.0
    assert check_rules(bad, rules).strict == 0.0


def test_strict_and_loose_as_in_ifeval():
    text = "Sure, here it is:\n* **Dear guest**\nHope this helps!"
    assert len(variants(text)) == 8 and variants(text)[3] == "* **Dear guest**" and variants(text)[7] == " Dear guest"
    rules = parse_rules(["starts: Dear", "without: !", "words <= 9"])
    found = check_rules(text, rules)
    assert (found.strict, found.loose) == (0.0, 1.0)
    assert found.share_strict == pytest.approx(1 / 3) and found.share_loose == 1.0
    partly = check_rules("Dear guest, welcome!", rules)
    assert (partly.strict, partly.share_strict, partly.loose) == (0.0, pytest.approx(2 / 3), 0.0)
    assert check_rules("", parse_rules(["without: !"])).loose == 0.0
    with pytest.raises(ValueError, match="no rules"):
        check_rules("x", ())


@pytest.mark.parametrize(
    "rule", ["words ~ 5", "words <= many", "polite: yes", "contains:", "", "contains", "matches: ("]
)
def test_a_rule_that_cannot_be_read_is_a_sentence(rule):
    with pytest.raises(ConfigError) as caught:
        parse_rules([rule])
    for lang in ("en", "zh-TW", "ja"):
        assert rule in caught.value.sentence(lang)


def test_rules_are_part_of_the_format_and_of_success():
    item = Item("q", "question", "d", Question("How long?", ("25 days",)))
    rubric = Rubric(HouseFormat(rules=parse_rules(["words <= 4", "without: !"])))
    good = score_item(item, Answer("25 days."), rubric, retrieves=False).scores
    loud = score_item(item, Answer("25 days!"), rubric, retrieves=False).scores
    chatty = score_item(item, Answer("Of course, I will tell you:\n25 days."), rubric, retrieves=False).scores
    assert good["success"] == good["format_valid"] == good["rules_strict"] == 1.0
    assert (loud["success"], loud["format_valid"], loud["rule_share_strict"]) == (0.0, 0.0, 0.5)
    assert (chatty["success"], chatty["format_valid"], chatty["format_lenient"]) == (0.0, 0.0, 1.0)
    plain = score_item(item, Answer("25 days!"), Rubric(), retrieves=False).scores
    assert plain["format_valid"] is None and "rules_strict" not in plain
