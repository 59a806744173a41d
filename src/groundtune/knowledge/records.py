"""JSON and JSON Lines to text: ``key: value`` lines, a blank line between records, a heading where a record has one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from groundtune.errors import DataError
from groundtune.knowledge.decode import decode
from groundtune.knowledge.extract import Extract, one_line

_NAMES = (
    "title",
    "name",
    "heading",
    "subject",
    "question",
    "標題",
    "名稱",
    "題目",
    "問題",
    "タイトル",
    "名前",
    "件名",
    "質問",
)
_LONGEST_NAME = 120
_DEEPEST = 60


def read_json(data: bytes, name: str, charset: str = "") -> Extract:
    """One JSON value. Raises ``DataError`` naming the place of a mistake."""
    text = decode(data, name, declared=charset).lstrip("\ufeff")
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise DataError("knowledge.damaged", document=name) from error
    except ValueError as error:
        if name.lower().endswith(".json") and (many := _as_lines(text)) is not None:
            return many
        raise DataError("knowledge.bad_json", document=name, line=getattr(error, "lineno", 1)) from error
    records = value if isinstance(value, list) else [value]
    title = one_line(value[_name_key(value)]) if isinstance(value, dict) and _name_key(value) else ""
    return Extract(_records(records), title)


def read_jsonl(data: bytes, name: str, charset: str = "") -> Extract:
    """One JSON value a line. Raises ``DataError`` naming the first line that is not one."""
    rows: list[object] = []
    for number, line in enumerate(decode(data, name, declared=charset).lstrip("\ufeff").split("\n"), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise DataError("knowledge.bad_json", document=name, line=number) from error
    return Extract(_records(rows))


def _as_lines(text: str) -> Extract | None:
    """JSON Lines under the name of JSON."""
    try:
        return Extract(_records([json.loads(line) for line in text.split("\n") if line.strip()]))
    except (ValueError, RecursionError):
        return None


def _records(rows: list[object]) -> str:
    parts = [part for part in map(_record, rows) if part]
    return "\n\n".join(parts) + "\n" if parts else ""


def _record(row: object) -> str:
    key = _name_key(row) if isinstance(row, dict) else ""
    if not isinstance(row, dict) or not key:
        return "\n".join(_lines("", row))
    body = "\n".join(_lines("", {name: value for name, value in row.items() if name != key}))
    return f"## {one_line(row[key])}\n\n{body}".strip()


def _name_key(row: Mapping[str, object]) -> str:
    """The key of the value that names a record; empty when there is none."""
    for key, value in row.items():
        if key.lower() in _NAMES and isinstance(value, str) and 0 < len(value.strip()) <= _LONGEST_NAME:
            return key
    return ""


def _lines(key: str, value: object, depth: int = 0) -> Iterator[str]:
    """``key: value`` for each value; keys of nested objects are joined by dots."""
    if isinstance(value, Mapping) and depth < _DEEPEST:
        for name, inner in value.items():
            yield from _lines(f"{key}.{name}" if key else str(name), inner, depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST and any(isinstance(item, (Mapping, list)) for item in value):
        for item in value:
            yield from _lines(key, item, depth + 1)
    elif isinstance(value, list):
        yield from _lines(key, ", ".join(_scalar(item) for item in value), depth + 1)
    elif value is not None and (said := _scalar(value)):
        yield f"{key}: {said}" if key else said


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\r", "\n").strip()
    return json.dumps(value, ensure_ascii=False)
