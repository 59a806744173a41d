"""What a decision says: the frozen ``Verdict`` and its JSON form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from groundtune import registry
from groundtune.verdict.gates import Gate
from groundtune.verdict.sentence import Sentence

SCHEMA_VERSION = 1


class Level(StrEnum):
    """How sure: FIRM (every rival is excluded, beaten or cannot matter), PROVISIONAL (the winner beats something, but a
    rival is still open), INCONCLUSIVE (no winner: measure more).
    """

    FIRM = "firm"
    PROVISIONAL = "provisional"
    INCONCLUSIVE = "inconclusive"


class Standing(StrEnum):
    """What the measurement says about a claim."""

    HOLDS = "holds"
    FAILS = "does_not_hold"
    UNDECIDED = "undecided"
    UNMEASURED = "not_measured"


@dataclass(frozen=True)
class Rejection:
    """An approach that was not chosen, and why. ``cause``: gate, skipped, dominated, worse, tie or too_dear."""

    approach: str
    cause: str
    reason: Sentence


@dataclass(frozen=True)
class Claim:
    """A claim of the article against the measurement: difference ``a - b`` of ``metric`` on ``n`` items."""

    id: str
    standing: Standing
    sentence: Sentence
    metric: str = ""
    a: str = ""
    b: str = ""
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0


@dataclass(frozen=True)
class Flip:
    """What would change the verdict. ``kind``: volume, updates, retrieved_tokens, price, accuracy or worth.

    ``cost_only``: it turns the cost order, but the measured quality still decides otherwise. Not ``turns``: no value of
    it changes anything, which is worth knowing too.
    """

    kind: str
    sentence: Sentence
    cost_only: bool = False
    turns: bool = True


@dataclass(frozen=True)
class Lever:
    """A group of failures that one kind of work could remove: ``share`` of ``n`` items, and success if all were won.

    ``measured``: the failures were asked again with that work done (right passage given, format ignored), so ``share`` is
    what it would have won; else it is what the labels of the failures say.
    """

    name: str
    share: float
    low: float
    high: float
    n: int
    ceiling: float
    measured: bool = False


@dataclass(frozen=True)
class Verdict:
    """A whole decision. ``winner`` None is a legal answer: then ``leading`` is ahead without proof and
    ``items_needed`` more items would settle it.
    """

    winner: str | None
    leading: str | None
    level: Level
    headline: Sentence
    confidence: Sentence
    reasons: tuple[Sentence, ...]
    rejected: tuple[Rejection, ...]
    gates: tuple[Gate, ...]
    dominated: tuple[str, ...]
    flips: tuple[Flip, ...]
    claims: tuple[Claim, ...]
    levers: tuple[Lever, ...]
    next_steps: tuple[Sentence, ...]
    measured: tuple[Sentence, ...]
    assumed: tuple[Sentence, ...]
    priced: tuple[Sentence, ...]
    disagreements: tuple[Sentence, ...]
    items_needed: int | None
    metric: str
    n: int
    created: str
    schema_version: int = SCHEMA_VERSION

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return str(registry.resolve("view", "verdict")(self))

    def to_json(self, lang: str | None = None) -> str:
        """JSON; every sentence with its key, parameters and text in ``lang``."""
        table: dict[str, object] = {
            "schema_version": self.schema_version, "created": self.created, "winner": self.winner,
            "leading": self.leading, "level": self.level, "metric": self.metric, "n": self.n,
            "items_needed": self.items_needed, "headline": self.headline.as_dict(lang),
            "confidence": self.confidence.as_dict(lang), "dominated": list(self.dominated),
        }  # fmt: skip
        for name in ("reasons", "next_steps", "measured", "assumed", "priced", "disagreements"):
            table[name] = [s.as_dict(lang) for s in getattr(self, name)]
        table["rejected"] = [
            {"approach": r.approach, "cause": r.cause, "reason": r.reason.as_dict(lang)} for r in self.rejected
        ]
        table["gates"] = [
            {
                "rule": g.rule.id, "effect": g.rule.effect, "strength": g.rule.strength,
                "source": g.rule.source(lang), "cites": list(g.rule.cites),
                "approaches": list(g.approaches), "reason": g.sentence.as_dict(lang),
            }
            for g in self.gates
        ]  # fmt: skip
        table["flips"] = [
            {"kind": f.kind, "cost_only": f.cost_only, "turns": f.turns, "reason": f.sentence.as_dict(lang)}
            for f in self.flips
        ]
        plain = ("id", "standing", "metric", "a", "b", "difference", "low", "high", "n")
        table["claims"] = [
            {**{k: getattr(c, k) for k in plain}, "reason": c.sentence.as_dict(lang)} for c in self.claims
        ]
        table["levers"] = [
            {k: getattr(lever, k) for k in ("name", "share", "low", "high", "n", "ceiling", "measured")}
            for lever in self.levers
        ]
        return json.dumps(table, ensure_ascii=False, indent=1, default=str)
