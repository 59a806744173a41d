"""Questions from files of Ragas, promptfoo and OpenAI Evals, whoever wrote them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.errors import DataError
from groundtune.interop.exchange import OURS
from groundtune.tuning.data import read_text
from groundtune.types import Evidence, Question

_ASKED = ("question", "user_input", "query", "input", "prompt", "instruction")
_EXPECTED = (
    "reference", "ideal", "answers", "answer", "expected", "expected_output", "ground_truth", "ground_truths", "correct_label",
)  # fmt: skip
_EQUAL = ("equals", "iequals", "contains", "icontains", "starts-with", "contains-any", "icontains-any")


@dataclass(frozen=True)
class Dropped:
    """A row that says nothing that can be asked or compared; ``number`` counts rows from 1."""

    number: int
    reason: str


@dataclass(frozen=True)
class Imported:
    """What a file held. ``evidence``: questions whose evidence is named, or was found in one document only."""

    format: str
    questions: tuple[Question, ...]
    dropped: tuple[Dropped, ...] = ()

    @property
    def evidence(self) -> int:
        return sum(question.evidence is not None for question in self.questions)


def read_questions(path: str | Path, texts: Mapping[str, str] | None = None) -> Imported:
    """Read a file of any of the formats; ``texts`` are documents by id, in which quotes without a document are looked up.

    Raises ``DataError`` for a file that cannot be read, holds none of the formats or no question.
    """
    file = Path(path)
    rows = _rows(file)
    formats = {_format(row) for row in rows} - {""}
    if len(formats) != 1:
        raise DataError("interop.no_format", path=file)
    name = formats.pop()
    made: list[Question] = []
    dropped: list[Dropped] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        question = _question(row, name)
        if question is None or (question.answerable and not question.answers):
            dropped.append(Dropped(number, "no_question" if question is None else "no_answer"))
            continue
        key = json.dumps([question.text, question.answers, question.id], ensure_ascii=False)
        if key not in seen:
            seen.add(key)
            made.append(_located(question, texts or {}))
    if not made:
        raise DataError("interop.no_questions", path=file)
    return Imported(name, tuple(made), tuple(dropped))


def _rows(file: Path) -> list[Mapping[str, Any]]:
    text = read_text(file)
    if file.suffix == ".csv":
        return [dict(row) for row in csv.DictReader(io.StringIO(text))]
    try:
        if file.suffix in (".yaml", ".yml"):
            return _unwrapped(_yaml(text, file))
        try:
            return _unwrapped(json.loads(text))
        except ValueError:
            return _unwrapped([json.loads(line) for line in text.split("\n") if line.strip()])
    except (ValueError, RecursionError) as error:
        raise DataError("interop.not_json", path=file, reason=error) from error


def _yaml(text: str, file: Path) -> Any:  # noqa: ANN401
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise DataError("interop.no_yaml", path=file) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _unwrapped(value: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401
    """The rows of a list, of a promptfoo configuration or of its results."""
    if isinstance(value, Mapping):
        results = value.get("results")
        if isinstance(results, Mapping) and isinstance(results.get("results"), list):
            return [one.get("testCase") or one for one in results["results"] if isinstance(one, Mapping)]
        tests = value.get("tests")
        value = tests if isinstance(tests, list) else [value]
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _format(row: Mapping[str, Any]) -> str:
    if "vars" in row or "__expected" in row:
        return "promptfoo"
    if isinstance(row.get("item"), Mapping):
        return "openai-evals-api"
    if "ideal" in row and "input" in row:
        return "openai-evals"
    return "ragas" if "user_input" in row or ("question" in row and not {"answers", "evidence"} & row.keys()) else ""


def _question(row: Mapping[str, Any], format: str) -> Question | None:
    metadata = row.get("metadata")
    inner = row["item"] if format == "openai-evals-api" else row
    own = inner.get(OURS) or (metadata.get(OURS) if isinstance(metadata, Mapping) else None)
    if isinstance(own, Mapping) and isinstance(own.get("question"), str):
        return _own(own)
    if format == "promptfoo":
        return _from_promptfoo(row)
    text = _asked(inner)
    if not text:
        return None
    expected = next((inner[name] for name in _EXPECTED if inner.get(name)), None)
    question = Question(text, _texts(expected), answerable=inner.get("answerable") is not False)
    quotes = _texts(inner.get("reference_contexts"))
    documents = _texts(inner.get("reference_context_ids"))
    if quotes:
        return replace(question, evidence=Evidence(documents[0] if documents else "", quotes[0]))
    return question


def _own(row: Mapping[str, Any]) -> Question:
    given = row.get("evidence")
    evidence = Evidence(str(given["document"]), str(given["quote"])) if isinstance(given, Mapping) else None
    metadata = row.get("metadata")
    return Question(
        str(row["question"]),
        _texts(row.get("answers")),
        evidence,
        row.get("answerable") is not False,
        str(row.get("id", "")),
        dict(metadata) if isinstance(metadata, Mapping) else {},
    )


def _from_promptfoo(row: Mapping[str, Any]) -> Question | None:
    variables = row.get("vars")
    table = variables if isinstance(variables, Mapping) else {k: v for k, v in row.items() if not k.startswith("__")}
    text = _asked(table) or next((one for one in table.values() if isinstance(one, str) and one.strip()), "")
    if not text:
        return None
    answers: list[str] = []
    for one in row.get("assert") or ():
        if isinstance(one, Mapping) and one.get("type") in _EQUAL:
            answers += _texts(one.get("value"))
    for key, value in row.items():
        if key.startswith("__expected") and isinstance(value, str):
            kind, colon, said = value.partition(":")
            plain = said if colon and kind in _EQUAL else "" if colon and kind.replace("-", "").isalpha() else value
            answers += [part.strip() for part in plain.split(",")] if kind.endswith("-any") else [plain.strip()]
    return Question(text, tuple(dict.fromkeys(one for one in answers if one)))


def _asked(table: Mapping[str, Any]) -> str:
    for name in _ASKED:
        value = table.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, Sequence) and not isinstance(value, str):
            return next(_user_turns(value), "")
    return ""


def _user_turns(turns: Sequence[Any]) -> Iterator[str]:
    for turn in reversed(turns):
        if isinstance(turn, Mapping) and turn.get("role") == "user" and isinstance(turn.get("content"), str):
            yield str(turn["content"]).strip()


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    if value is None:
        return ()
    many = value if isinstance(value, list | tuple) else [value]
    return tuple(str(one).strip() for one in many if isinstance(one, str | int | float) and str(one).strip())


def _located(question: Question, texts: Mapping[str, str]) -> Question:
    """Evidence needs a document: one that is named, or the only one that holds the quote; else it is left out."""
    evidence = question.evidence
    if evidence is None or evidence.document:
        return question
    holding = [document for document, text in texts.items() if evidence.quote in text]
    return replace(question, evidence=Evidence(holding[0], evidence.quote) if len(holding) == 1 else None)
