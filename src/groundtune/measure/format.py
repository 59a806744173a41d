"""Format adherence: is the output the JSON that the schema asks for, and are its fields right?

Strict: the whole output is the JSON. Lenient: JSON found inside prose or fences; the gap between both is what format
training or constrained decoding can win. The schema dialect is draft 2020-12 with formats asserted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

from groundtune.errors import DataError
from groundtune.measure.instructions import Rule, RuleScores, check_rules
from groundtune.measure.scorers import same_answer, tokens

_OPENERS = "{["
_ATTEMPTS = 50  # JSON starts tried in one output
_REASON = 160


@dataclass(frozen=True)
class Parsed:
    """JSON in an output: ``found`` when there is any, ``whole`` when it is the whole output."""

    value: Any = None
    found: bool = False
    whole: bool = False


@dataclass(frozen=True)
class FormatCheck:
    """``strict``: the whole output is JSON that fits the schema; ``lenient``: some JSON in it does. ``value`` is the
    JSON found (None when none was), ``reason`` why strict failed.
    """

    strict: bool
    lenient: bool
    value: Any = None
    found: bool = False
    reason: str = ""


@dataclass(frozen=True)
class FieldScores:
    """Precision, recall and F1 over the leaves of two JSON values."""

    precision: float
    recall: float
    f1: float

    @property
    def equal(self) -> bool:
        """Every leaf of both is right."""
        return self.precision == 1.0 and self.recall == 1.0


@dataclass(frozen=True)
class HouseFormat:
    """The house format of a project; ``schema`` is None when it has none, field names are empty when not set. ``rules``
    are what an output must keep besides.
    """

    schema: Mapping[str, Any] | None = None
    answer_field: str = ""
    source_field: str = ""
    place_field: str = ""
    rules: tuple[Rule, ...] = ()

    def check(self, output: str) -> FormatCheck | None:
        """None when the project has no schema."""
        return None if self.schema is None else check_format(output, self.schema)

    def kept(self, output: str) -> RuleScores | None:
        """None when the project has no rules."""
        return check_rules(output, self.rules) if self.rules else None


def load_schema(path: Path) -> Mapping[str, Any]:
    """Read and check a JSON Schema file. Raises ``DataError`` when it is missing, broken or not a schema."""
    if not path.is_file():
        raise DataError("core.file_missing", path=path)
    try:
        schema = json.loads(path.read_text(encoding="utf-8-sig"))
        Draft202012Validator.check_schema(schema)
    except (ValueError, RecursionError) as error:
        raise DataError("measure.schema_broken", path=path, reason=str(error)[:_REASON]) from error
    except SchemaError as error:
        raise DataError("measure.schema_invalid", path=path, reason=error.message[:_REASON]) from error
    if not isinstance(schema, dict):
        raise DataError("measure.schema_invalid", path=path, reason="true/false")
    return schema


def check_format(output: str, schema: Mapping[str, Any]) -> FormatCheck:
    """Check an output against a schema, strictly and leniently."""
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    whole = parse_strict(output)
    if whole.found:
        reason = _why(validator, whole.value)
        return FormatCheck(not reason, not reason, whole.value, True, reason)
    best = Parsed()
    for value in _embedded(output):
        if not _why(validator, value):
            return FormatCheck(False, True, value, True, "text around the JSON")
        best = best if best.found else Parsed(value, True)
    return FormatCheck(False, False, best.value, best.found, "text around the JSON" if best.found else "no JSON")


def parse_strict(output: str) -> Parsed:
    """The whole output as JSON; surrounding white space is allowed, NaN and Infinity are not."""
    try:
        return Parsed(json.loads(output.strip(), parse_constant=_refuse), True, True)
    except (ValueError, RecursionError):
        return Parsed()


def parse_lenient(output: str) -> Parsed:
    """The whole output, else the first JSON object or array inside it."""
    whole = parse_strict(output)
    if whole.found:
        return whole
    return next((Parsed(value, True) for value in _embedded(output)), Parsed())


def extract_field(value: Any, field: str) -> str | None:  # noqa: ANN401 - any JSON
    """A field as text; dots go into nested objects. None when it is missing, null or no scalar or list of scalars."""
    for key in field.split("."):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    if isinstance(value, list) and value and all(_scalar(item) for item in value):
        return ", ".join(_text(item) for item in value)
    return _text(value) if value is not None and _scalar(value) else None


def field_scores(expected: Any, found: Any) -> FieldScores:  # noqa: ANN401 - any JSON
    """Leaf by leaf: a leaf is right when the same path holds the same value after normalisation. Nulls count as values,
    items of a list match in any order, empty objects and lists are leaves.
    """
    gold, given = Counter(_leaves(expected)), Counter(_leaves(found))
    same = sum((gold & given).values())
    total_gold, total_given = sum(gold.values()), sum(given.values())
    return FieldScores(same / total_given, same / total_gold, 2.0 * same / (total_gold + total_given))


def same_value(expected: str, output: str) -> bool:
    """Two outputs say the same: every field of JSON targets, normalised equality of others."""
    gold = parse_strict(expected)
    if not gold.found:
        return same_answer(output, expected)
    given = parse_strict(output)
    return given.found and field_scores(gold.value, given.value).equal


def _why(validator: Draft202012Validator, value: Any) -> str:  # noqa: ANN401
    try:
        error: ValidationError | None = next(validator.iter_errors(value), None)
    except RecursionError:
        return "nested too deep"
    if error is None:
        return ""
    place = "/".join(str(part) for part in error.absolute_path)
    return f"{place}: {error.message}"[:_REASON] if place else error.message[:_REASON]


def _embedded(output: str) -> Iterator[Any]:
    """JSON objects and arrays in an output, outermost first, left to right."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    position = attempts = 0
    while position < len(output) and attempts < _ATTEMPTS:
        if output[position] not in _OPENERS:
            position += 1
            continue
        attempts += 1
        try:
            value, position = decoder.raw_decode(output, position)
        except (ValueError, RecursionError):
            position += 1
            continue
        yield value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str, str]]:  # noqa: ANN401
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}/{key}")
    elif isinstance(value, list) and value:
        for item in value:
            yield from _leaves(item, f"{path}[]")
    elif isinstance(value, str):
        yield path, "string", " ".join(tokens(value)) or value.strip()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, "number", repr(float(value)) if abs(value) < 1e300 else repr(value)
    else:
        yield path, type(value).__name__, json.dumps(value)


def _scalar(value: Any) -> bool:  # noqa: ANN401
    return value is None or isinstance(value, str | int | float | bool)


def _text(value: Any) -> str:  # noqa: ANN401
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
