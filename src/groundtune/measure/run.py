"""``compare``: the same held-out items through every approach, scored, with intervals and paired differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from groundtune.approaches.constrained import with_schema
from groundtune.approaches.opening import open_approach
from groundtune.approaches.setting import Setting, make_setting
from groundtune.config import CONSTRAINED, Config, is_brought
from groundtune.files import write_whole
from groundtune.measure.answering import Listener, Progress, silent
from groundtune.measure.bench import Bench, enter
from groundtune.measure.cache import AnswerCache
from groundtune.measure.contrasts import anytime_contrasts, declared_contrasts
from groundtune.measure.counterfactual import Counterfactual, ceilings_of
from groundtune.measure.court import Court, Judging
from groundtune.measure.items import Rubric
from groundtune.measure.limits import Limits, Meter
from groundtune.measure.naming import row_title
from groundtune.measure.needs import needs_of, package_version
from groundtune.measure.plan import Plan, make_plan
from groundtune.measure.plugins import load_scorers
from groundtune.measure.race import at_any_stop, largest_cluster, race
from groundtune.measure.results import ApproachResult, Ceiling, Report, Stopping
from groundtune.measure.retrieval import EvidenceRank, evidence_rank, recall_table
from groundtune.measure.rows import Row, rows_of
from groundtune.measure.style import style_reference
from groundtune.measure.summary import shown_table
from groundtune.measure.worth import worth_of_more
from groundtune.messages import listed, say
from groundtune.parallel import Engine

CACHE = ("runs", "cache.sqlite")


def compare(
    config: Config,
    *,
    approaches: Sequence[str] | None = None,
    models: Sequence[str] = (),
    progress: Listener | None = None,
    refresh: bool = False,
    workers: int = 1,
    limits: Limits | None = None,
    until_decided: bool = False,
    seeds: int | None = None,
    judge: Judging | None = None,
    engine: Engine | None = None,
) -> Report:
    """Measure ``approaches`` (default: those of the configuration) on the project's held-out questions and examples, with
    each of ``models`` (default: the base model of the configuration).

    Every answer is kept on disk as it comes, so calling this again after an interruption, or after ``limits`` were
    reached, goes on; ``refresh`` asks everything anew. ``workers`` answers run at once (latency is then that of a busy
    machine). ``until_decided`` asks no more items than the choice needs (``measure.race``), ``seeds`` trains what is
    trained so often (default: the configuration's), ``judge`` lets a model judge the answers too; the workers
    of an ``engine`` answer in place of this process.

    Raises ``DataError`` or ``ConfigError`` for wrong input, ``ModelUnreachable`` when the only model cannot be reached at
    all. An approach that cannot run here is in the report with the reason in ``skipped``.
    """
    listener = progress or silent
    rows = rows_of(config, approaches, models)
    _check_brought(rows)
    court = Court.open(judge, config) if judge else None
    listener(Progress("index"))
    plan = make_plan(config)
    with plan.kb, AnswerCache(config.state.joinpath(*CACHE)) as cache:
        ranks = _ranks(plan, listener)
        meter = Meter(limits or Limits(), config.compare.requests_per_minute)
        rubric, several = make_rubric(config, plan, ranks), len({row.model for row in rows}) > 1
        trained = max(1, config.compare.seeds if seeds is None else seeds)
        bench = Bench(config, plan, rubric, cache, listener, refresh, max(1, workers), meter, several, trained, engine)
        results, stopping = _raced(bench, rows) if until_decided else (_measured(bench, rows), None)
        ceilings = _ceilings(bench, rows, results) if config.compare.counterfactual else ()
        verdict = None
        if court is not None:
            results, verdict = court.sit(bench, results)
    return replace(_report(bench, rows, tuple(results), ranks, stopping), ceilings=ceilings, judge=verdict)


def _measured(bench: Bench, rows: Sequence[Row]) -> list[ApproachResult]:
    """Row by row, all items each."""
    results: list[ApproachResult] = []
    for row, setting in _with_settings(bench, rows):
        entrant = enter(bench, row, setting)
        if not entrant.skipped:
            entrant.ask(bench.plan.items)
        results.append(entrant.result())
    return results


def _raced(bench: Bench, rows: Sequence[Row]) -> tuple[list[ApproachResult], Stopping]:
    """All rows side by side until it is decided who leads."""
    entrants = [enter(bench, row, setting) for row, setting in _with_settings(bench, rows)]
    items, config = bench.plan.items, bench.config
    stopping = race(entrants, items, margin=config.requirements.minimum_gain, seed=config.compare.seed)
    largest = largest_cluster(items)
    return [at_any_stop(entrant.result(), largest) for entrant in entrants], stopping


def _with_settings(bench: Bench, rows: Sequence[Row]) -> Iterator[tuple[Row, Setting]]:
    """Rows of one model share a setting, so that the model is opened once."""
    for _, group in groupby(rows, key=lambda row: row.model):
        own = list(group)
        setting = make_setting(own[0].config, bench.plan.kb)
        yield from ((row, setting) for row in own)


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
        search=plan.search if plan.documents else None,
        scorers=load_scorers(config),
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


def _report(
    bench: Bench,
    rows: Sequence[Row],
    results: tuple[ApproachResult, ...],
    ranks: Mapping[str, EvidenceRank],
    stopping: Stopping | None,
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
        contrasts=declared_contrasts(results, seed=config.compare.seed)
        if stopping is None
        else anytime_contrasts(results, largest_cluster(plan.items)),
        stopping=stopping,
        more=worth_of_more(results, seed=config.compare.seed, dollars_per_point=_worth(config)),
        retrieval=recall_table(ranked, config.retrieval.k) | shown_table(results),
        settings=_settings(config) | {"spent_dollars": bench.meter.dollars},
        notes=(*plan.notes, *_notes(bench, rows, results), *_identical(results)),
        data_digest=plan.data_digest,
    )


def _worth(config: Config) -> float:
    """Dollars over the horizon of one more right answer per question; 0 when the worth of one was not stated."""
    cost = config.cost
    return cost.value_per_correct_answer * cost.queries_per_month * cost.horizon_months


def _notes(bench: Bench, rows: Sequence[Row], results: Sequence[ApproachResult]) -> list[str]:
    notes: list[str] = []
    once = [r.name for row, r in zip(rows, results, strict=True) if r.items and needs_of(row.approach).trains]
    if once and bench.seeds == 1:
        notes.append(say("measure.one_training", names=listed(map(row_title, once))))
    models = list(dict.fromkeys(row.model for row in rows))
    if len(models) > 1:
        notes.append(say("measure.several_models", first=models[0]))
    notes += [say("measure.unfinished", name=row_title(r.name), count=r.missing) for r in results if r.missing]
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
        say("measure.identical_prompts", a=row_title(a), b=row_title(b))
        for position, a in enumerate(names)
        for b in names[position + 1 :]
        if outputs[a] == outputs[b]
    ]
