"""What a training would do, before it does it: rows as they are trained, counts, memory, time, and each default chosen
with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.config import TuningSection
from groundtune.messages import say
from groundtune.tuning.memory import SMALL, Shape, Way, in_gib, seconds_of
from groundtune.tuning.plan import Plan, passes_for
from groundtune.tuning.rows import Row, decode, end_tokens


@dataclass(frozen=True)
class ShownRow:
    """One row as text: ``prompt`` carries no loss, ``trained`` and ``end`` do."""

    id: str
    line: int
    prompt: str
    trained: str
    end: str
    tokens: int


@dataclass(frozen=True)
class Default:
    """A setting as it will be used; ``reason`` names the sentence under ``tuning.why``, ``params`` fill it."""

    name: str
    value: str
    reason: str
    params: tuple[tuple[str, str], ...] = ()

    def sentence(self, lang: str | None = None) -> str:
        return say(f"tuning.why.{self.reason}", lang, **dict(self.params))


@dataclass(frozen=True)
class Preflight:
    """The report. Lengths are in tokens, memory in bytes; ``seconds`` is a rough estimate. ``dropped`` and ``truncated``
    rows are always 0: a row that does not fit stops the run.
    """

    rows: int
    checked: int
    shown: tuple[ShownRow, ...]
    end_token: str
    longest: int
    mean: float
    tokens: int
    trained_tokens: int
    passes: int
    steps: int
    way: Way
    seconds: float
    defaults: tuple[Default, ...]
    dropped: int = 0
    truncated: int = 0

    @property
    def text(self) -> str:
        """The first row, decoded."""
        first = self.shown[0]
        return first.prompt + first.trained + first.end

    @property
    def trained(self) -> str:
        """The part of the first row that carries the loss."""
        return self.shown[0].trained + self.shown[0].end


def report(
    rows: Sequence[Row],
    checked: int,
    tokenizer: Any,  # noqa: ANN401
    plan: Plan,
    way: Way,
    shape: Shape,
    settings: TuningSection,
    chosen: TuningSection,
    form: str,
) -> Preflight:
    """The report on checked rows (at least one): the first, the shortest and the longest of them are shown. ``chosen``
    are ``settings`` with what they leave open.
    """
    by_length = sorted(rows, key=lambda row: len(row.input_ids))
    picked = {id(row): row for row in (rows[0], by_length[0], by_length[-1])}
    tokens, trained = sum(len(row.input_ids) for row in rows), sum(row.trained for row in rows)
    ends = end_tokens(rows)
    return Preflight(
        rows=len(rows),
        checked=checked,
        shown=tuple(_shown(row, tokenizer) for row in picked.values()),
        end_token=" ".join(decode(tokenizer, [end]) for end in ends),
        longest=len(by_length[-1].input_ids),
        mean=tokens / len(rows),
        tokens=tokens,
        trained_tokens=trained,
        passes=plan.passes,
        steps=plan.steps,
        way=way,
        seconds=seconds_of(shape, tokens * plan.passes, trained * plan.passes, half=way.half, threads=way.threads),
        defaults=_defaults(len(rows), checked, plan, way, shape, settings, chosen, form),
    )


def _shown(row: Row, tokenizer: Any) -> ShownRow:  # noqa: ANN401
    ids, start = row.input_ids, len(row.input_ids) - row.trained
    return ShownRow(
        row.id, row.line, decode(tokenizer, ids[:start]), decode(tokenizer, ids[start:-1]), decode(tokenizer, ids[-1:]),
        len(ids),
    )  # fmt: skip


def _defaults(
    count: int,
    checked: int,
    plan: Plan,
    way: Way,
    shape: Shape,
    settings: TuningSection,
    chosen: TuningSection,
    form: str,
) -> tuple[Default, ...]:
    size = (("count", str(count)),)
    size_in_millions = shape.parameters / 1e6
    parameters = (("parameters", f"{size_in_millions:.{0 if size_in_millions >= 10 else 1}f} M"),)
    room = (("need", in_gib(way.estimate.total)), ("free", in_gib(way.free)))
    small = "small_model" if shape.parameters < SMALL else "large_model"
    by_count = "by_count" if plan.passes == passes_for(count) else small
    whole = way.accumulation == 1 and not way.checkpointing
    return (
        Default("epochs", str(plan.passes), "set" if settings.epochs else by_count, (*size, *parameters)),
        Default("learning_rate", f"{chosen.learning_rate:g}", "set" if settings.learning_rate else small, parameters),
        Default("validation", str(checked), _why_checked(checked, settings, form), (*size, ("form", form))),
        Default("batch_size", f"{way.micro_batch} x {way.accumulation}", "fits" if whole else "tight", room),
        Default("rank", str(chosen.rank), "set" if settings.rank else small, parameters),
        Default("checkpointing", _yes(way.checkpointing), "tight" if way.checkpointing else "fits", room),
        Default("precision", "bfloat16" if way.half else "float32", _why_precision(way, settings)),
        Default("packing", _yes(way.packing), "packed" if way.packing else "set"),
        Default("threads", str(way.threads), small, parameters),
    )


def _why_checked(checked: int, settings: TuningSection, form: str) -> str:
    if checked:
        return f"score_{form}"
    return "set" if settings.validation <= 0 else "no_validation"


def _why_precision(way: Way, settings: TuningSection) -> str:
    if settings.precision != "auto":
        return "set"
    return "half_fast" if way.half else "half_slow"


def _yes(value: bool) -> str:
    return "true" if value else "false"
