"""What a comparison found: the ``Report`` and its JSON form (``report.json``, schema version 1)."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from groundtune import registry

SCHEMA_VERSION = 1
Part = Literal["question", "example"]

# Metric names, all in [0, 1]. ``success`` is the primary one: the right answer in the house format (or a refusal in the
# house format when the documents do not answer).
METRICS = (
    "success", "answer_em", "answer_f1", "answer_in_output", "judged_right", "format_valid", "format_lenient",
    "rules_strict", "rules_loose", "rule_share_strict", "rule_share_loose", "citation_precision", "citation_recall",
    "quote_verbatim", "sentence_citation_precision", "sentence_citation_recall", "unsupported_sentences",
    "false_answer", "over_refusal", "source_right", "place_right", "example_success", "field_f1", "slot_coverage",
    "example_format_valid", "style_profile", "style_form",
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` items with its 95 % interval; None when nothing was measured."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Quote:
    """A shown citation."""

    document: str
    start: int
    end: int
    quote: str
    title: str = ""
    heading: str = ""


@dataclass(frozen=True)
class ItemResult:
    """One item through one approach. ``group`` is the source document (clusters); ``scores`` by metric name, None
    where a metric does not apply; ``error`` is a harness or model failure and such an item has no scores.
    ``retrieved`` are document ids of the retrieved chunks, best first; ``shown`` the passages given to the model.
    """

    id: str
    part: Part
    group: str
    question: str
    expected: str
    output: str
    answerable: bool = True
    abstained: bool = False
    scores: Mapping[str, float | None] = field(default_factory=dict)
    citations: tuple[Quote, ...] = ()
    retrieved: tuple[str, ...] = ()
    evidence_shown: bool | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0
    label: str = ""
    error: str = ""


@dataclass(frozen=True)
class Abstention:
    """Questions by what the documents say (answerable or not) and what the approach did. ``wrong`` are answers that are
    not the accepted one, whatever their format.
    """

    right: int = 0
    wrong: int = 0
    refused: int = 0
    refused_rightly: int = 0
    answered_wrongly: int = 0

    @property
    def precision(self) -> float | None:
        """Of the refusals, the share that was due."""
        total = self.refused + self.refused_rightly
        return self.refused_rightly / total if total else None

    @property
    def recall(self) -> float | None:
        """Of the questions without an answer, the share that was refused."""
        total = self.answered_wrongly + self.refused_rightly
        return self.refused_rightly / total if total else None

    @property
    def crag(self) -> float | None:
        """CRAG's score in [-1, 1]: right +1, refused 0, wrong -1; a due refusal counts as right."""
        n = self.right + self.wrong + self.refused + self.refused_rightly + self.answered_wrongly
        return (self.right + self.refused_rightly - self.wrong - self.answered_wrongly) / n if n else None


@dataclass(frozen=True)
class Seed:
    """One of several trainings of an approach: its means by metric and how long it took to train."""

    seed: int
    means: Mapping[str, float] = field(default_factory=dict)
    fit_seconds: float = 0.0


@dataclass(frozen=True)
class ApproachResult:
    """All items of one approach. ``skipped`` says why it was not run (then there are no items).
    ``retrieved_tokens`` is the mean number of prompt tokens that retrieval added, ``cached_tokens`` of those that came
    from a prompt cache; ``labels`` counts failure labels; ``missing`` items were not asked (a budget, or errors of an
    approach that the user brought). ``seeds``: the trainings behind it when there were several; an item's scores are
    then its means over them, and intervals hold the spread between them.
    """

    name: str
    model: str
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    latency_p50: float | None = None
    latency_p95: float | None = None
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    retrieved_tokens: float = 0.0
    cached_tokens: float = 0.0
    fit_seconds: float = 0.0
    errors: int = 0
    missing: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)
    items: tuple[ItemResult, ...] = ()
    skipped: str = ""
    abstention: Abstention | None = None
    seeds: tuple[Seed, ...] = ()


@dataclass(frozen=True)
class Contrast:
    """Paired difference ``a - b`` on the same items. ``p_adjusted`` is Holm-corrected over the declared contrasts;
    ``detectable`` the smallest difference these items can show (80 % power, alpha 0.05 shared by the family), None where
    the comparison stopped by itself.
    """

    metric: str
    a: str
    b: str
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    n: int
    detectable: float | None = None


@dataclass(frozen=True)
class Freshness:
    """Answers to changed questions after an update: shares in [0, 1] of ``n`` items."""

    approach: str
    new: float
    stale: float
    other: float
    n: int


@dataclass(frozen=True)
class Ceiling:
    """The most that one lever could still win for one approach: share of ``n`` questions in [0, 1] that it alone would
    have made right, with its 95 % interval; ``success`` is where the approach stands. ``lever``: retrieval (right with
    the right passage), format (right when the format is ignored), abstention (answered or refused wrongly), reading
    (wrong with the right passage too), closed_book (right without any passage).
    """

    approach: str
    lever: str
    share: float
    low: float
    high: float
    n: int
    success: float


@dataclass(frozen=True)
class MoreQuestions:
    """What ``items`` more questions would bring for choosing by success. ``loss_now`` and ``loss_then`` are how much
    success (in [0, 1]) a wrong choice is expected to lose without and with them, ``other_leads`` the probability that
    another approach than ``leader`` would lead then, ``dollars`` what the difference is worth over the horizon (None: the
    worth of a right answer was not stated). ``clear_now``: the leader is clearly better than every other one already.
    """

    items: int
    leader: str
    loss_now: float
    loss_then: float
    other_leads: float
    dollars: float | None = None
    clear_now: bool = False


@dataclass(frozen=True)
class Stopping:
    """A comparison that stopped as soon as the leader was decided. ``asked`` of ``total`` items were asked of the
    approaches that stayed in to the end; ``saved`` answers by approach were not needed. Intervals and p values of such
    a report hold although it was looked at ``looks`` times. ``equal`` are approaches within the margin of the leader.
    """

    decided: bool
    leader: str
    looks: int
    asked: int
    total: int
    margin: float
    saved: Mapping[str, int] = field(default_factory=dict)
    equal: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()


@dataclass(frozen=True)
class Duel:
    """Answers of ``a`` and ``b`` shown to the judge in both orders. A verdict that follows the order is a ``flip`` and
    counts as a tie.
    """

    a: str
    b: str
    wins: int
    losses: int
    ties: int
    flips: int
    p_value: float


@dataclass(frozen=True)
class Agreement:
    """How well the judge agrees with people on ``n`` labelled answers: share of equal verdicts and Cohen's kappa, each
    with its 95 % interval.
    """

    n: int
    raw: float
    raw_low: float
    raw_high: float
    kappa: float
    kappa_low: float
    kappa_high: float


@dataclass(frozen=True)
class JudgeReport:
    """What a model judged, what that cost, and whether it can be relied on: ``trusted`` with at least 50 labels of people
    and a kappa of at least 0.6. Judged scores never decide.
    """

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    dollars: float
    trusted: bool
    errors: int = 0
    agreement: Agreement | None = None
    duels: tuple[Duel, ...] = ()


@dataclass(frozen=True)
class Report:
    """A whole comparison."""

    project: str
    language: str
    created: str
    version: str
    base_model: str
    reader: str
    questions: int
    unanswerable: int
    examples_held_out: int
    examples_trained: int
    documents: int
    approaches: tuple[ApproachResult, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    freshness: tuple[Freshness, ...] = ()
    ceilings: tuple[Ceiling, ...] = ()
    more: MoreQuestions | None = None
    stopping: Stopping | None = None
    judge: JudgeReport | None = None
    retrieval: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    data_digest: str = ""
    schema_version: int = SCHEMA_VERSION

    def approach(self, name: str) -> ApproachResult | None:
        """The result of one approach, None when it was not asked for."""
        return next((result for result in self.approaches if result.name == name), None)

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    def to_pandas(self, table: str = "items") -> Any:  # noqa: ANN401 - pandas is not a dependency
        """``items``, ``metrics`` or ``contrasts`` as a data frame. Raises ``MissingExtra`` without pandas."""
        return registry.resolve("view", "pandas")(self, table)

    def to_arrow(self, table: str = "items") -> Any:  # noqa: ANN401 - nor is pyarrow
        """The same as an Arrow table. Raises ``MissingExtra`` without pyarrow."""
        return registry.resolve("view", "arrow")(self, table)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return str(registry.resolve("view", "report")(self))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Raises ValueError for JSON of another shape or a newer schema version."""
        table = json.loads(text)
        if not isinstance(table, dict) or int(table.get("schema_version", 0)) > SCHEMA_VERSION:
            raise ValueError("not a groundtune report of a known schema version")
        built: Report = rebuild(cls, table)
        return built

    @classmethod
    def read(cls, path: str | Path) -> Report:
        return cls.from_json(Path(path).read_text(encoding="utf-8"))


def rebuild(kind: Any, value: Any) -> Any:  # noqa: ANN401 - generic rebuild of nested dataclasses
    """``value`` (from JSON) as ``kind``: dataclasses, tuples, mappings and optionals of them; unknown keys are dropped."""
    if value is None:
        return None
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        known = {f.name for f in fields(kind)}
        return kind(**{k: rebuild(hints[k], v) for k, v in value.items() if k in known})
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = [a for a in get_args(kind) if a is not type(None)]
        return rebuild(inner[0], value) if len(inner) == 1 else value
    if origin is tuple:
        return tuple(rebuild(get_args(kind)[0], v) for v in value)
    if origin is not None and isinstance(value, dict):
        return {k: rebuild(get_args(kind)[1], v) for k, v in value.items()}
    return value
