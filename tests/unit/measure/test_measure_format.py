"""Format checks: strict and lenient JSON, formats asserted, field scores."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import DataError
from groundtune.measure import format as fmt

SCHEMA = {
    "type": "object",
    "properties": {
        "answer": {"type": ["string", "null"], "minLength": 1},
        "source": {"type": ["string", "null"]},
        "day": {"type": "string", "format": "date"},
    },
    "required": ["answer", "source"],
    "additionalProperties": False,
}
GOOD = '{"answer": "5 days", "source": "Leave"}'


@pytest.mark.parametrize(
    ("output", "strict", "lenient", "found"),
    [
        (GOOD, True, True, True),
        (f"  {GOOD}\n", True, True, True),
        (f"```json\n{GOOD}\n```", False, True, True),
        (f"Sure! Here it is: {GOOD} Hope that helps.", False, True, True),
        (f"In {{braces}} first, then {GOOD}", False, True, True),
        (f'{{"answer": 5}} or better {GOOD}', False, True, True),
        ('{"answer": "5 days"}', False, False, True),
        ('{"answer": "5 days", "source": "Leave", "extra": 1}', False, False, True),
        ('{"answer": "5", "source": null, "day": "2026-13-45"}', False, False, True),
        ('{"answer": "5", "source": null, "day": "2026-11-23"}', True, True, True),
        ('{"answer": NaN, "source": "x"}', False, False, False),
        ('{"answer": "cut of', False, False, False),
        ("5 days", False, False, False),
        ("", False, False, False),
        ("null", False, False, True),
        ("[" * 100000, False, False, False),
    ],
)
def test_strict_and_lenient(output, strict, lenient, found):
    check = fmt.check_format(output, SCHEMA)
    assert (check.strict, check.lenient, check.found) == (strict, lenient, found)
    assert bool(check.reason) is not strict


def test_the_reason_names_the_place():
    assert fmt.check_format('{"answer": 5, "source": null}', SCHEMA).reason.startswith("answer: 5 is not")


def test_extract_field():
    value = json.loads('{"answer": "x", "n": 5, "none": null, "deep": {"er": true}, "list": ["a", 2], "mixed": [{}]}')
    assert fmt.extract_field(value, "answer") == "x"
    assert fmt.extract_field(value, "n") == "5"
    assert fmt.extract_field(value, "deep.er") == "true"
    assert fmt.extract_field(value, "list") == "a, 2"
    for field in ("none", "missing", "deep", "deep.no", "mixed", "answer.x"):
        assert fmt.extract_field(value, field) is None
    assert fmt.extract_field(None, "answer") is None


@pytest.mark.parametrize(
    ("gold", "found", "precision", "recall"),
    [
        ({"a": "X", "b": None}, {"a": "x.", "b": None}, 1.0, 1.0),
        ({"a": "X", "b": None}, {"a": "x"}, 1.0, 0.5),
        ({"a": "X", "b": None}, {"a": "x", "b": "null"}, 0.5, 0.5),
        ({"a": 1, "b": [1, 2]}, {"a": 1.0, "b": [2, 1]}, 1.0, 1.0),
        ({"a": 1}, {"a": "1"}, 0.0, 0.0),
        ({"a": True}, {"a": 1}, 0.0, 0.0),
        ({"a": {"b": "x"}, "c": []}, {"a": {"b": "y"}, "c": []}, 0.5, 0.5),
        ({"a": "x"}, {"a": "x", "b": "y", "c": "z"}, 1 / 3, 1.0),
        ({"a": "１５日"}, {"a": "15日"}, 1.0, 1.0),
    ],
)
def test_field_scores(gold, found, precision, recall):
    scores = fmt.field_scores(gold, found)
    assert (scores.precision, scores.recall) == pytest.approx((precision, recall))
    assert scores.f1 == pytest.approx(2 * precision * recall / (precision + recall) if precision else 0.0)
    assert scores.equal is (precision == recall == 1.0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_field_scores_of_any_json(a, b):
    assert fmt.field_scores(a, a).equal
    scores = fmt.field_scores(a, b)
    assert 0.0 <= scores.f1 <= 1.0
    assert fmt.field_scores(b, a).f1 == pytest.approx(scores.f1)


@given(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3), st.text(alphabet="abc .,", max_size=20))
def test_json_inside_prose_is_found(value, prose):
    output = prose + json.dumps(value) + prose
    assert fmt.parse_lenient(output).value == value


def test_same_value():
    assert fmt.same_value('{"a": "X", "b": null}', '{"b": null, "a": "x"}')
    assert not fmt.same_value('{"a": "X"}', 'Here: {"a": "x"}')
    assert fmt.same_value("Dear Sir,", "dear sir")
    assert not fmt.same_value("Dear Sir", "Dear Madam")


def test_a_schema_file_that_is_wrong_is_a_sentence(tmp_path):
    path = tmp_path / "schema.json"
    with pytest.raises(DataError, match="does not exist"):
        fmt.load_schema(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"schema\.json.*not valid JSON"):
        fmt.load_schema(path)
    path.write_text('{"type": "objekt"}', encoding="utf-8")
    with pytest.raises(DataError, match=r"schema\.json.*JSON Schema"):
        fmt.load_schema(path)
    path.write_text(json.dumps(SCHEMA), encoding="utf-8")
    assert fmt.load_schema(path) == SCHEMA
