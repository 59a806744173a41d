import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.errors import DataError
from groundtune.tuning.data import check_evidence, line_of, load_examples, load_questions, require_enough
from groundtune.tuning.split import similar_groups, split_examples
from groundtune.types import Evidence, Example, Message, Question


def chat(question, answer, **extra):
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **extra}


def write(path, rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def example(text, target="ok", **metadata):
    return Example((Message("user", text), Message("assistant", target)), id=text, metadata=metadata)


def test_examples_keep_their_line_and_metadata(tmp_path):
    rows = [chat("q1", "a1", metadata={"document": "d.md"}), "", chat("q2", "a2", id="mine")]
    first, second = load_examples(write(tmp_path / "e.jsonl", rows))
    assert (first.input, first.target, first.id, line_of(first)) == ("q1", "a1", "example-1", 1)
    assert first.metadata["document"] == "d.md"
    assert (second.id, line_of(second)) == ("mine", 3)


def test_gzip_bom_and_content_parts(tmp_path):
    row = {
        "messages": [
            {"role": "developer", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "q"}]},
            {"role": "assistant", "content": "a"},
        ]
    }
    path = tmp_path / "e.jsonl.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + json.dumps(row).encode()))
    (loaded,) = load_examples(path)
    assert [m.role for m in loaded.messages] == ["system", "user", "assistant"]
    assert loaded.input == "q"


def test_all_bad_lines_are_named_at_once(tmp_path):
    bad = [
        "{",
        "[]",
        {"messages": []},
        {"messages": [{"role": "user", "content": "q"}]},
        {"messages": [{"role": "robot", "content": "q"}]},
        chat("q", " "),
        {"messages": [{"role": "assistant", "content": "a"}]},
        chat("q", "a", id="same"),
        chat("q", "a", id="same"),
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": 0}]},
    ]
    path = write(tmp_path / "e.jsonl", bad)
    with pytest.raises(DataError) as caught:
        load_examples(path)
    said = str(caught.value)
    assert str(path) in said and caught.value.params["count"] == 9
    assert [n for n in range(1, 11) if f"line {n}: " in said] == [1, 2, 3, 4, 5, 6, 7, 9, 10]


def test_no_more_than_ten_are_listed(tmp_path):
    with pytest.raises(DataError) as caught:
        load_examples(write(tmp_path / "e.jsonl", ["{"] * 25))
    assert str(caught.value).count("not valid JSON") == 10
    assert "15 more" in str(caught.value)


@pytest.mark.parametrize("language", ["zh-TW", "ja"])
def test_bad_lines_in_every_language(tmp_path, monkeypatch, language):
    monkeypatch.setenv("GROUNDTUNE_LANG", language)
    with pytest.raises(DataError) as caught:
        load_examples(write(tmp_path / "e.jsonl", ["{"]))
    assert "1 行" in caught.value.sentence(language)


def test_missing_empty_and_not_utf8(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load_examples(tmp_path / "no.jsonl")
    with pytest.raises(DataError, match="empty"):
        load_questions(write(tmp_path / "e.jsonl", ["", " "]))
    path = tmp_path / "big5.jsonl"
    path.write_bytes(b'{"question": "ok", "answers": ["a"]}\n{"question": "' + "罰鍰".encode("big5"))
    with pytest.raises(DataError, match="line 2"):
        load_questions(path)


def test_questions(tmp_path):
    rows = [
        {"question": "q", "answers": ["a"], "evidence": {"document": "d", "quote": "x"}, "kind": "amount"},
        {"question": "u", "answers": [], "answerable": False},
    ]
    first, second = load_questions(write(tmp_path / "q.jsonl", rows))
    assert first.evidence == Evidence("d", "x") and first.metadata == {"kind": "amount", "line": 1}
    assert second.answerable is False and second.answers == ()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"answers": ["a"]}, "question"),
        ({"question": "q"}, "no answer"),
        ({"question": "q", "answers": [1]}, "list of non-empty strings"),
        ({"question": "q", "answers": ["a"], "answerable": False}, "although"),
        ({"question": "q", "answers": ["a"], "answerable": "no"}, "true or false"),
        ({"question": "q", "answers": ["a"], "evidence": {"document": "d"}}, "evidence"),
    ],
)
def test_bad_questions(tmp_path, row, said):
    with pytest.raises(DataError, match=said):
        load_questions(write(tmp_path / "q.jsonl", [row]))


def test_evidence_is_looked_up_without_white_space():
    texts = {"documents/leave.md": "員工請假\n須於三日前\n申請。", "b.md": "no"}
    asked = Question("q", ("a",), Evidence("leave", "請假須於三日前申請"), metadata={"line": 7})
    (checked,) = check_evidence([asked], texts)
    assert checked.evidence is not None and checked.evidence.document == "documents/leave.md"
    wrong = [
        Question("q", ("a",), Evidence("leave.md", "五日前"), metadata={"line": 8}),
        Question("q", ("a",), Evidence("gone.md", "x"), metadata={"line": 9}),
    ]
    with pytest.raises(DataError) as caught:
        check_evidence([asked, *wrong], texts)
    assert "line 8" in str(caught.value) and "line 9" in str(caught.value) and "line 7" not in str(caught.value)


def test_ten_examples_are_needed():
    require_enough([example(str(i)) for i in range(10)])
    with pytest.raises(DataError, match="at least 10"):
        require_enough([example(str(i)) for i in range(9)])


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=60), st.integers(0, 5))
def test_no_document_stands_on_both_sides(documents, seed):
    rows = [example(f"question {i} about {d}", document=f"d{d}") for i, d in enumerate(documents)]
    split = split_examples(rows, 0.2, seed)
    assert sorted(e.id for e in (*split.train, *split.held_out)) == sorted(e.id for e in rows)
    if split.grouped_by == "document":
        sides = [{e.metadata["document"] for e in side} for side in (split.train, split.held_out)]
        assert not sides[0] & sides[1]
        assert split.train and split.held_out
    assert split == split_examples(rows, 0.2, seed)


def test_near_duplicates_stay_together_although_all_share_an_instruction():
    head = "Return the intent and the slots of this request as JSON. Request: "
    texts = [
        f"{head}{t}"
        for t in (
            "play jazz on the radio tonight",
            "Play jazz on the radio, tonight!",
            "book a table in Rome",
            "weather in Oslo tomorrow",
            "find the movie Alien",
        )
    ]
    groups = similar_groups(texts)
    assert groups[0] == groups[1]
    assert len(set(groups)) == 4


def test_exact_repeats_are_removed_and_counted():
    rows = [example(f"completely different {i} {'abcdefghijkl'[i]}") for i in range(12)]
    split = split_examples([*rows, *rows[:5]], 0.25)
    assert split.duplicates == 5 and split.grouped_by == "similarity"
    assert len(split.held_out) == 3 and len(split.train) == 9
    assert split_examples(rows, 0.0).held_out == ()


def test_examples_that_say_which_are_held_out_are_taken_at_their_word():
    def row(i, part):
        turns = (Message("user", f"question {i} of the day"), Message("assistant", f"answer {i}"))
        return Example(turns, id=f"e{i}", metadata={"split": part} if part else {})

    rows = [row(i, "dev" if i >= 18 else ("train" if i % 2 else "")) for i in range(20)]
    split = split_examples(rows, 0.5, seed=3)
    assert [e.id for e in split.held_out] == ["e18", "e19"] and len(split.train) == 18
    assert (split.grouped_by, split.groups) == ("own", 20)
    assert split_examples(rows, 0.0).held_out == ()
    everything = split_examples([row(i, "test") for i in range(20)], 0.25)
    assert everything.grouped_by == "similarity" and everything.train and everything.held_out
