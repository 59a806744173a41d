"""Values that an answer copies change places between examples, in the prompt and in the answer alike."""

import json

import pytest
from letters import Letters

from groundtune.config import TuningSection
from groundtune.tuning import rows
from groundtune.tuning.plan import make_plan
from groundtune.tuning.swap import swapped, swapped_rows
from groundtune.types import Example, Message

NAMES = (
    "Ada Byron",
    "Bo Li",
    "Cy Young",
    "Di Marco",
    "Ed Snow",
    "Flo West",
    "Gus Hall",
    "Hal Ito",
    "Ida Tor",
    "Jo Kim",
)
CITIES = ("Taipei", "Osaka", "Leeds", "Turin", "Oslo", "Quito", "Accra", "Minsk", "Cairo", "Lima")


def example(text, answer, name="e", **metadata):
    target = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    turns = (
        Message("system", "house"),
        Message("user", f"Find who and where.\n\n{text}"),
        Message("assistant", target),
    )
    return Example(turns, id=name, metadata=metadata)


def visits():
    return [
        example(f"{who} flew to {where} at 9.", {"who": who, "where": where, "kind": "trip"}, f"e{i}")
        for i, (who, where) in enumerate(zip(NAMES, CITIES, strict=True))
    ]


def test_a_value_changes_in_the_prompt_and_in_the_answer_and_stays_in_its_field():
    rows_of_passes = swapped(visits(), 3, seed=0)
    assert len(rows_of_passes) == 3
    changed = 0
    for block in rows_of_passes:
        for before, after in zip(visits(), block, strict=True):
            answer = json.loads(after.target)
            assert after.input == f"Find who and where.\n\n{answer['who']} flew to {answer['where']} at 9."
            assert answer["who"] in NAMES and answer["where"] in CITIES and answer["kind"] == "trip"
            assert list(answer) == ["who", "where", "kind"] and after.messages[0] == before.messages[0]
            changed += after.target != before.target
    assert changed > 15
    assert rows_of_passes[0] != rows_of_passes[1]
    assert swapped(visits(), 3, seed=0) == rows_of_passes and swapped(visits(), 3, seed=1) != rows_of_passes


def test_types_that_stand_beside_a_value_are_kept_apart():
    head = "Types: person, city."
    items = [
        example(f"{head} {text} was there.", [{"text": text, "type": kind}], f"{kind}{i}")
        for kind, texts in (("person", NAMES), ("city", CITIES))
        for i, text in enumerate(texts)
    ]
    for block in swapped(items, 2, seed=0):
        for one in block:
            (entry,) = json.loads(one.target)
            assert entry["text"] in (NAMES if entry["type"] == "person" else CITIES)
            assert one.input.startswith(f"Find who and where.\n\n{head} ")


@pytest.mark.parametrize(
    "items",
    [
        [example(f"note {i}", {"kind": ("a", "b")[i % 2]}, f"e{i}") for i in range(20)],  # a choice, not copied
        [example(f"{name} came", name, f"e{i}") for i, name in enumerate(NAMES)],  # no JSON
        [example(f"{n} came", {"who": n}, f"e{i}") for i, n in enumerate(NAMES[:9])],  # few values: a list to be learnt
        [example(f"{n}s came", {"who": n}, f"e{i}") for i, n in enumerate(NAMES)],  # part of a longer word
    ],
)
def test_what_is_not_copied_stays(items):
    assert swapped(items, 2, seed=0) == []


def test_values_that_overlap_are_left_alone():
    items = [example(f"{n} of {n} Town came", {"who": n, "where": f"{n} Town"}, f"e{i}") for i, n in enumerate(NAMES)]
    for block in swapped(items, 2, seed=0):
        assert [one.target for one in block] == [one.target for one in items]


def test_chinese_and_japanese_values_need_no_spaces_around_them():
    cities = ("台北市", "高雄市", "新竹縣", "花蓮縣", "臺南市", "京都市", "札幌市", "仙台市", "奈良市", "福岡市")
    items = [example(f"會議在{c}舉行。", {"where": c}, f"e{i}") for i, c in enumerate(cities)]
    (block,) = swapped(items, 1, seed=0)
    assert sum(one.target != old.target for one, old in zip(block, items, strict=True)) >= 4
    for one in block:
        assert one.input == f"Find who and where.\n\n會議在{json.loads(one.target)['where']}舉行。"


def test_rows_of_later_passes_follow_those_of_the_first():
    tokenizer, settings, items = Letters(), TuningSection(epochs=3, batch_size=2), visits()
    built = rows.build_rows(items, tokenizer, 400)
    later = swapped_rows(items, built, settings, tokenizer, 400)
    assert len(later) == 2 * len(built) and later[: len(built)] != built
    plan = make_plan([len(row.input_ids) for row in (*built, *later)], settings, sort=False, count=len(built))
    assert plan.passes == 3 and sorted(plan.order) == list(range(30))
    assert sorted(plan.order[:10]) == list(range(10)) and sorted(plan.order[20:]) == list(range(20, 30))
    longest = max(len(row.input_ids) for row in built)
    short = swapped_rows(items, built, settings, tokenizer, longest)
    assert max(len(row.input_ids) for row in short) <= longest
    shown = [example("x", "y", gold_shown=True)] * 12
    assert swapped_rows(shown, built, settings, tokenizer, 400) == ()
