"""Pinecone's metadata: what may be stored, and its filter language."""

from __future__ import annotations

import json
from typing import Any

LARGEST_METADATA = 40 * 1024  # bytes of a record's metadata
_SCALAR = (str, int, float, bool)


class BadRequest(Exception):
    """HTTP 400 with this sentence."""


def check_metadata(metadata: object) -> None:
    if not isinstance(metadata, dict):
        raise BadRequest("Metadata must be an object")
    for key, value in metadata.items():
        if key.startswith("$"):
            raise BadRequest(f"Metadata key '{key}' must not start with '$'")
        if isinstance(value, list):
            if not all(isinstance(item, str) for item in value):
                raise BadRequest(f"Metadata value of '{key}' must be a string, number, boolean or list of strings")
        elif not isinstance(value, _SCALAR):
            raise BadRequest(f"Metadata value of '{key}' must be a string, number, boolean or list of strings")
    size = len(json.dumps(metadata, ensure_ascii=False).encode("utf-8"))
    if size > LARGEST_METADATA:
        raise BadRequest(
            f"Metadata size is {size} bytes, which exceeds the limit of {LARGEST_METADATA} bytes per vector"
        )


def check_filter(filter: object) -> None:
    if not isinstance(filter, dict):
        raise BadRequest("filter must be an object")
    for key, value in filter.items():
        if key in ("$and", "$or"):
            if not isinstance(value, list) or not value:
                raise BadRequest(f"{key} needs a list of filters")
            for part in value:
                check_filter(part)
        elif key.startswith("$"):
            raise BadRequest(f"unknown operator {key}")
        elif isinstance(value, dict):
            for operator, operand in value.items():
                _check_operand(operator, operand)
        elif not isinstance(value, _SCALAR):
            raise BadRequest("a filter value must be a string, number or boolean")


def _check_operand(operator: str, operand: object) -> None:
    if operator in ("$in", "$nin"):
        if not isinstance(operand, list) or not all(isinstance(item, _SCALAR) for item in operand):
            raise BadRequest(f"the {operator} operator must be followed by a list of strings or numbers")
        if len(operand) > 10_000:
            raise BadRequest(f"the {operator} operator takes at most 10000 values")
    elif operator == "$exists":
        if not isinstance(operand, bool):
            raise BadRequest("the $exists operator must be followed by a boolean")
    elif operator in ("$gt", "$gte", "$lt", "$lte"):
        if isinstance(operand, bool) or not isinstance(operand, int | float):
            raise BadRequest(f"the {operator} operator must be followed by a number")
    elif operator in ("$eq", "$ne"):
        if not isinstance(operand, _SCALAR):
            raise BadRequest(f"the {operator} operator must be followed by a string, number or boolean")
    else:
        raise BadRequest(f"unknown operator {operator}")


def matches(metadata: dict[str, Any], filter: dict[str, Any]) -> bool:
    for key, value in filter.items():
        if key == "$and":
            good = all(matches(metadata, part) for part in value)
        elif key == "$or":
            good = any(matches(metadata, part) for part in value)
        else:
            conditions = value if isinstance(value, dict) else {"$eq": value}
            good = all(_holds(metadata, key, operator, operand) for operator, operand in conditions.items())
        if not good:
            return False
    return True


def _holds(metadata: dict[str, Any], key: str, operator: str, operand: Any) -> bool:
    if operator == "$exists":
        return (key in metadata) == operand
    values = metadata.get(key, [])
    values = values if isinstance(values, list) else [values]
    if operator == "$eq":
        return any(_same(value, operand) for value in values)
    if operator == "$ne":
        return not any(_same(value, operand) for value in values)
    if operator == "$in":
        return any(_same(value, item) for value in values for item in operand)
    if operator == "$nin":
        return not any(_same(value, item) for value in values for item in operand)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    compare = {"$gt": float.__gt__, "$gte": float.__ge__, "$lt": float.__lt__, "$lte": float.__le__}[operator]
    return any(compare(float(value), float(operand)) for value in numbers)


def _same(a: object, b: object) -> bool:
    return isinstance(a, bool) == isinstance(b, bool) and a == b
