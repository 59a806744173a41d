"""Is this data fit for training? Repeats, mixed formats and languages, length, and knowledge in disguise."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from groundtune.messages import say
from groundtune.text.normalise import fold, squeeze
from groundtune.text.scripts import language_of
from groundtune.text.tokenise import reading_units
from groundtune.tuning.data import line_of
from groundtune.tuning.facts import known_facts
from groundtune.types import Document, Example, Question

Severity = Literal["error", "warning", "info"]
Advice = Literal["fine", "passage", "retrieval"]
_USUAL = 0.7  # what this share of the answers does is the rule that the others break
FEW, MANY = 0.1, 0.5  # shares of answers with facts of the documents: advice changes above them


@dataclass(frozen=True)
class Finding:
    """One thing to look at. ``rule`` names the sentence; ``id`` is empty and ``line`` 0 for the data as a whole."""

    rule: str
    severity: Severity
    id: str = ""
    line: int = 0
    params: Mapping[str, object] = field(default_factory=dict)

    def sentence(self, lang: str | None = None) -> str:
        """What was found."""
        return say(f"tuning.lint.{self.rule}", lang, **{**self.params, "id": self.id})

    def fix(self, lang: str | None = None) -> str:
        """What to do about it."""
        return say(f"tuning.fix.{self.rule}", lang)


@dataclass(frozen=True)
class LintReport:
    """All findings. ``knowledge_share`` is the share of examples, in [0, 1], whose answer states facts that only the
    documents hold.
    """

    examples: int
    findings: tuple[Finding, ...]
    knowledge_share: float

    @property
    def advice(self) -> Advice:
        """``fine``, put the ``passage`` in the prompt, or ``retrieval``: this is knowledge, not form."""
        if self.knowledge_share <= FEW:
            return "fine"
        return "retrieval" if self.knowledge_share > MANY else "passage"

    def advice_sentence(self, lang: str | None = None) -> str:
        return say(f"tuning.advice.{self.advice}", lang, share=f"{self.knowledge_share:.0%}")

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)

    def summary(self, lang: str | None = None) -> str:
        errors, warnings = self.count("error"), self.count("warning")
        return say("tuning.lint.summary", lang, examples=self.examples, errors=errors, warnings=warnings)


def lint(
    examples: Sequence[Example],
    questions: Sequence[Question] = (),
    documents: Sequence[Document] = (),
    tokenizer: Any = None,  # noqa: ANN401 - a transformers tokenizer
    max_tokens: int = 512,
    *,
    instruction: str = "",
) -> LintReport:
    """Check training examples against each other, the held-out ``questions`` and the ``documents``.

    ``max_tokens`` limits an answer, counted by ``tokenizer``, or without one in words and CJK characters (a lower
    bound). ``instruction`` is ``format.instruction`` of the project.
    """
    knowledge = known_facts(examples, {document.id: document.text for document in documents})
    findings = [
        *_repeats(examples),
        *_answers(examples, tokenizer, max_tokens),
        *_formats(examples),
        *_languages(examples),
        *_systems(examples, instruction),
        *_template(tokenizer),
        *_leaks(examples, questions),
    ]
    for known in knowledge:
        params = {"fact": known.fact, "document": known.document, "quote": known.quote}
        findings.append(_at(known.example, "knowledge", "warning", **params))
    findings.sort(key=lambda finding: (("error", "warning", "info").index(finding.severity), finding.line))
    return LintReport(len(examples), tuple(findings), len(knowledge) / len(examples) if examples else 0.0)


def _at(example: Example, rule: str, severity: Severity, **params: object) -> Finding:
    return Finding(rule, severity, example.id, line_of(example), params)


def _key(example: Example) -> str:
    return "\n".join(f"{m.role}:{squeeze(fold(m.content))}" for m in example.prompt if m.role != "system")


def _repeats(examples: Sequence[Example]) -> list[Finding]:
    first: dict[str, Example] = {}
    found = []
    for example in examples:
        other = first.setdefault(_key(example), example)
        if other is example:
            continue
        same = squeeze(fold(other.target)) == squeeze(fold(example.target))
        rule = "duplicate" if same else "conflict"  # no error: of free text several versions can be right
        found.append(_at(example, rule, "warning", other=other.id))
    return found


def _answers(examples: Sequence[Example], tokenizer: Any, max_tokens: int) -> list[Finding]:  # noqa: ANN401
    found = []
    for example in examples:
        if not example.target.strip():
            found.append(_at(example, "empty_answer", "error"))
            continue
        if tokenizer is None:
            tokens = len(reading_units(example.target))
        else:
            tokens = len(tokenizer(example.target, add_special_tokens=False)["input_ids"])
        if tokens > max_tokens:
            found.append(_at(example, "too_long", "error", tokens=tokens, max_tokens=max_tokens))
    return found


def _json(text: str) -> Any:  # noqa: ANN401
    """The JSON object or array that the whole text is, None otherwise."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict | list) else None


def _formats(examples: Sequence[Example]) -> list[Finding]:
    kinds = ["json" if _json(example.target) is not None else "text" for example in examples]
    found = []
    for example, kind, usual, share in _minority(examples, kinds):
        names = {"found": say(f"tuning.kind.{kind}"), "usual": say(f"tuning.kind.{usual}")}
        found.append(_at(example, "mixed_format", "warning", share=f"{share:.0%}", **names))
    objects = [(e, value) for e in examples if isinstance(value := _json(e.target), dict)]
    keys = [", ".join(sorted(value)) for _, value in objects]
    for example, fields, usual, _ in _minority([e for e, _ in objects], keys):
        found.append(_at(example, "mixed_keys", "warning", found=fields or "-", usual=usual))
    return found


def _languages(examples: Sequence[Example]) -> list[Finding]:
    texts = [(example, _prose(example.target)) for example in examples]
    spoken = [(example, language_of(text)) for example, text in texts if sum(c.isalpha() for c in text) >= 4]
    rows = _minority([example for example, _ in spoken], [language for _, language in spoken])
    return [
        _at(example, "mixed_language", "warning", found=found, usual=usual, share=f"{share:.0%}")
        for example, found, usual, share in rows
    ]


def _prose(target: str) -> str:
    """The text that a reader sees: string values of a JSON answer, the answer itself otherwise."""
    value = _json(target)
    if isinstance(value, dict):
        return " ".join(str(item) for item in value.values() if isinstance(item, str))
    return target if value is None else ""


def _minority(items: Sequence[Example], kinds: Sequence[str]) -> list[tuple[Example, str, str, float]]:
    """Items that do not do what most do, when there is such a rule: item, its kind, the usual kind and its share."""
    if not kinds:
        return []
    usual, count = Counter(kinds).most_common(1)[0]
    share = count / len(kinds)
    if share < _USUAL:
        return []
    return [(item, kind, usual, share) for item, kind in zip(items, kinds, strict=True) if kind != usual]


def _systems(examples: Sequence[Example], instruction: str) -> list[Finding]:
    if not instruction.strip():
        return []
    systems = [next((m.content for m in e.messages if m.role == "system"), "") for e in examples]
    without = sum(not system for system in systems)
    other = sum(bool(system) and squeeze(system) != squeeze(instruction) for system in systems)
    found = [Finding("no_system", "info", params={"count": without})] if without else []
    return found + ([Finding("other_system", "warning", params={"count": other})] if other else [])


def _template(tokenizer: Any) -> list[Finding]:  # noqa: ANN401
    if tokenizer is None or not getattr(tokenizer, "chat_template", None):
        return []
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "ANSWER"}]
    after = str(tokenizer.apply_chat_template(turns, tokenize=False)).rpartition("ANSWER")[2]
    ends = any(token and token in after for token in tokenizer.all_special_tokens)
    return [] if ends else [Finding("no_end_token", "info")]


def _leaks(examples: Sequence[Example], questions: Sequence[Question]) -> list[Finding]:
    asked = {squeeze(fold(question.text)): question.id for question in questions}
    rows = [(example, asked.get(squeeze(fold(example.input)))) for example in examples]
    return [_at(example, "leaked", "error", other=other) for example, other in rows if other is not None]
