"""Is this data fit for training? Every check of the room, in one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.text.normalise import squeeze
from groundtune.tuning import consistency
from groundtune.tuning.data import MINIMUM_EXAMPLES, Problem
from groundtune.tuning.facts import known_facts
from groundtune.tuning.findings import FEW, MANY, SEVERITIES, Finding, Level, LintReport, at, from_problem
from groundtune.tuning.private import scan_example
from groundtune.tuning.repeats import leaks, repeats
from groundtune.tuning.template import check_template
from groundtune.types import Document, Example, Question

__all__ = ["FEW", "MANY", "Finding", "LintReport", "lint"]
_SOME = 50  # from here on fine-tuning is reported to change anything


def lint(
    examples: Sequence[Example],
    questions: Sequence[Question] = (),
    documents: Sequence[Document] = (),
    tokenizer: Any = None,  # noqa: ANN401 - a transformers tokenizer
    max_tokens: int = 512,
    *,
    instruction: str = "",
    schema: Mapping[str, Any] | None = None,
    problems: Sequence[Problem] = (),
    levels: Mapping[str, Level] | None = None,
) -> LintReport:
    """Check training examples against each other, the held-out ``questions`` and the ``documents``.

    ``max_tokens`` limits prompt and answer, counted by ``tokenizer`` with its chat template; without a tokenizer the
    answer alone is counted in words and CJK characters (a lower bound). ``instruction`` and ``schema`` are the house
    format of the project; ``problems`` are lines that could not be read; ``levels`` come from a closed-book probe.
    """
    knowledge = known_facts(examples, {document.id: document.text for document in documents})
    findings = [
        *(from_problem(problem) for problem in problems),
        *_amount(examples),
        *repeats(examples),
        *consistency.answers(examples, max_tokens, counted=tokenizer is not None),
        *consistency.forms(examples, schema),
        *consistency.languages(examples),
        *_systems(examples, instruction),
        *_turns(examples),
        *leaks(examples, questions),
        *(finding for example in examples for finding in _private(example)),
    ]
    if tokenizer is not None:
        findings += check_template(examples, tokenizer, max_tokens)
    for known in knowledge:
        params = {"fact": known.fact, "document": known.document, "quote": known.quote}
        findings.append(at(known.example, "knowledge", "warning", **params))
    findings.sort(key=lambda finding: (SEVERITIES.index(finding.severity), finding.line))
    share = len(knowledge) / len(examples) if examples else 0.0
    flagged = {known.example.id for known in knowledge}
    kept = {name: level for name, level in (levels or {}).items() if name in flagged}
    return LintReport(len(examples), tuple(findings), share, kept, bool(documents))


def _amount(examples: Sequence[Example]) -> list[Finding]:
    if 0 < len(examples) < MINIMUM_EXAMPLES:
        return [Finding("too_few", "info", params={"count": len(examples), "minimum": MINIMUM_EXAMPLES})]
    if MINIMUM_EXAMPLES <= len(examples) < _SOME:
        return [Finding("few", "info", params={"count": len(examples), "some": _SOME})]
    return []


def _systems(examples: Sequence[Example], instruction: str) -> list[Finding]:
    if not instruction.strip():
        return []
    systems = [next((m.content for m in e.messages if m.role == "system"), "") for e in examples]
    without = sum(not system for system in systems)
    other = sum(bool(system) and squeeze(system) != squeeze(instruction) for system in systems)
    found = [Finding("no_system", "info", params={"count": without})] if without else []
    return found + ([Finding("other_system", "warning", params={"count": other})] if other else [])


def _turns(examples: Sequence[Example]) -> list[Finding]:
    """Only the last answer of a chat is trained; earlier ones are context."""
    several = sum(any(m.role == "assistant" for m in example.prompt) for example in examples)
    return [Finding("earlier_answers", "info", params={"count": several})] if several else []


def _private(example: Example) -> list[Finding]:
    found: dict[str, int] = {}
    for hit in scan_example(example):
        found[hit.kind] = found.get(hit.kind, 0) + 1
    return [
        at(example, "secret" if kind in ("api_key", "private_key") else "private",
           "error" if kind in ("api_key", "private_key") else "warning", what_kind=kind, count=count)
        for kind, count in found.items()
    ]  # fmt: skip
