"""examples.jsonl and questions.jsonl: read with line numbers, split without leaks, evidence checked."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from groundtune.errors import DataError
from groundtune.messages import say
from groundtune.types import Evidence, Example, Message, Question

MINIMUM_EXAMPLES = 10
SHOWN_PROBLEMS = 10
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_QUESTION_KEYS = {"question", "answers", "evidence", "answerable", "id", "metadata"}
Item = TypeVar("Item", Example, Question)


class _Bad(Exception):
    """One line is wrong; ``key`` and ``params`` make the sentence."""

    def __init__(self, key: str, **params: object) -> None:
        super().__init__(key)
        self.key = key
        self.params = params


@dataclass(frozen=True)
class Problem:
    """One line that is wrong: ``key`` names the sentence under ``tuning.line``, ``params`` fill it."""

    line: int
    key: str
    params: Mapping[str, object] = field(default_factory=dict)

    def sentence(self, lang: str | None = None) -> str:
        return say(f"tuning.line.{self.key}", lang, **self.params)


@dataclass(frozen=True)
class Read:
    """The examples of a file and the lines that are none."""

    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Line:
    """One JSON object of a JSONL file and the line (from 1) that it stands on."""

    number: int
    value: Mapping[str, Any]


def load_examples(path: str | Path) -> tuple[Example, ...]:
    """Read OpenAI chat JSONL (``.jsonl`` or ``.jsonl.gz``): ``{"messages": [...], "metadata"?: {...}, "id"?}``.

    The last turn must be a non-empty assistant turn after at least one user turn. ``metadata["line"]`` is the line
    in the file. Raises ``DataError`` naming the file, up to 10 bad lines and what to do.
    """
    return _load(Path(path), _example)


def read_examples(path: str | Path) -> Read:
    """As ``load_examples``, but wrong lines are returned beside the good ones. Raises ``DataError`` for a file that
    cannot be read at all.
    """
    problems: list[Problem] = []
    items = _read(Path(path), _example, problems)
    return Read(tuple(items), tuple(sorted(problems, key=lambda problem: problem.line)))


def load_questions(path: str | Path) -> tuple[Question, ...]:
    """Read ``{"question", "answers": [...], "evidence": {"document", "quote"}?, "answerable"?: true}`` lines.

    Other keys go to ``metadata``, as does the ``line``. Raises ``DataError`` as ``load_examples`` does.
    """
    return _load(Path(path), _question)


def require_enough(examples: Sequence[Example], minimum: int = MINIMUM_EXAMPLES) -> None:
    """Raise ``DataError`` when there are fewer examples than training can learn anything from."""
    if len(examples) < minimum:
        raise DataError("tuning.too_few", count=len(examples), minimum=minimum)


def line_of(item: Example | Question) -> int:
    """The line that an item was read from, 0 when it was not read from a file."""
    line = item.metadata.get("line")
    return line if isinstance(line, int) else 0


def check_evidence(questions: Sequence[Question], texts: Mapping[str, str]) -> tuple[Question, ...]:
    """The questions with ``evidence.document`` resolved to an id of ``texts`` (a file name or stem will do when it
    is unambiguous).

    White space is ignored when the quote is looked up. Raises ``DataError`` naming up to 10 question lines whose
    document is unknown or whose quote does not stand in it.
    """
    packed = {key: _pack(text) for key, text in texts.items()}
    checked: list[Question] = []
    problems: list[tuple[int, str]] = []
    for question in questions:
        if question.evidence is None:
            checked.append(question)
            continue
        document = _resolve(question.evidence.document, texts)
        params = {"document": question.evidence.document, "quote": _short(question.evidence.quote)}
        if document is None:
            problems.append((line_of(question), say("tuning.line.evidence_document", **params)))
        elif _pack(question.evidence.quote) not in packed[document]:
            problems.append((line_of(question), say("tuning.line.evidence_quote", **params)))
        else:
            checked.append(replace(question, evidence=Evidence(document, question.evidence.quote)))
    if problems:
        raise DataError("tuning.bad_evidence", count=len(problems), problems=_listed(problems))
    return tuple(checked)


def _load(path: Path, convert: Callable[[Line], Item]) -> tuple[Item, ...]:
    problems: list[Problem] = []
    items = _read(path, convert, problems)
    if problems:
        rows = sorted((problem.line, problem.sentence()) for problem in problems)
        raise DataError("tuning.bad_lines", path=path, count=len(problems), problems=_listed(rows))
    if not items:
        raise DataError("tuning.no_lines", path=path)
    return tuple(items)


def _read(path: Path, convert: Callable[[Line], Item], problems: list[Problem]) -> list[Item]:
    items: list[Item] = []
    seen: dict[str, int] = {}
    for line in parse_lines(read_text(path), problems):
        try:
            item = convert(line)
        except _Bad as bad:
            problems.append(Problem(line.number, bad.key, bad.params))
            continue
        if item.id in seen:
            problems.append(Problem(line.number, "id_twice", {"id": item.id, "other": seen[item.id]}))
        seen.setdefault(item.id, line.number)
        items.append(item)
    return items


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, ``.gz`` or not. Raises ``DataError`` when it is missing, unreadable or not UTF-8."""
    if not path.is_file():
        raise DataError("core.file_missing", path=path)
    raw = b""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError("tuning.not_utf8", path=path, line=line) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError("tuning.unreadable", path=path, reason=error) from error


def parse_lines(text: str, problems: list[Problem]) -> list[Line]:
    """The JSON objects of a JSONL text; what is none goes to ``problems``."""
    lines: list[Line] = []
    for number, row in enumerate(text.split("\n"), start=1):
        if not row.strip():
            continue
        try:
            value = json.loads(row)
        except (ValueError, RecursionError) as error:
            reason, column = (error.msg, error.colno) if isinstance(error, json.JSONDecodeError) else ("too deep", 1)
            problems.append(Problem(number, "json", {"reason": reason, "column": column}))
            continue
        if isinstance(value, dict):
            lines.append(Line(number, value))
        else:
            problems.append(Problem(number, "object", {"found": type(value).__name__}))
    return lines


def _listed(problems: Sequence[tuple[int, str]]) -> str:
    rows = [say("tuning.line.at", line=number, problem=problem) for number, problem in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        rows.append(say("tuning.line.more", count=len(problems) - SHOWN_PROBLEMS))
    return "\n".join(f"  - {row}" for row in rows)


def _example(line: Line) -> Example:
    turns = line.value.get("messages")
    if not isinstance(turns, list) or not turns:
        raise _Bad("no_messages")
    messages = tuple(_message(turn, position) for position, turn in enumerate(turns, start=1))
    if messages[-1].role != "assistant":
        raise _Bad("last_turn", role=messages[-1].role)
    if turns[-1].get("weight") == 0:
        raise _Bad("weight_zero")
    if not any(message.role == "user" for message in messages[:-1]):
        raise _Bad("no_user")
    metadata = _metadata(line)
    return Example(messages, id=_id(line, metadata, "example"), metadata=metadata)


def _message(turn: object, position: int) -> Message:
    if not isinstance(turn, dict):
        raise _Bad("turn_object", position=position)
    role = turn.get("role")
    if role not in _ROLES:
        raise _Bad("role", position=position, role=role, known=", ".join(_ROLES))
    if turn.get("tool_calls"):
        raise _Bad("tool_calls", position=position)
    content = turn.get("content")
    if isinstance(content, list):  # OpenAI content parts
        texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        content = "".join(text for text in texts if isinstance(text, str)) if len(texts) == len(content) else None
    if not isinstance(content, str):
        raise _Bad("content", position=position)
    if not content.strip():
        raise _Bad("empty_turn", position=position, role=role)
    return Message(_ROLES[role], content)  # type: ignore[arg-type]


def _question(line: Line) -> Question:
    value = line.value
    text = value.get("question")
    if not isinstance(text, str) or not text.strip():
        raise _Bad("no_question")
    answers = value.get("answers", [])
    if isinstance(answers, str):
        answers = [answers]
    if not isinstance(answers, list) or not all(isinstance(a, str) and a.strip() for a in answers):
        raise _Bad("answers")
    answerable = value.get("answerable", True)
    if not isinstance(answerable, bool):
        raise _Bad("answerable", found=json.dumps(answerable, ensure_ascii=False))
    if answerable and not answers:
        raise _Bad("no_answers")
    if answers and not answerable:
        raise _Bad("answers_unanswerable")
    metadata = {key: item for key, item in value.items() if key not in _QUESTION_KEYS} | _metadata(line)
    name = _id(line, metadata, "question")
    return Question(text, tuple(answers), _evidence(value.get("evidence")), answerable, name, metadata)


def _evidence(value: object) -> Evidence | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _Bad("evidence")
    document, quote = value.get("document"), value.get("quote")
    if not (isinstance(document, str) and document.strip() and isinstance(quote, str) and quote.strip()):
        raise _Bad("evidence")
    return Evidence(document, quote)


def _metadata(line: Line) -> dict[str, object]:
    metadata = line.value.get("metadata", {})
    if not isinstance(metadata, dict):
        raise _Bad("metadata")
    return {**metadata, "line": line.number}


def _id(line: Line, metadata: Mapping[str, object], prefix: str) -> str:
    name = line.value.get("id", metadata.get("id"))
    return str(name) if isinstance(name, str | int) and str(name) else f"{prefix}-{line.number}"


def _resolve(name: str, texts: Mapping[str, str]) -> str | None:
    if name in texts:
        return name
    for form in (lambda key: key.rpartition("/")[2], lambda key: Path(key).stem):
        found = [key for key in texts if form(key) == form(name)]
        if len(found) == 1:
            return found[0]
    return None


def _pack(text: str) -> str:
    """Without white space: line breaks inside Chinese and Japanese sentences carry none of the text."""
    return "".join(text.split())


def _short(text: str, limit: int = 60) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
