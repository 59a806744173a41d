"""Training data of any common form to ``examples.jsonl``: JSONL, JSON arrays, CSV and TSV; what was dropped is said."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundtune.errors import DataError
from groundtune.files import write_whole
from groundtune.messages import say
from groundtune.tuning.convert import Columns, Unfit, convert, format_of
from groundtune.tuning.data import Line, Problem, parse_lines, read_text
from groundtune.tuning.near import NEAR, near_pairs
from groundtune.types import Example, messages_digest

_TABLES = (".csv", ".tsv", ".tab")
_LARGEST_FIELD = 10_000_000  # characters of one CSV cell


@dataclass(frozen=True)
class Note:
    """Something that was changed on a line while it was taken: ``key`` is under ``tuning.note``."""

    line: int
    key: str

    def sentence(self, lang: str | None = None) -> str:
        return say(f"tuning.note.{self.key}", lang)


@dataclass(frozen=True)
class Imported:
    """Examples from a file of ``rows`` rows, the rows that gave none with the reason, and what was changed.

    ``formats`` counts rows by format; ``duplicates`` and ``near_duplicates`` are among the ``dropped``.
    """

    examples: tuple[Example, ...]
    rows: int
    dropped: tuple[Problem, ...]
    notes: tuple[Note, ...]
    formats: Mapping[str, int] = field(default_factory=dict)

    def dropped_for(self, key: str) -> int:
        return sum(problem.key == key for problem in self.dropped)


def import_file(
    path: str | Path,
    columns: Columns = Columns(),  # noqa: B008 - frozen
    *,
    every_turn: bool = True,
    encoding: str = "",
    near: float | None = None,
) -> Imported:
    """Read a file of training data, its form found from its content. Exact repeats are dropped; near-duplicates of
    similarity ``near`` or more as well, when it is given (``near.NEAR`` is a good value).

    Raises ``DataError`` for a file that cannot be read, or that holds no example at all.
    """
    source = Path(path)
    problems: list[Problem] = []
    lines = _rows(source, encoding, problems)
    total = len(lines) + len(problems)
    examples: list[Example] = []
    notes: list[Note] = []
    formats: Counter[str] = Counter()
    for line in lines:
        try:
            chats = convert(line.value, columns, every_turn=every_turn)
        except Unfit as unfit:
            problems.append(Problem(line.number, unfit.key, unfit.params))
            continue
        formats[format_of(line.value, columns)] += 1
        notes += [Note(line.number, key) for key in chats[0].notes]
        for turn, chat in enumerate(chats, start=1):
            examples.append(_example(chat.messages, chat.metadata, line.number, turn if len(chats) > 1 else 0))
    kept = _without_repeats(examples, problems)
    if near is not None:
        kept = _without_near(kept, near, problems)
    if not kept:
        shown = "\n".join(f"  - {say('tuning.line.at', line=p.line, problem=p.sentence())}" for p in problems[:10])
        raise DataError("tuning.import_nothing", path=source, problems=shown or f"  - {say('tuning.line.no_rows')}")
    problems.sort(key=lambda problem: problem.line)
    return Imported(tuple(kept), total, tuple(problems), tuple(notes), dict(formats))


def write_examples(path: str | Path, examples: Sequence[Example]) -> None:
    """Write canonical JSONL, the whole file or nothing."""
    rows = []
    for example in examples:
        metadata = {key: value for key, value in example.metadata.items() if key != "line"}
        row: dict[str, object] = {"messages": [message.as_dict() for message in example.messages], "id": example.id}
        rows.append(json.dumps({**row, "metadata": metadata} if metadata else row, ensure_ascii=False))
    write_whole(Path(path), "\n".join(rows) + "\n")


def _rows(path: Path, encoding: str, problems: list[Problem]) -> list[Line]:
    text = _decoded(path, encoding)
    if path.name.removesuffix(".gz").lower().endswith(_TABLES):
        return list(_table(text, path, problems))
    if text.lstrip()[:1] == "[":
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 1)
            raise DataError("tuning.import_json", path=path, line=line, reason=getattr(error, "msg", error)) from error
        return list(_array(value, problems))
    try:  # one object over several lines, perhaps with the rows under a key
        value = json.loads(text)
    except (ValueError, RecursionError):
        return parse_lines(text, problems)
    if isinstance(value, dict) and not format_of(value):
        inner = next((v for v in value.values() if isinstance(v, list) and v and isinstance(v[0], dict)), None)
        if inner is not None:
            return list(_array(inner, problems))
    return [Line(1, value)] if isinstance(value, dict) else parse_lines(text, problems)


def _decoded(path: Path, encoding: str) -> str:
    if not encoding:
        raw = path.read_bytes()[:4] if path.is_file() else b""
        if not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            try:
                return read_text(path)
            except DataError as error:
                if error.key != "tuning.not_utf8":
                    raise
                raise DataError("tuning.import_encoding", **error.params) from error
        encoding = "utf-16"
    if not path.is_file():
        raise DataError("core.file_missing", path=path)
    try:
        return path.read_bytes().decode(encoding).removeprefix("\ufeff")
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError("tuning.import_bad_encoding", path=path, encoding=encoding) from error


def _array(values: Sequence[Any], problems: list[Problem]) -> Iterator[Line]:
    for number, value in enumerate(values, start=1):
        if isinstance(value, dict):
            yield Line(number, value)
        else:
            problems.append(Problem(number, "object", {"found": type(value).__name__}))


def _table(text: str, path: Path, problems: list[Problem]) -> Iterator[Line]:
    csv.field_size_limit(_LARGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, path))
    try:
        head = next((row for row in reader if any(cell.strip() for cell in row)), None)
        names = [cell.strip() for cell in head or ()]
        start = reader.line_num + 1
        for row in reader:
            number, start = start, reader.line_num + 1  # a cell may hold line breaks: the first line of the row
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(names):
                problems.append(Problem(number, "cells", {"found": len(row), "expected": len(names)}))
                continue
            yield Line(number, dict(zip(names, row, strict=True)))
    except csv.Error as error:
        raise DataError("tuning.import_json", path=path, line=reader.line_num, reason=error) from error


def _delimiter(text: str, path: Path) -> str:
    if not path.name.removesuffix(".gz").lower().endswith(".csv"):
        return "\t"
    head = next((line for line in text.splitlines() if line.strip()), "")
    return max((",", ";", "\t", "|"), key=head.count)


def _example(messages: Sequence[Any], metadata: Mapping[str, object], line: int, turn: int) -> Example:
    own = metadata.get("id")
    name = str(own) if isinstance(own, str | int) and str(own) else f"line-{line}"
    rest = {key: value for key, value in metadata.items() if key != "id"}
    if turn:  # parts of one chat must not stand on both sides of a split
        rest = {**rest, "conversation": name}
        name = f"{name}-{turn}"
    return Example(tuple(messages), id=name, metadata={**rest, "source_line": line})


def _without_repeats(examples: Sequence[Example], problems: list[Problem]) -> list[Example]:
    first: dict[str, Example] = {}
    names: Counter[str] = Counter()
    kept = []
    for example in examples:
        other = first.setdefault(messages_digest(example.messages), example)
        line = _line(example)
        if other is not example:
            problems.append(Problem(line, "repeats", {"other": _line(other)}))
            continue
        names[example.id] += 1
        if names[example.id] > 1:  # an id of the source that is used twice
            example = Example(example.messages, f"{example.id}-line-{line}", example.metadata)
        kept.append(example)
    return kept


def _without_near(examples: Sequence[Example], threshold: float, problems: list[Problem]) -> list[Example]:
    gone = {pair.second: pair for pair in near_pairs([f"{e.input}\n{e.target}" for e in examples], threshold)}
    for index, pair in gone.items():
        params = {"other": _line(examples[pair.first]), "similarity": f"{pair.similarity:.0%}"}
        problems.append(Problem(_line(examples[index]), "nearly_repeats", params))
    return [example for index, example in enumerate(examples) if index not in gone]


def _line(example: Example) -> int:
    line = example.metadata.get("source_line", 0)
    return line if isinstance(line, int) else 0


__all__ = ["NEAR", "Columns", "Imported", "Note", "import_file", "write_examples"]
