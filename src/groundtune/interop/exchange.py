"""Questions and answers in the formats of Ragas, promptfoo and OpenAI Evals, there and back.

Ragas: ``EvaluationDataset`` JSONL (single-turn samples, 0.2 and later). promptfoo: a configuration as JSON. OpenAI Evals:
samples JSONL of the open-source framework (``input``, ``ideal``), and rows of the Evals API (``item``, ``sample``) with the
definition of the eval. What a format has no place for travels under ``groundtune``, which all three ignore.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.types import Question

FORMATS = ("ragas", "promptfoo", "openai-evals", "openai-evals-api")
OURS = "groundtune"
_REFUSES = "Says that the documents do not answer this question, and gives no answer."


@dataclass(frozen=True)
class Answered:
    """A question with what an approach answered: the text, the passages that it was shown and their documents."""

    question: Question
    output: str | None = None
    contexts: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exported:
    """What is written: the file's text, and a second one where a format has its definition apart."""

    text: str
    definition: str = ""


def export(rows: Sequence[Answered], format: str, *, name: str, instruction: str, model: str = "") -> Exported:
    """Questions (with answers where there are any) in one of ``FORMATS``. ``instruction`` is the system prompt."""
    if format == "ragas":
        return Exported(as_lines(_ragas(row) for row in rows))
    if format == "promptfoo":
        return Exported(_pretty(_promptfoo(rows, name, instruction, model)))
    if format == "openai-evals":
        return Exported(as_lines(_sample(row, instruction) for row in rows), _registry(name))
    return Exported(as_lines(_item(row) for row in rows), _pretty(_definition(name)))


def as_row(question: Question) -> dict[str, Any]:
    """A question as a line of questions.jsonl."""
    row: dict[str, Any] = {"question": question.text, "answers": list(question.answers)}
    if question.id:
        row["id"] = question.id
    if question.evidence is not None:
        row["evidence"] = {"document": question.evidence.document, "quote": question.evidence.quote}
    if not question.answerable:
        row["answerable"] = False
    if metadata := {key: value for key, value in question.metadata.items() if key != "line"}:
        row["metadata"] = metadata
    return row


def as_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """The text of a JSONL file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


# -- one format each -----------------------------------------------------------------------------------------------


def _ragas(row: Answered) -> dict[str, Any]:
    question = row.question
    sample: dict[str, Any] = {"user_input": question.text}
    if question.answers:
        sample["reference"] = question.answers[0]
    if question.evidence is not None:
        sample["reference_contexts"] = [question.evidence.quote]
        sample["reference_context_ids"] = [question.evidence.document]
    if row.output is not None:
        sample["response"] = row.output
    if row.contexts:
        sample["retrieved_contexts"] = list(row.contexts)
    if row.documents:
        sample["retrieved_context_ids"] = list(row.documents)
    return sample | {OURS: as_row(question)}


def _promptfoo(rows: Sequence[Answered], name: str, instruction: str, model: str) -> dict[str, Any]:
    prompt = json.dumps(_chat(instruction, "{{question}}"), ensure_ascii=False)
    return {
        "description": name,
        "providers": [model or "echo"],
        "prompts": [{"label": name, "raw": prompt}],
        "tests": [_test(row) for row in rows],
    }


def _test(row: Answered) -> dict[str, Any]:
    question = row.question
    if question.answerable and question.answers:
        wanted: dict[str, Any] = {"type": "icontains-any", "value": list(question.answers)}
    else:
        wanted = {"type": "llm-rubric", "value": _REFUSES}
    made: dict[str, Any] = {
        "description": question.id or question.text[:60],
        "vars": {"question": question.text},
        "assert": [wanted],
        "metadata": {OURS: as_row(question)},
    }
    return made | ({"providerOutput": row.output} if row.output is not None else {})


def _sample(row: Answered, instruction: str) -> dict[str, Any]:
    return {
        "input": _chat(instruction, row.question.text),
        "ideal": list(row.question.answers),
        OURS: as_row(row.question),
    }


def _chat(instruction: str, asked: str) -> list[dict[str, str]]:
    system = [{"role": "system", "content": instruction}] if instruction else []
    return [*system, {"role": "user", "content": asked}]


def _registry(name: str) -> str:
    """The framework finds a set of samples by a registry file; JSON is YAML."""
    plain = "".join(c if c.isalnum() and c.isascii() else "-" for c in name.lower()).strip("-") or "groundtune"
    version = f"{plain}.test.v0"
    table = {
        plain: {"id": version, "metrics": ["accuracy"]},
        version: {
            "class": "evals.elsuite.basic.includes:Includes",
            "args": {"samples_jsonl": f"{plain}/samples.jsonl"},
        },
    }
    return _pretty(table)


def _item(row: Answered) -> dict[str, Any]:
    question = row.question
    item: dict[str, Any] = {
        "question": question.text,
        "reference": question.answers[0] if question.answers else "",
        "answerable": question.answerable,
        OURS: as_row(question),
    }
    return {"item": item} | ({"sample": {"output_text": row.output}} if row.output is not None else {})


def _definition(name: str) -> dict[str, Any]:
    """Arguments of ``client.evals.create``."""
    properties = {"question": {"type": "string"}, "reference": {"type": "string"}, "answerable": {"type": "boolean"}}
    schema = {"type": "object", "properties": {**properties, OURS: {"type": "object"}}, "required": list(properties)}
    grader = {
        "type": "string_check",
        "name": "answer in output",
        "operation": "ilike",
        "input": "{{sample.output_text}}",
        "reference": "{{item.reference}}",
    }
    return {
        "name": name,
        "data_source_config": {"type": "custom", "item_schema": schema, "include_sample_schema": True},
        "testing_criteria": [grader],
    }


def _pretty(table: Mapping[str, Any]) -> str:
    return json.dumps(table, ensure_ascii=False, indent=1) + "\n"
