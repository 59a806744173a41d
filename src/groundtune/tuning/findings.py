"""What lint found, one thing at a time, and what the whole says: fit for training, passage in the prompt, or retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from groundtune.messages import say
from groundtune.tuning.data import Problem, line_of
from groundtune.types import Example

Severity = Literal["error", "warning", "info"]
Advice = Literal["fine", "passage", "retrieval"]
Level = Literal["known", "maybe", "unknown"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
FEW, MANY = 0.1, 0.5  # shares of answers with facts of the documents: advice changes above them


@dataclass(frozen=True)
class Finding:
    """One thing to look at. ``rule`` names the sentence; ``id`` is empty and ``line`` 0 for the data as a whole.

    A parameter that ends in ``_kind`` is the name of a form and is shown in the reader's language.
    """

    rule: str
    severity: Severity
    id: str = ""
    line: int = 0
    params: Mapping[str, object] = field(default_factory=dict)

    def sentence(self, lang: str | None = None) -> str:
        """What was found."""
        if self.rule == "schema":  # the sentences about single lines are those of the loader
            params = {key: value for key, value in self.params.items() if key != "problem"}
            return say(f"tuning.line.{self.params['problem']}", lang, **params)
        shown = {
            key.removesuffix("_kind"): say(f"tuning.kind.{value}", lang) if key.endswith("_kind") else value
            for key, value in self.params.items()
        }
        return say(f"tuning.lint.{self.rule}", lang, **{**shown, "id": self.id})

    def fix(self, lang: str | None = None) -> str:
        """What to do about it."""
        return say(f"tuning.fix.{self.rule}", lang)


@dataclass(frozen=True)
class LintReport:
    """All findings. ``knowledge_share`` is the share of examples, in [0, 1], whose answer states facts that only the
    documents hold. ``levels`` is what a closed-book probe found for such examples, by id (empty without a probe);
    ``looked_up`` says whether there were documents to look facts up in.
    """

    examples: int
    findings: tuple[Finding, ...]
    knowledge_share: float
    levels: Mapping[str, Level] = field(default_factory=dict)
    looked_up: bool = True

    @property
    def harmful_share(self) -> float:
        """The share that decides: facts that the base model already knows by heart cost nothing to train."""
        known = sum(level == "known" for level in self.levels.values())
        return max(0.0, self.knowledge_share - known / self.examples) if self.examples else 0.0

    @property
    def advice(self) -> Advice:
        """``fine``, put the ``passage`` in the prompt, or ``retrieval``: this is knowledge, not form."""
        if self.harmful_share <= FEW:
            return "fine"
        return "retrieval" if self.harmful_share > MANY else "passage"

    def advice_sentence(self, lang: str | None = None) -> str:
        key: str = self.advice
        if key == "fine" and (self.count("error") or any(finding.rule == "too_few" for finding in self.findings)):
            key = "repair"
        elif key == "fine" and not self.looked_up:
            key = "fine_unseen"
        return say(f"tuning.advice.{key}", lang, share=f"{self.harmful_share:.0%}")

    def probe_sentence(self, lang: str | None = None) -> str:
        """What the base model knows without the documents; empty without a probe."""
        if not self.levels:
            return ""
        counts = {
            level: sum(found == level for found in self.levels.values()) for level in ("known", "maybe", "unknown")
        }
        return say("tuning.advice.probe", lang, count=len(self.levels), **counts)

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)

    def summary(self, lang: str | None = None) -> str:
        errors, warnings = self.count("error"), self.count("warning")
        return say("tuning.lint.summary", lang, examples=self.examples, errors=errors, warnings=warnings)


def at(example: Example, rule: str, severity: Severity, **params: object) -> Finding:
    """A finding about one example."""
    return Finding(rule, severity, example.id, line_of(example), params)


def from_problem(problem: Problem) -> Finding:
    """A line that could not be read as an example."""
    return Finding("schema", "error", "", problem.line, {"problem": problem.key, **problem.params})


def clip(text: str, limit: int = 60) -> str:
    """One line of at most ``limit`` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
