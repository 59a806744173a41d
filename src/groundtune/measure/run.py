"""``compare``: the same held-out items through every approach, scored, with intervals and paired differences."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from groundtune.approaches.constrained import with_schema
from groundtune.approaches.opening import open_approach
from groundtune.approaches.setting import Setting, make_setting
from groundtune.config import CONSTRAINED, Config, is_brought
from groundtune.errors import CannotRun, MissingExtra, ModelRefused, ModelUnreachable, TrainingError
from groundtune.files import write_whole
from groundtune.measure.answering import Asking, Listener, Outcome, Progress, silent
from groundtune.measure.cache import AnswerCache
from groundtune.measure.contrasts import declared_contrasts
from groundtune.measure.counterfactual import Counterfactual, ceilings_of
from groundtune.measure.items import Rubric, failed_item, score_item
from groundtune.measure.limits import Limits, Meter
from groundtune.measure.needs import Needs, answer_key, missing_for, needs_of, package_version
from groundtune.measure.plan import Plan, make_plan
from groundtune.measure.results import ApproachResult, Ceiling, ItemResult, Report
from groundtune.measure.retrieval import EvidenceRank, evidence_rank, recall_table
from groundtune.measure.rows import Row, rows_of
from groundtune.measure.style import style_reference
from groundtune.measure.summary import shown_table, summarise
from groundtune.messages import say
from groundtune.ports import Approach
from groundtune.tuning.plan import Progress as TrainingProgress

CACHE = ("runs", "cache.sqlite")


@dataclass(frozen=True)
class Bench:
    """One comparison at work. ``several``: more than one base model, so that one that is not there stops its rows only."""

    config: Config
    plan: Plan
    rubric: Rubric
    cache: AnswerCache
    listener: Listener
    refresh: bool
    workers: int
    meter: Meter
    several: bool = False


def compare(
    config: Config,
    *,
    approaches: Sequence[str] | None = None,
    models: Sequence[str] = (),
    progress: Listener | None = None,
    refresh: bool = False,
    workers: int = 1,
    limits: Limits | None = None,
) -> Report:
    """Measure ``approaches`` (default: those of the configuration) on the project's held-out questions and examples, with
    each of ``models`` (default: the base model of the configuration).

    Every answer is kept on disk as it comes, so calling this again after an interruption, or after ``limits`` were
    reached, goes on; ``refresh`` asks everything anew. ``workers`` answers run at once (latency is then that of a busy
    machine). Raises ``DataError`` or ``ConfigError`` for wrong input, ``ModelUnreachable`` when the only model cannot be
    reached at all. An approach that cannot run here is in the report with the reason in ``skipped``.
    """
    listener = progress or silent
    rows = rows_of(config, approaches, models)
    _check_brought(rows)
    listener(Progress("index"))
    plan = make_plan(config)
    with plan.kb, AnswerCache(config.state.joinpath(*CACHE)) as cache:
        ranks = _ranks(plan, listener)
        meter = Meter(limits or Limits(), config.compare.requests_per_minute)
        rubric, several = make_rubric(config, plan, ranks), len({row.model for row in rows}) > 1
        bench = Bench(config, plan, rubric, cache, listener, refresh, max(1, workers), meter, several)
        results: list[ApproachResult] = []
        for _, group in groupby(rows, key=lambda row: row.model):
            own = list(group)
            setting = make_setting(own[0].config, plan.kb)
            results += [_measure(bench, row, setting) for row in own]
        ceilings = _ceilings(bench, rows, results) if config.compare.counterfactual else ()
    return replace(_report(bench, rows, tuple(results), ranks), ceilings=ceilings)


def write_report_json(report: Report, path: str | Path) -> Path:
    """Write ``report.json`` whole or not at all; returns the path."""
    target = Path(path)
    write_whole(target, report.to_json() + "\n")
    return target


def _check_brought(rows: Sequence[Row]) -> None:
    """Load what the user brings before anything is asked, so that a wrong name costs nothing."""
    if any(is_brought(row.approach) for row in rows):
        from groundtune.approaches.brought import check_brought

        for row in rows:
            check_brought(row.approach, row.config.folder)


def make_rubric(config: Config, plan: Plan, ranks: Mapping[str, EvidenceRank]) -> Rubric:
    """What the answers of a plan are scored by."""
    return Rubric(
        house=plan.house,
        texts=plan.texts,
        titles={document.id: document.title for document in plan.documents},
        version_text=plan.version_text,
        style=style_reference(plan.train),
        ranks=ranks,
        k=config.retrieval.k,
        examples_decide=not plan.questions,
    )


def _ranks(plan: Plan, listener: Listener) -> dict[str, EvidenceRank]:
    asked = [item for item in plan.items if item.question.evidence] if plan.documents else []
    texts = plan.texts
    ranks: dict[str, EvidenceRank] = {}
    for done, item in enumerate(asked, start=1):
        ranks[item.key] = evidence_rank(item.question, texts, plan.search)
        listener(Progress("retrieval", "", done, len(asked)))
    return ranks


def _measure(bench: Bench, row: Row, setting: Setting) -> ApproachResult:
    needs = needs_of(row.approach)
    reason = missing_for(bench.plan, needs)
    if not reason and needs.trains and bench.meter.exhausted:
        reason = say("measure.no_budget")
    if reason:
        return ApproachResult(row.name, row.model, skipped=reason)
    bench.listener(Progress("fit", row.name))
    started = time.perf_counter()
    try:
        approach = open_approach(row.approach, replace(setting, progress=_training(bench.listener, row.name)))
        approach.fit(bench.plan.documents, bench.plan.train)
    except (TrainingError, MissingExtra, ModelRefused, CannotRun) as error:
        return ApproachResult(row.name, row.model, skipped=error.sentence())
    adapter = getattr(approach, "adapter", None)
    fitted = max(time.perf_counter() - started, float(getattr(adapter, "seconds", 0.0)))
    try:
        return _answered(bench, row, needs, approach, fitted)
    except MissingExtra as error:  # what a schema is enforced with is needed by these rows alone
        if not bench.several and not row.approach.endswith(CONSTRAINED):
            raise
        return ApproachResult(row.name, row.model, skipped=error.sentence())
    except ModelUnreachable as error:
        if not bench.several and not is_brought(row.approach):
            raise
        return ApproachResult(row.name, row.model, skipped=error.sentence())


def _answered(bench: Bench, row: Row, needs: Needs, approach: Approach, fitted: float) -> ApproachResult:
    code = str(getattr(getattr(approach, "adapter", None), "digest", "") or getattr(approach, "digest", ""))
    model = "" if is_brought(row.approach) else row.model
    asking = Asking(
        approach,
        bench.cache,
        answer_key(row.config, bench.plan, row.approach, code),
        listener=bench.listener,
        refresh=bench.refresh,
        workers=bench.workers,
        meter=bench.meter,
        name=row.name,
        model=model,
    )
    outcomes = asking.run(bench.plan.items)
    asked = [outcome for outcome in outcomes if outcome.asked]
    if not any(outcome.answer for outcome in asked) and (is_brought(row.approach) or not asked):
        reason = asking.stopped or next((outcome.error for outcome in asked), say("measure.no_budget"))
        return ApproachResult(row.name, model, skipped=reason)
    return summarise(
        row.name,
        model,
        score_outcomes(asked, bench.rubric, needs, approach),
        [outcome.answer for outcome in asked if outcome.answer is not None],
        fit_seconds=fitted,
        seed=row.config.compare.seed,
        instruction=row.config.format.instruction,
        missing=len(outcomes) - len(asked),
    )


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


def _ceilings(bench: Bench, rows: Sequence[Row], results: Sequence[ApproachResult]) -> tuple[Ceiling, ...]:
    """Counterfactual reruns for the retrieving rows that were measured, with what they were measured with."""
    found: list[Ceiling] = []
    for row, result in zip(rows, results, strict=True):
        needs = needs_of(row.approach)
        if not result.items or not needs.documents or is_brought(row.approach):
            continue
        setting = make_setting(row.config, bench.plan.kb)
        approach = open_approach(row.approach, setting)
        approach.fit(bench.plan.documents, bench.plan.train)  # an adapter that was trained is taken, not trained again
        adapter = getattr(approach, "adapter", None)
        constrained = row.approach.endswith(CONSTRAINED)
        if constrained or row.config.compare.constrained:
            setting = with_schema(setting)
        run = Counterfactual(
            row.config,
            bench.plan,
            setting,
            bench.rubric,
            bench.cache,
            bench.meter,
            bench.listener,
            bench.refresh,
            constrained,
        )
        path, code = (adapter.path, adapter.digest) if adapter is not None else (None, "")
        found += ceilings_of(run, result, path, code)
    return tuple(found)


def _training(listener: Listener, name: str) -> Callable[[TrainingProgress], None]:
    return lambda at: listener(Progress("fit", name, at.step, at.steps, at.seconds_left))


def _report(
    bench: Bench, rows: Sequence[Row], results: tuple[ApproachResult, ...], ranks: Mapping[str, EvidenceRank]
) -> Report:
    config, plan = bench.config, bench.plan
    asked = [item for item in plan.items if item.part == "question"]
    ranked = [ranks[item.key] for item in asked if item.key in ranks and item.question.answerable]
    return Report(
        project=config.project.name,
        language=config.project.language,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=package_version(),
        base_model=rows[0].model,
        reader=config.models.reader,
        questions=len(asked),
        unanswerable=sum(not item.question.answerable for item in asked),
        examples_held_out=len(plan.items) - len(asked),
        examples_trained=len(plan.train),
        documents=len(plan.documents),
        approaches=results,
        contrasts=declared_contrasts(results, seed=config.compare.seed),
        retrieval=recall_table(ranked, config.retrieval.k) | shown_table(results),
        settings=_settings(config) | {"spent_dollars": bench.meter.dollars},
        notes=(*plan.notes, *_notes(rows, results), *_identical(results)),
        data_digest=plan.data_digest,
    )


def _notes(rows: Sequence[Row], results: Sequence[ApproachResult]) -> list[str]:
    notes: list[str] = []
    models = list(dict.fromkeys(row.model for row in rows))
    if len(models) > 1:
        notes.append(say("measure.several_models", first=models[0]))
    notes += [say("measure.unfinished", name=r.name, count=r.missing) for r in results if r.missing]
    return notes


def _settings(config: Config) -> dict[str, str | int | float | bool]:
    settings: dict[str, str | int | float | bool] = {"embedder": config.models.embedder}
    for section in ("retrieval", "tuning", "compare"):
        for key, value in asdict(getattr(config, section)).items():
            settings[f"{section}.{key}"] = ", ".join(value) if isinstance(value, tuple) else value
    return settings


def _identical(results: Sequence[ApproachResult]) -> list[str]:
    """A pair of approaches that never differed is more often a mistake than a finding: say so."""
    outputs = {result.name: [(item.output, item.error) for item in result.items] for result in results if result.items}
    names = list(outputs)
    return [
        say("measure.identical_prompts", a=a, b=b)
        for position, a in enumerate(names)
        for b in names[position + 1 :]
        if outputs[a] == outputs[b]
    ]
