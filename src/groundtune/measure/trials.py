"""Several trainings side by side, each scored on the same held-out examples: how much more would examples help
(a learning curve), and how often should the right passage be shown (the share P of RAFT)?

The held-out examples come out of the training examples, never out of what ``compare`` scores on, and share no document
with the rest. Intervals are over these examples; each way is trained once, so they do not hold what another seed
would change.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from groundtune.approaches.common import question_of
from groundtune.approaches.opening import open_approach
from groundtune.approaches.setting import load_schema, make_setting
from groundtune.config import Config
from groundtune.errors import DataError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.measure.results import Estimate
from groundtune.measure.stats import Difference, estimate, paired_difference
from groundtune.tuning.data import MINIMUM_EXAMPLES
from groundtune.tuning.plan import Progress
from groundtune.tuning.scoring import Scoring, scoring_for
from groundtune.tuning.split import split_examples
from groundtune.types import Document, Example

SHARES = (0.25, 0.5, 1.0)
TRIALS = "trials"
SMALLEST_GAIN = 0.02  # a gain that is surely smaller is none
_HELD_OUT, _MOST = 0.2, 60
FEWEST = 4 * MINIMUM_EXAMPLES + 10  # a quarter can be trained on, and ten are left to score

Verdict = Literal["more", "enough", "unclear"]
Tell = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Trial:
    """One training: ``value`` is what was tried (a share), ``scores`` those of the held-out examples in their order."""

    value: float
    examples: int
    score: Estimate
    scores: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class Curve:
    """``gain`` is the score with all examples less that with half of them."""

    trials: tuple[Trial, ...]
    held_out: int
    form: str
    gain: Difference

    @property
    def verdict(self) -> Verdict:
        """``more``: doubling helped beyond chance; ``enough``: it surely helped less than 0.02."""
        if self.gain.low > 0:
            return "more"
        return "enough" if self.gain.high < SMALLEST_GAIN else "unclear"


@dataclass(frozen=True)
class Sweep:
    """``lead`` is the best share's score less that of the second best."""

    trials: tuple[Trial, ...]
    held_out: int
    form: str
    best: float
    lead: Difference | None


@dataclass(frozen=True)
class Bench:
    """What the trainings of one question have in common."""

    config: Config
    knowledge: KnowledgeBase
    documents: tuple[Document, ...]
    train: tuple[Example, ...]
    held_out: tuple[Example, ...]
    progress: Callable[[Progress], None] | None = None
    tell: Tell | None = None

    @property
    def scoring(self) -> Scoring:
        return scoring_for([example.target for example in self.held_out], load_schema(self.config))

    @property
    def folder(self) -> Path:
        """Where the trained adapters lie until the question is answered; an interrupted one goes on from there."""
        return self.config.state / TRIALS


def make_bench(
    config: Config,
    knowledge: KnowledgeBase,
    documents: Sequence[Document],
    examples: Sequence[Example],
    progress: Callable[[Progress], None] | None = None,
    tell: Tell | None = None,
) -> Bench:
    """A fifth of the examples, at most 60, set aside. Raises ``DataError`` for fewer than 50 examples, or when they
    cannot be divided.
    """
    if len(examples) < FEWEST:
        raise DataError("measure.trials_few", count=len(examples), minimum=FEWEST)
    split = split_examples(examples, min(_HELD_OUT, _MOST / len(examples)), config.tuning.seed)
    if not split.held_out or len(split.train) < FEWEST // 2:
        raise DataError("measure.trials_alike", count=len(examples))
    return Bench(config, knowledge, tuple(documents), split.train, split.held_out, progress, tell)


def learning_curve(bench: Bench, name: str) -> Curve:
    """Train approach ``name`` on a quarter, half and all of the examples; smaller parts lie within larger ones."""
    order = list(bench.train)
    random.Random(bench.config.tuning.seed).shuffle(order)
    trials = []
    for number, share in enumerate(SHARES, start=1):
        part = order[: max(MINIMUM_EXAMPLES, round(share * len(order)))]
        trials.append(_trial(bench, name, share, part, bench.config, number, len(SHARES)))
    half, full = trials[-2], trials[-1]
    gain = paired_difference(full.scores, half.scores, _groups(bench))
    shutil.rmtree(bench.folder, ignore_errors=True)
    return Curve(tuple(trials), len(bench.held_out), bench.scoring.form, gain)


def sweep_gold(bench: Bench, shares: Sequence[float]) -> Sweep:
    """Train ``rag+finetune`` with each share of rows that show the right passage; the best mean score wins, the larger
    share where two are equal.
    """
    trials = []
    for number, share in enumerate(shares, start=1):
        config = replace(bench.config, tuning=replace(bench.config.tuning, gold_share=share))
        trials.append(_trial(bench, "rag+finetune", share, bench.train, config, number, len(shares)))
    ranked = sorted(trials, key=lambda trial: (-_mean(trial), -trial.value))
    lead = paired_difference(ranked[0].scores, ranked[1].scores, _groups(bench)) if len(ranked) > 1 else None
    shutil.rmtree(bench.folder, ignore_errors=True)
    return Sweep(tuple(trials), len(bench.held_out), bench.scoring.form, ranked[0].value, lead)


def _trial(
    bench: Bench, name: str, value: float, part: Sequence[Example], config: Config, number: int, total: int
) -> Trial:
    if bench.tell is not None:
        bench.tell(number, total, f"{value:g}")
    setting = make_setting(config, bench.knowledge, run_folder=bench.folder, progress=bench.progress)
    approach = open_approach(name, setting)
    approach.fit(bench.documents, part)
    scoring = bench.scoring
    scores = tuple(
        scoring.score(example.target, approach.answer(question_of(example)).text) for example in bench.held_out
    )
    seconds = float(getattr(getattr(approach, "adapter", None), "seconds", 0.0))
    return Trial(value, len(part), estimate(scores, _groups(bench)), scores, seconds)


def _mean(trial: Trial) -> float:
    return sum(trial.scores) / len(trial.scores)


def _groups(bench: Bench) -> list[str]:
    return [str(e.metadata.get("document") or f"example:{i}") for i, e in enumerate(bench.held_out)]
