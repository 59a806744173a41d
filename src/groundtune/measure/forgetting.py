"""Did training make the model forget? The base model and the tuned one on the same held-out things, before and after.

Three questions: does it still do general work (reading, copying, choosing, simple forms; ``general.toml``, three
languages), does it still refuse what the passages do not answer (asked in the house form), and does it now answer
everything in the trained form, also where nobody asked for it. Each with intervals and the paired exact McNemar test,
Holm-corrected over the parts. Answers are greedy, so a repetition gives the same.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from groundtune.approaches.common import abstains
from groundtune.errors import ModelRefused
from groundtune.measure.results import Estimate
from groundtune.measure.stats import estimate, holm, paired_difference, paired_p
from groundtune.ports import Model
from groundtune.text.normalise import contains_answer
from groundtune.text.prompts import Shown, render
from groundtune.tuning.export import chats_of
from groundtune.tuning.scoring import whole_json
from groundtune.types import Message

SUITE = Path(__file__).parent / "general.toml"
VERSION = 1
FLOOR = 0.1  # a base model that does less than this has nothing that could be forgotten
Part = Literal["general", "refusals", "form"]
Effect = Literal["worse", "better", "unclear", "floor"]
_TOKENS = 64
_SHOWN = 3
_USUAL = 0.8  # of the trained answers have a form, so that there is one


@dataclass(frozen=True)
class Task:
    """One general question. ``answers`` are accepted inside the output, ``pattern`` must match all of it; neither: the
    passage does not answer, and the model should say so.
    """

    lang: str
    kind: str
    question: str
    passages: tuple[Shown, ...] = ()
    answers: tuple[str, ...] = ()
    pattern: str = ""

    @property
    def text(self) -> str:
        """The user turn."""
        return render(self.question, self.passages)

    def right(self, output: str) -> bool:
        """Whether an output does what was asked."""
        if self.pattern:
            return re.fullmatch(self.pattern, output.strip()) is not None
        return any(contains_answer(output, answer) for answer in self.answers)


@dataclass(frozen=True)
class Change:
    """One part, before (the base model) and after (the tuned one): shares in [0, 1] with 95 % intervals, their paired
    difference ``after - before`` with its interval, ``p`` of the exact McNemar test (Holm-corrected). In ``form`` a higher
    share is worse: the model answers in the trained form where nobody asked for it.
    """

    part: Part
    before: Estimate
    after: Estimate
    difference: float
    low: float
    high: float
    p: float
    n: int

    @property
    def effect(self) -> Effect:
        """``unclear``: so many questions show no difference; ``floor``: the base can do too little to forget any."""
        if self.part != "form" and (self.before.value or 0.0) < FLOOR and self.high > -FLOOR and self.low <= 0.0:
            return "floor"
        if self.low <= 0.0 <= self.high:
            return "unclear"
        return "better" if (self.difference > 0.0) != (self.part == "form") else "worse"


@dataclass(frozen=True)
class Lost:
    """A general question that the base model answered and the tuned one does not."""

    question: str
    before: str
    after: str


@dataclass(frozen=True)
class Forgetting:
    """The whole check. ``by_language``: share of general questions right before and after. ``form`` is missing in
    ``changes`` when the examples have no common form.
    """

    base: str
    adapter: str
    changes: tuple[Change, ...]
    by_language: Mapping[str, tuple[float, float]]
    lost: tuple[Lost, ...] = ()
    version: int = VERSION

    @property
    def worse(self) -> bool:
        """Something is worse beyond noise."""
        return any(change.effect == "worse" for change in self.changes)

    def change(self, part: Part) -> Change | None:
        """One part, None when it was not measured."""
        return next((change for change in self.changes if change.part == part), None)

    @property
    def scores(self) -> dict[str, float]:
        """Shares after training by ``check.<part>``, for the adapter's card."""
        return {f"check.{c.part}": c.after.value for c in self.changes if c.after.value is not None}

    def as_dict(self) -> dict[str, Any]:
        """For the adapter's card, with the effect of each part."""
        return {**asdict(self), "changes": [{**asdict(change), "effect": change.effect} for change in self.changes]}


@cache
def tasks() -> tuple[Task, ...]:
    """The bundled general questions."""
    rows = tomllib.loads(SUITE.read_text(encoding="utf-8"))["item"]
    return tuple(
        Task(
            lang=row["lang"],
            kind=row["kind"],
            question=row["question"],
            passages=(Shown(row["label"], row["passage"]),) if "passage" in row else (),
            answers=tuple(row.get("answer", ())),
            pattern=row.get("pattern", ""),
        )
        for row in rows
    )


def check_forgetting(
    before: Model,
    after: Model,
    *,
    adapter: str,
    system: str = "",
    answer_field: str = "",
    targets: Sequence[str] = (),
    unanswerable: Sequence[Sequence[Message]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Forgetting:
    """Ask both models. ``system`` is the house prompt and ``answer_field`` where its answers stand, ``targets`` the answers
    that were trained on, ``unanswerable`` the project's own chats that should be refused. ``progress(done, total)`` hears
    each question. Chats that are too long for a model are left out. Raises what the models do otherwise.
    """
    general = [task for task in tasks() if task.kind != "refuse"]
    refused = [*chats_of([task.text for task in tasks() if task.kind == "refuse"], system), *unanswerable]
    plain = chats_of([task.text for task in general])
    tell = _Telling(2 * (len(plain) + len(refused)), progress)
    wrote = [[_say(model, chat, tell) for chat in plain] for model in (before, after)]
    right = [[task.right(text) for task, text in zip(general, texts, strict=True)] for texts in wrote]
    parts: list[tuple[Part, list[list[bool]]]] = [("general", right)]
    said = [[_say_if_it_fits(model, chat, tell) for chat in refused] for model in (before, after)]
    both = [(was, now) for was, now in zip(*said, strict=True) if was is not None and now is not None]
    parts.append(("refusals", [[abstains(text, answer_field) for text in side] for side in zip(*both, strict=True)]))
    keys = trained_keys(targets)
    if keys is not None:
        parts.append(("form", [[in_form(text, keys) for text in texts] for texts in wrote]))
    changes = [_change(part, *sides) for part, sides in parts]
    adjusted = holm([change.p for change in changes])
    return Forgetting(
        base=before.name,
        adapter=adapter,
        changes=tuple(replace(change, p=p) for change, p in zip(changes, adjusted, strict=True)),
        by_language={lang: _shares(general, right, lang) for lang in dict.fromkeys(task.lang for task in general)},
        lost=tuple(
            Lost(task.question, was, now)
            for task, was, now, did, does in zip(general, *wrote, *right, strict=True)
            if did and not does
        )[:_SHOWN],
    )


def trained_keys(targets: Sequence[str]) -> frozenset[str] | None:
    """Keys that most trained answers have as JSON objects; None when most are no JSON objects."""
    found = [frozenset(value) for target in targets if isinstance(value := whole_json(target), dict)]
    if not targets or len(found) < _USUAL * len(targets):
        return None
    every = frozenset[str]().union(*found)
    return frozenset(key for key in every if sum(key in keys for keys in found) >= _USUAL * len(found))


def in_form(text: str, keys: frozenset[str]) -> bool:
    """Whether a whole output is a JSON object with all of ``keys``."""
    value = whole_json(text)
    return isinstance(value, dict) and keys <= value.keys()


class _Telling:
    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def __call__(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _say(model: Model, chat: Sequence[Message], tell: _Telling) -> str:
    text = model.generate(chat, max_tokens=_TOKENS).text
    tell()
    return text


def _say_if_it_fits(model: Model, chat: Sequence[Message], tell: _Telling) -> str | None:
    try:
        return _say(model, chat, tell)
    except ModelRefused:
        tell()
        return None


def _change(part: Part, before: Sequence[bool], after: Sequence[bool]) -> Change:
    one, other = [float(value) for value in before], [float(value) for value in after]
    difference = paired_difference(other, one)
    return Change(
        part, estimate(one), estimate(other), difference.value, difference.low, difference.high, paired_p(other, one),
        difference.n,
    )  # fmt: skip


def _shares(general: Sequence[Task], right: Sequence[Sequence[bool]], lang: str) -> tuple[float, float]:
    places = [index for index, task in enumerate(general) if task.lang == lang]
    before, after = (sum(side[index] for index in places) / len(places) for side in right)
    return before, after
