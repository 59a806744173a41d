"""Repeated and contradicting examples, and training examples that the held-out questions would test."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.text.normalise import fold, squeeze
from groundtune.tuning.findings import Finding, at, clip
from groundtune.tuning.near import near_across, near_pairs
from groundtune.types import Example, Question

_NEAR_LEAK = 0.75


def prompt_key(example: Example) -> str:
    """The turns before the answer, folded, without the system prompt: equal keys, equal question."""
    return "\n".join(f"{m.role}:{squeeze(fold(m.content))}" for m in example.prompt if m.role != "system")


def repeats(examples: Sequence[Example]) -> list[Finding]:
    """Equal prompts with equal answers (``duplicate``) or different ones (``conflict``), and near-duplicates."""
    first: dict[str, Example] = {}
    found = []
    exact: set[int] = set()
    for index, example in enumerate(examples):
        other = first.setdefault(prompt_key(example), example)
        if other is example:
            continue
        exact.add(index)
        same = squeeze(fold(other.target)) == squeeze(fold(example.target))
        answers = {} if same else {"answer": clip(example.target), "other_answer": clip(other.target)}
        rule = "duplicate" if same else "conflict"  # no error: of free text several versions can be right
        found.append(at(example, rule, "warning", other=other.id, **answers))
    rows = [index for index in range(len(examples)) if index not in exact]
    for pair in near_pairs([f"{examples[i].input}\n{examples[i].target}" for i in rows]):
        example, other = examples[rows[pair.second]], examples[rows[pair.first]]
        found.append(at(example, "near_duplicate", "info", other=other.id, similarity=f"{pair.similarity:.0%}"))
    return found


def leaks(examples: Sequence[Example], questions: Sequence[Question]) -> list[Finding]:
    """Examples that ask what a held-out question asks: word for word after folding, or nearly so."""
    if not examples or not questions:
        return []
    found = []
    for pair in near_across([e.input for e in examples], [q.text for q in questions], _NEAR_LEAK):
        example, question = examples[pair.second], questions[pair.first]
        if pair.similarity == 1.0:
            found.append(at(example, "leaked", "error", other=question.id))
        else:
            similarity = f"{pair.similarity:.0%}"
            found.append(at(example, "leaked_near", "warning", other=question.id, similarity=similarity))
    return found
