"""Style adherence without a judge: two measures, each on a scale from floor (0) to ceiling (1).

``profile`` compares character n-grams with those of the accepted targets (wording, fixed phrases, notation); ``form``
compares countable features (length, markup, punctuation, politeness). The ceiling is how much the targets are alike
among themselves (each against the others), the floor is how much plain text of the same users is (the inputs).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundtune.text.sentences import sentence_spans
from groundtune.types import Example

MINIMUM = 5  # targets; fewer say nothing about a style
_SIZES = (1, 2, 3)
_SPREAD = 3.0  # standard deviations from the targets' mean that count as "nothing in common"
_PATTERNS = (
    r"^\s*(?:[-*•・]|\d+[.)、])\s",  # list items
    r"^#{1,6}\s",
    r"\*\*|__",
    r"[{}\[\]]",
    r"[!！]",
    r"[?？]",
    r"[,，、]",
    r"\d",
    r"[\U0001f300-\U0001faff\u2600-\u27bf]",
    r"\b\w+'(?:s|t|re|ve|ll|d|m)\b",  # contractions
    r"\b(?:you|your|we|our)\b|您|敬請|貴|我們|弊社|当社|お客様",
    r"(?:です|ます|ました|ません|ください|でしょう)",
    r"(?:である|だった|だ)(?=[。\s]|$)",
)
_COMPILED = tuple(re.compile(pattern, re.MULTILINE | re.IGNORECASE) for pattern in _PATTERNS)


@dataclass(frozen=True)
class Scale:
    """Raw values that mean 0 (``floor``) and 1 (``ceiling``)."""

    floor: float
    ceiling: float

    def place(self, raw: float) -> float:
        """``raw`` on this scale, in [0, 1]."""
        if self.ceiling - self.floor < 1e-6:
            return float(raw >= self.ceiling)
        return min(1.0, max(0.0, (raw - self.floor) / (self.ceiling - self.floor)))


@dataclass(frozen=True)
class StyleScores:
    """Both measures of one text, in [0, 1]."""

    profile: float
    form: float


@dataclass(frozen=True)
class StyleReference:
    """What the house style looks like, from accepted targets."""

    grams: Mapping[str, float]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    profile_scale: Scale
    form_scale: Scale

    def score(self, text: str) -> StyleScores:
        """Both measures of an output; 0 for an empty one."""
        if not text.strip():
            return StyleScores(0.0, 0.0)
        raw = _cosine(_grams(text), self.grams)
        form = _closeness(features(text), self.mean, self.spread)
        return StyleScores(self.profile_scale.place(raw), self.form_scale.place(form))


def style_reference(examples: Sequence[Example]) -> StyleReference | None:
    """Learn the style of the examples' targets; None with fewer than 5 examples."""
    if len(examples) < MINIMUM:
        return None
    targets, inputs = [e.target for e in examples], [e.input for e in examples if e.input.strip()]
    grams = [_grams(target) for target in targets]
    total: Counter[str] = Counter()
    for profile in grams:
        total.update(profile)
    rows = np.stack([features(target) for target in targets])
    mean, spread = rows.mean(axis=0), rows.std(axis=0) + 0.05
    alike = [_cosine(profile, {g: total[g] - profile.get(g, 0.0) for g in total}) for profile in grams]
    plain = [_cosine(_grams(text), total) for text in inputs]
    near = [_closeness(row, mean, spread) for row in rows]
    far = [_closeness(features(text), mean, spread) for text in inputs]
    return StyleReference(dict(total), mean, spread, _scale(plain, alike), _scale(far, near))


def features(text: str) -> NDArray[np.float64]:
    """Countable form of a text: log length, log sentence length, log lines, then marks per 100 characters (log)."""
    length = max(1, len(text.strip()))
    sentences = sentence_spans(text)
    per_sentence = length / max(1, len(sentences))
    lines = text.strip().count("\n") + 1
    rates = [math.log1p(100.0 * len(pattern.findall(text)) / length) for pattern in _COMPILED]
    return np.asarray([math.log(length), math.log(per_sentence), math.log(lines), *rates], dtype=np.float64)


def _scale(floor: Sequence[float], ceiling: Sequence[float]) -> Scale:
    top = float(np.mean(ceiling))
    return Scale(min(float(np.mean(floor)) if floor else 0.0, top), top)


def _grams(text: str) -> dict[str, float]:
    squeezed = " ".join(text.split())
    counts: Counter[str] = Counter()
    for size in _SIZES:
        counts.update(squeezed[i : i + size] for i in range(len(squeezed) - size + 1))
    norm = math.sqrt(sum(c * c for c in counts.values())) or 1.0
    return {gram: count / norm for gram, count in counts.items()}


def _cosine(left: Mapping[str, float], right: Mapping[str, float]) -> float:
    dot = sum(value * right.get(gram, 0.0) for gram, value in left.items())
    norms = math.sqrt(sum(v * v for v in left.values())) * math.sqrt(sum(v * v for v in right.values()))
    return dot / norms if norms else 0.0


def _closeness(row: NDArray[np.float64], mean: NDArray[np.float64], spread: NDArray[np.float64]) -> float:
    """1 minus the mean distance in standard deviations, each feature capped at 3, over 3."""
    return 1.0 - float(np.minimum(np.abs(row - mean) / spread, _SPREAD).mean()) / _SPREAD
