"""What is in a set of examples, in numbers that a person can read before training on it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundtune.text.normalise import squeeze
from groundtune.text.tokenise import reading_units
from groundtune.tuning.consistency import form_of, spoken_language
from groundtune.tuning.near import near_pairs
from groundtune.tuning.private import count_kinds
from groundtune.tuning.rows import length
from groundtune.types import Example, messages_digest


@dataclass(frozen=True)
class Spread:
    """Median, 95th percentile and maximum of some counts; zeros for none."""

    p50: int = 0
    p95: int = 0
    longest: int = 0
    total: int = 0


@dataclass(frozen=True)
class Survey:
    """``tokens`` are of prompt, answer and end token by the base model's tokenizer, or words and CJK characters when
    ``exact`` is False; ``answers`` is the same for the answer alone. The maps count examples by what they are.
    """

    examples: int
    turns: Mapping[int, int]
    tokens: Spread
    answers: Spread
    exact: bool
    languages: Mapping[str, int] = field(default_factory=dict)
    forms: Mapping[str, int] = field(default_factory=dict)
    systems: int = 0
    documents: int = 0
    duplicates: int = 0
    near_duplicates: int = 0
    same_answer: int = 0
    private: Mapping[str, int] = field(default_factory=dict)


def survey(examples: Sequence[Example], tokenizer: Any = None) -> Survey:  # noqa: ANN401 - a transformers tokenizer
    """The numbers. Raises ``TrainingError`` when ``tokenizer`` cannot write an example (``groundtune lint`` says all)."""
    if tokenizer is None:
        tokens = [sum(len(reading_units(m.content)) for m in e.messages) for e in examples]
        answers = [len(reading_units(e.target)) for e in examples]
    else:
        tokens = [length(example, tokenizer) for example in examples]
        answers = [len(tokenizer(e.target, add_special_tokens=False)["input_ids"]) for e in examples]
    unique = list({messages_digest(e.messages): e for e in examples}.values())
    common = Counter(squeeze(example.target) for example in examples).most_common(1)
    return Survey(
        examples=len(examples),
        turns=_counts([len(e.messages) for e in examples]),
        tokens=_spread(tokens),
        answers=_spread(answers),
        exact=tokenizer is not None,
        languages=_counts([language for e in examples if (language := spoken_language(e.target))]),
        forms=_counts([form_of(e.target) for e in examples]),
        systems=len({m.content for e in examples for m in e.messages if m.role == "system"}),
        documents=len({str(e.metadata["document"]) for e in examples if e.metadata.get("document")}),
        duplicates=len(examples) - len(unique),
        near_duplicates=len(near_pairs([f"{e.input}\n{e.target}" for e in unique])),
        same_answer=common[0][1] if common else 0,
        private={str(kind): count for kind, count in count_kinds(examples).items()},
    )


def _counts(values: Sequence[Any]) -> dict[Any, int]:
    return dict(Counter(values).most_common())


def _spread(values: Sequence[int]) -> Spread:
    if not values:
        return Spread()
    ordered = sorted(values)

    def at(share: float) -> int:  # nearest rank
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    return Spread(at(0.5), at(0.95), ordered[-1], sum(ordered))
