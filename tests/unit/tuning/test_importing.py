import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groundtune.errors import DataError
from groundtune.messages import LANGUAGES, say
from groundtune.tuning.convert import Columns, Unfit, convert, format_of
from groundtune.tuning.data import load_examples
from groundtune.tuning.importing import import_file, write_examples
from groundtune.tuning.split import split_examples

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def turns(*pairs):
    return [{"role": role, "content": content} for role, content in pairs]


def roles(chat):
    return [(message.role, message.content) for message in chat.messages]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def rows(path, values):
    return write(path, "\n".join(json.dumps(value, ensure_ascii=False) for value in values))


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"messages": turns(("user", "問"), ("assistant", "答"))}, "openai"),
        ({"prompt": "問\n\n###\n\n", "completion": " 答 END"}, "prompt-completion"),
        ({"prompt": turns(("user", "問")), "completion": turns(("assistant", "答"))}, "prompt-completion"),
        ({"instruction": "問", "input": "", "output": "答"}, "alpaca"),
        ({"conversations": [{"from": "human", "value": "問"}, {"from": "gpt", "value": "答"}]}, "sharegpt"),
        ({"contents": [{"role": "user", "parts": [{"text": "問"}]}, {"role": "model", "parts": [{"text": "答"}]}]}, "gemini"),
        ({"問題": "問", "答案": "答", "備註": ""}, "columns"),
        ({"質問": "問", "回答": "答"}, "columns"),
    ],
)  # fmt: skip
def test_every_form_gives_the_same_chat(row, kind):
    assert format_of(row) == kind
    (made,) = convert(row)
    assert roles(made) == [("user", "問"), ("assistant", "答")]


def test_alpaca_with_input_system_and_history():
    row = {"instruction": "Translate", "input": "pear", "output": "梨", "system": "brief", "history": [["hi", "hello"]]}
    (made,) = convert(row)
    assert roles(made) == [
        ("system", "brief"), ("user", "hi"), ("assistant", "hello"), ("user", "Translate\n\npear"), ("assistant", "梨"),
    ]  # fmt: skip


def test_tools_and_their_calls_become_text():
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": '{"city": "臺北"}'}}
    row = {
        "tools": [TOOL],
        "messages": [
            {"role": "user", "content": "天氣？"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "晴"},
            {"role": "assistant", "content": "晴天"},
        ],
    }
    first, second = convert(row)
    assert first.messages[0].role == "system" and '"name": "weather"' in first.messages[0].content
    assert first.messages[-1].content == '<tool_call>\n{"name": "weather", "arguments": {"city": "臺北"}}\n</tool_call>'
    assert [m.role for m in second.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert {"tools", "tool_calls", "several"} == set(second.notes)


def test_every_answer_of_a_chat_is_an_example_and_weight_zero_is_context():
    row = {"messages": [*turns(("user", "a"), ("assistant", "1"), ("user", "b"), ("assistant", "2"), ("user", "c"))]}
    row["messages"].insert(2, {"role": "assistant", "content": "wrong", "weight": 0})
    assert [made.messages[-1].content for made in convert(row)] == ["1", "2"]
    assert "wrong" in [m.content for m in convert(row)[1].messages]
    assert set(convert(row)[0].notes) == {"weight_zero", "tail", "several"}
    assert [made.messages[-1].content for made in convert(row, every_turn=False)] == ["2"]
    with pytest.raises(Unfit) as caught:
        convert({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "x", "weight": 0}]})
    assert caught.value.key == "weight_zero"


def test_csv_with_line_breaks_other_marks_and_bad_rows(tmp_path):
    text = '問題;答案;文件\r\n"第一行\n第二行";甲;leave.md\r\n少一格;乙\r\n;丙;x\r\n空的;;x\r\n好;丁;b.md\r\n'
    found = import_file(write(tmp_path / "a.csv", "\ufeff" + text))
    assert [(e.input, e.target, e.metadata["document"]) for e in found.examples] == [
        ("第一行\n第二行", "甲", "leave.md"), ("好", "丁", "b.md"),
    ]  # fmt: skip
    assert [(p.line, p.key) for p in found.dropped] == [(4, "cells"), (5, "empty_input"), (6, "empty_target")]
    assert found.rows == 5 and found.formats == {"columns": 2}


def test_tsv_with_named_columns(tmp_path):
    path = write(tmp_path / "a.tsv", "sentence\tlabel_name\tid\nnice, very\tgood\ts1\nbad\tpoor\ts2\n")
    found = import_file(path, Columns(input="sentence", target="label_name"))
    assert [(e.id, e.input, e.target) for e in found.examples] == [("s1", "nice, very", "good"), ("s2", "bad", "poor")]
    with pytest.raises(DataError, match="no column “text”"):
        import_file(path, Columns(input="text", target="label_name"))


def test_arrays_wrapped_objects_and_mixed_lines(tmp_path):
    alpaca = {"instruction": "a", "input": "", "output": "1"}
    array = write(tmp_path / "a.json", json.dumps([alpaca, "no object", {"odd": 1}], indent=1))
    found = import_file(array)
    assert len(found.examples) == 1 and [(p.line, p.key) for p in found.dropped] == [(2, "object"), (3, "no_format")]
    wrapped = write(tmp_path / "w.json", json.dumps({"version": 1, "data": [alpaca]}))
    assert len(import_file(wrapped).examples) == 1
    mixed = rows(tmp_path / "m.jsonl", [alpaca, {"prompt": "b", "completion": "2"}])
    assert import_file(mixed).formats == {"alpaca": 1, "prompt-completion": 1}


def test_repeats_are_said_and_near_ones_only_when_asked(tmp_path):
    texts = [
        "How do I return the kettle that I bought?",
        "how do I return the kettle that i bought",
        "Where is my parcel?",
    ]
    values = [{"prompt": text, "completion": "See the desk."} for text in [*texts, texts[0]]]
    path = rows(tmp_path / "r.jsonl", values)
    assert [(p.line, p.key, p.params["other"]) for p in import_file(path).dropped] == [(4, "repeats", 1)]
    near = import_file(path, near=0.8)
    assert [(p.line, p.key) for p in near.dropped] == [(2, "nearly_repeats"), (4, "repeats")]
    assert near.dropped_for("repeats") == 1 and "line 1" in near.dropped[0].sentence("en")


def test_what_is_written_can_be_loaded_and_parts_of_a_chat_stay_together(tmp_path):
    chats = [
        {"id": f"chat{n}", "messages": turns(("user", f"{w} one"), ("assistant", "1"), ("user", f"{w} two"), ("assistant", "2"))}
        for n, w in enumerate(("apple", "brick", "cloud", "drum", "eagle", "flute"))
    ]  # fmt: skip
    found = import_file(rows(tmp_path / "c.jsonl", chats))
    write_examples(tmp_path / "out.jsonl", found.examples)
    loaded = load_examples(tmp_path / "out.jsonl")
    assert [(e.id, e.messages) for e in loaded] == [(e.id, e.messages) for e in found.examples]
    assert len(loaded) == 12 and loaded[1].metadata["conversation"] == "chat0"
    split = split_examples(loaded, 0.3)
    sides = [{e.metadata["conversation"] for e in side} for side in (split.train, split.held_out)]
    assert split.held_out and not sides[0] & sides[1]


@pytest.mark.parametrize("language", ["en", "zh-TW", "ja"])
def test_nothing_to_take_says_which_forms_are_known(tmp_path, monkeypatch, language):
    monkeypatch.setenv("GROUNDTUNE_LANG", language)
    with pytest.raises(DataError) as caught:
        import_file(rows(tmp_path / "x.jsonl", [{"odd": 1}]))
    said = caught.value.sentence(language)
    assert "odd" in said and "Alpaca" in said and "--input" in said


def test_other_encodings_are_asked_for(tmp_path):
    path = tmp_path / "b.csv"
    path.write_bytes("問題,答案\n罰鍰多少,三萬元\n".encode("big5"))
    with pytest.raises(DataError, match="--encoding big5"):
        import_file(path)
    assert import_file(path, encoding="big5").examples[0].target == "三萬元"
    with pytest.raises(DataError, match="cannot be read as klingon"):
        import_file(path, encoding="klingon")
    path.write_bytes("質問,回答\n期限,三日\n".encode("utf-16"))
    assert import_file(path).examples[0].target == "三日"
    with pytest.raises(DataError, match="does not exist"):
        import_file(tmp_path / "none.csv", encoding="big5")


def test_broken_files(tmp_path):
    with pytest.raises(DataError, match="line 2"):
        import_file(write(tmp_path / "a.json", '[{"prompt": "a",\n "completion": }]'))
    with pytest.raises(DataError, match="no rows"):
        import_file(write(tmp_path / "e.csv", "input,output\n"))
    with pytest.raises(DataError, match="not valid JSON"):
        import_file(write(tmp_path / "b.jsonl", "{\nnope"))


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ROLE = st.sampled_from(["user", "assistant", "system", "human", "gpt", "tool", "", None, 3])
TURN = VALUE | st.fixed_dictionaries(
    {},
    optional={
        "role": ROLE, "from": ROLE, "content": VALUE, "value": VALUE, "weight": VALUE, "parts": VALUE,
        "tool_calls": VALUE | st.just([{"function": {"name": "f", "arguments": "{"}}]), "function_call": VALUE,
    },
)  # fmt: skip
ROW = st.fixed_dictionaries(
    {},
    optional={
        **{name: VALUE | st.lists(TURN, max_size=4) for name in ("messages", "conversations", "contents", "prompt", "completion")},
        **{name: VALUE for name in ("instruction", "input", "output", "system", "history", "tools", "metadata", "id", "answer")},
        "systemInstruction": TURN,
    },
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(ROW, st.booleans())
@example({"messages": [{"role": "user", "tool_calls": True}]}, False)
def test_no_row_makes_it_fall_over(row, every_turn):
    try:
        made = convert(row, every_turn=every_turn)
    except Unfit as unfit:
        assert all(say(f"tuning.line.{unfit.key}", language, **unfit.params) for language in LANGUAGES)
        return
    for chat in made:
        assert chat.messages[-1].role == "assistant" and chat.messages[-1].content.strip()
        assert all(say(f"tuning.note.{key}") for key in chat.notes)
