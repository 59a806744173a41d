"""Metadata conditions as other libraries write them: one meaning for all, and what of it a store can look up itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from groundtune.errors import UserError
from groundtune.ports import READER, Filter

Word = Literal[
    "==", "!=", ">", ">=", "<", "<=", "in", "nin", "any", "all", "contains", "text_match", "text_match_insensitive",
    "is_empty",
]  # fmt: skip
_MONGO: dict[str, Word] = {
    "$eq": "==", "$ne": "!=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<=", "$in": "in", "$nin": "nin",
}  # fmt: skip
_GROUPS: dict[str, Literal["and", "or", "not"]] = {"$and": "and", "$or": "or", "$not": "not"}
# Keys that mean something else in a filter of ours than in the metadata of a passage.
_RESERVED = ("document_id", READER)


@dataclass(frozen=True, slots=True)
class Compare:
    """One comparison of a metadata value. A missing value passes only ``!=``, ``nin`` and ``is_empty``."""

    key: str
    word: Word
    value: Any = None


@dataclass(frozen=True, slots=True)
class Group:
    """Several conditions: all of them, any of them, or none of them."""

    join: Literal["and", "or", "not"]
    parts: tuple[Condition, ...]


Condition = Compare | Group


def read_condition(given: Mapping[str, Any]) -> Condition:
    """``{"team": "hr", "year": {"$gte": 2024}, "$or": [...]}``; a list means any of its values.

    Raises ``UserError`` for an operator that is not known.
    """
    parts: list[Condition] = []
    for key, value in given.items():
        if key in _GROUPS:
            inner = [value] if isinstance(value, Mapping) else list(value)
            parts.append(Group(_GROUPS[key], tuple(read_condition(one) for one in inner)))
        elif key.startswith("$"):
            raise UserError("interop.bad_operator", name=key, known=", ".join((*_MONGO, *_GROUPS)))
        elif isinstance(value, Mapping):
            parts.extend(_test(key, word, one) for word, one in value.items())
        elif isinstance(value, list | tuple | set | frozenset):
            parts.append(Compare(key, "in", tuple(value)))
        else:
            parts.append(Compare(key, "==", value))
    return parts[0] if len(parts) == 1 else Group("and", tuple(parts))


def _test(key: str, word: str, value: Any) -> Compare:  # noqa: ANN401
    if word not in _MONGO:
        raise UserError("interop.bad_operator", name=word, known=", ".join((*_MONGO, *_GROUPS)))
    return Compare(key, _MONGO[word], value)


def holds(condition: Condition, metadata: Mapping[str, Any]) -> bool:
    """Is it true of this metadata? Values that cannot be compared do not pass."""
    if isinstance(condition, Compare):
        return _passes(condition, metadata.get(condition.key))
    found = (holds(part, metadata) for part in condition.parts)
    if condition.join == "and":
        return all(found)
    return any(found) if condition.join == "or" else not any(found)


def as_filter(condition: Condition) -> Filter | None:
    """The same as a filter of a store, None when a store cannot say it."""
    tests = condition.parts if isinstance(condition, Group) and condition.join == "and" else (condition,)
    made: dict[str, Any] = {}
    for test in tests:
        if not isinstance(test, Compare) or test.key in made or test.key in _RESERVED:
            return None
        values = test.value if test.word == "in" and isinstance(test.value, Sequence) else (test.value,)
        if test.word not in ("==", "in") or isinstance(values, str) or not all(_scalar(value) for value in values):
            return None
        made[test.key] = tuple(values) if test.word == "in" else test.value
    return made


def _scalar(value: Any) -> bool:  # noqa: ANN401
    """SQLite takes True for 1: what must tell them apart is compared here."""
    return isinstance(value, str | float) or (isinstance(value, int) and not isinstance(value, bool) and value > 1)


def _passes(test: Compare, held: Any) -> bool:  # noqa: ANN401
    if test.word == "is_empty":
        return held is None or held == "" or held == []
    if held is None:
        return test.word in ("!=", "nin") or (test.word == "==" and test.value is None)
    try:
        return bool(_COMPARE[test.word](held, test.value))
    except TypeError:
        return False


_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": lambda held, value: held == value and isinstance(held, bool) == isinstance(value, bool),
    "!=": lambda held, value: held != value,
    ">": lambda held, value: held > value,
    ">=": lambda held, value: held >= value,
    "<": lambda held, value: held < value,
    "<=": lambda held, value: held <= value,
    "in": lambda held, value: held in value,
    "nin": lambda held, value: held not in value,
    "any": lambda held, value: any(one in held for one in value),
    "all": lambda held, value: all(one in held for one in value),
    "contains": lambda held, value: value in held,
    "text_match": lambda held, value: value in held,
    "text_match_insensitive": lambda held, value: value.casefold() in held.casefold(),
}
