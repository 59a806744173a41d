"""One approach of a comparison at work: fitted (several times where it is trained with several seeds), asked, scored."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from groundtune.approaches.opening import open_approach
from groundtune.approaches.setting import Setting
from groundtune.config import CONSTRAINED, Config, is_brought
from groundtune.errors import CannotRun, MissingExtra, ModelRefused, ModelUnreachable, TrainingError
from groundtune.measure.answering import Asking, Listener, Outcome, Progress
from groundtune.measure.cache import AnswerCache
from groundtune.measure.items import Item, Rubric, failed_item, score_item
from groundtune.measure.kept import keep_scores
from groundtune.measure.limits import Meter
from groundtune.measure.needs import Needs, answer_key, missing_for, needs_of
from groundtune.measure.plan import Plan
from groundtune.measure.results import ApproachResult, ItemResult
from groundtune.measure.rows import Row
from groundtune.measure.seeds import merge_seeds
from groundtune.measure.spread import away
from groundtune.measure.summary import summarise
from groundtune.messages import say
from groundtune.parallel import Engine
from groundtune.ports import Approach
from groundtune.tuning.plan import Progress as TrainingProgress
from groundtune.types import Answer


@dataclass(frozen=True)
class Bench:
    """One comparison at work. ``several``: more than one base model, so that one that is not there stops its rows only;
    ``seeds``: how often what is trained is trained; ``engine``: whose workers answer, None: this process.
    """

    config: Config
    plan: Plan
    rubric: Rubric
    cache: AnswerCache
    listener: Listener
    refresh: bool
    workers: int
    meter: Meter
    several: bool = False
    seeds: int = 1
    engine: Engine | None = None


@dataclass
class Trial:
    """One fitted approach and what it said so far."""

    approach: Approach
    asking: Asking
    seed: int
    fit_seconds: float
    asked: int = 0  # items that it was given, answered or not
    scored: list[ItemResult] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


@dataclass
class Entrant:
    """A row with its trials: one, or one per seed. ``skipped``: why it has to stop."""

    bench: Bench
    row: Row
    needs: Needs
    trials: list[Trial]
    skipped: str = ""

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def model(self) -> str:
        """The base model, empty for an approach with its own."""
        return "" if is_brought(self.row.approach) else self.row.model

    def ask(self, items: Sequence[Item], total: int = 0) -> None:
        """Ask and score ``items``; ``total`` is how many there may be in all, for the progress. Raises
        ``ModelUnreachable`` or ``MissingExtra`` when that concerns more than this row.
        """
        try:
            for trial in self.trials:
                outcomes = trial.asking.run(items, done=trial.asked, total=total)
                trial.asked += len(outcomes)
                asked = [outcome for outcome in outcomes if outcome.asked]
                trial.scored += score_outcomes(asked, self.bench.rubric, self.needs, trial.approach)
                trial.answers += [outcome.answer for outcome in asked if outcome.answer is not None]
                self._stop(trial, asked)
        except MissingExtra as error:  # what a schema is enforced with is needed by these rows alone
            if not self.bench.several and not self.row.approach.endswith(CONSTRAINED):
                raise
            self.skipped = error.sentence()
        except ModelUnreachable as error:
            if not self.bench.several and not is_brought(self.row.approach):
                raise
            self.skipped = error.sentence()

    def _stop(self, trial: Trial, asked: Sequence[Outcome]) -> None:
        if trial.answers or not (is_brought(self.row.approach) or not asked):
            return
        first = next((outcome.error for outcome in asked), say("measure.no_budget"))
        self.skipped = trial.asking.stopped or first

    def result(self) -> ApproachResult:
        """What was measured so far."""
        if self.skipped:
            return ApproachResult(self.name, self.model, skipped=self.skipped)
        config = self.row.config
        found = [
            summarise(
                self.name,
                self.model,
                trial.scored,
                trial.answers,
                fit_seconds=trial.fit_seconds,
                seed=config.compare.seed,
                instruction=config.format.instruction,
                missing=trial.asked - len(trial.scored),
            )
            for trial in self.trials
        ]
        for trial, one in zip(self.trials, found, strict=True):
            keep_scores(trial.approach, one)
        return merge_seeds(found, [trial.seed for trial in self.trials], seed=config.compare.seed)


def enter(bench: Bench, row: Row, setting: Setting) -> Entrant:
    """Fit a row; one that cannot run has the reason in ``skipped``."""
    needs = needs_of(row.approach)
    reason = missing_for(bench.plan, needs)
    if not reason and needs.trains and bench.meter.exhausted:
        reason = say("measure.no_budget")
    if reason:
        return Entrant(bench, row, needs, [], reason)
    bench.listener(Progress("fit", row.name))
    entrant = Entrant(bench, row, needs, [])
    try:
        for number in range(bench.seeds if needs.trains else 1):
            entrant.trials.append(_trial(bench, row, setting, number))
    except (TrainingError, MissingExtra, ModelRefused, CannotRun) as error:
        return Entrant(bench, row, needs, [], error.sentence())
    return entrant


def _trial(bench: Bench, row: Row, setting: Setting, number: int) -> Trial:
    seed = row.config.tuning.seed + number
    config = replace(row.config, tuning=replace(row.config.tuning, seed=seed))
    started = time.perf_counter()
    told = replace(setting, config=config, progress=_training(bench.listener, row.name))
    approach = open_approach(row.approach, told)
    approach.fit(bench.plan.documents, bench.plan.train)
    adapter = getattr(approach, "adapter", None)
    seconds = max(time.perf_counter() - started, float(getattr(adapter, "seconds", 0.0)))
    code = str(getattr(adapter, "digest", "") or getattr(approach, "digest", ""))
    asking = Asking(
        approach,
        bench.cache,
        answer_key(config, bench.plan, row.approach, code),
        listener=bench.listener,
        refresh=bench.refresh,
        workers=bench.engine.workers if bench.engine else bench.workers,
        meter=bench.meter,
        name=row.name,
        model="" if is_brought(row.approach) else row.model,
        away=away(bench.engine, config, bench.plan, row.approach, adapter) if bench.engine else None,
    )
    return Trial(approach, asking, seed, seconds)


def score_outcomes(
    outcomes: Sequence[Outcome], rubric: Rubric, needs: Needs, approach: Approach
) -> tuple[ItemResult, ...]:
    """Outcomes as scored items; failed ones are kept apart. An approach that shows every document with every question
    keeps them beside its answers, in ``corpus``.
    """
    corpus = getattr(approach, "corpus", ())
    retrieves = needs.retrieves or bool(corpus) or any(o.answer and o.answer.context for o in outcomes)
    scored: list[ItemResult] = []
    for o in outcomes:
        if o.answer is None:
            scored.append(failed_item(o.item, o.error))
        elif corpus:
            shown = replace(o.answer, context=corpus)
            scored.append(replace(score_item(o.item, shown, rubric, retrieves=True), retrieved=()))
        else:
            scored.append(score_item(o.item, o.answer, rubric, retrieves=retrieves))
    return tuple(scored)


def _training(listener: Listener, name: str) -> Callable[[TrainingProgress], None]:
    return lambda at: listener(Progress("fit", name, at.step, at.steps, at.seconds_left))
