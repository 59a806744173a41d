"""``compare``: the same held-out items through every approach, scored, with intervals and paired differences."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from groundtune import registry
from groundtune.approaches.setting import Setting, make_setting
from groundtune.config import Config
from groundtune.errors import ConfigError, MissingExtra, ModelRefused, TrainingError
from groundtune.files import write_whole
from groundtune.measure.answering import Asking, Listener, Progress, silent
from groundtune.measure.cache import AnswerCache, cache_key
from groundtune.measure.contrasts import declared_contrasts
from groundtune.measure.items import Item, Rubric, failed_item, score_item
from groundtune.measure.plan import Plan, make_plan
from groundtune.measure.results import ApproachResult, Report
from groundtune.measure.retrieval import EvidenceRank, evidence_rank, recall_table
from groundtune.measure.style import style_reference
from groundtune.measure.summary import shown_table, summarise
from groundtune.messages import say
from groundtune.ports import Approach
from groundtune.tuning.base import base_digest
from groundtune.tuning.data import MINIMUM_EXAMPLES
from groundtune.tuning.plan import Progress as TrainingProgress
from groundtune.types import digest

CACHE = ("runs", "cache.sqlite")


@dataclass(frozen=True)
class Needs:
    """What an approach uses: decides when it is skipped and what its answers' cache keys cover."""

    retrieves: bool = True
    examples: int = 0
    trains: bool = False


_NEEDS = {
    "prompt": Needs(retrieves=False),
    "few-shot": Needs(retrieves=False, examples=1),
    "rag": Needs(),
    "finetune": Needs(retrieves=False, examples=MINIMUM_EXAMPLES, trains=True),
    "rag+finetune": Needs(examples=MINIMUM_EXAMPLES, trains=True),
}


@dataclass(frozen=True)
class Bench:
    """One comparison at work."""

    config: Config
    plan: Plan
    setting: Setting
    rubric: Rubric
    cache: AnswerCache
    listener: Listener
    refresh: bool
    workers: int


def compare(
    config: Config,
    *,
    approaches: Sequence[str] | None = None,
    progress: Listener | None = None,
    refresh: bool = False,
    workers: int = 1,
) -> Report:
    """Measure ``approaches`` (default: those of the configuration) on the project's held-out questions and examples.

    Every answer is kept on disk as it comes, so calling this again after an interruption goes on; ``refresh`` asks
    everything anew. ``workers`` answers run at once (latency is then that of a busy machine). Raises ``DataError`` or
    ``ConfigError`` for wrong input, ``ModelUnreachable`` when a model cannot be reached at all. An approach that cannot
    run here is in the report with the reason in ``skipped``.
    """
    listener = progress or silent
    names = _names(config, approaches)
    listener(Progress("index"))
    plan = make_plan(config)
    with plan.kb, AnswerCache(config.state.joinpath(*CACHE)) as cache:
        ranks = _ranks(plan, listener)
        setting = make_setting(config, plan.kb)
        bench = Bench(config, plan, setting, _rubric(config, plan, ranks), cache, listener, refresh, max(1, workers))
        results = tuple(_measure(bench, name) for name in names)
    return _report(bench, results, ranks)


def write_report_json(report: Report, path: str | Path) -> Path:
    """Write ``report.json`` whole or not at all; returns the path."""
    target = Path(path)
    write_whole(target, report.to_json() + "\n")
    return target


def needs_of(name: str) -> Needs:
    """What an approach uses; a plugin is taken to retrieve and to use the examples if there are any."""
    return _NEEDS.get(name, Needs())


def _names(config: Config, approaches: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(approaches if approaches is not None else config.compare.approaches))
    known = registry.providers("approach")
    for name in names:
        if name not in known:
            raise ConfigError("measure.unknown_approach", name=name, known=", ".join(known))
    if not names:
        raise ConfigError("measure.unknown_approach", name="", known=", ".join(known))
    return names


def _rubric(config: Config, plan: Plan, ranks: Mapping[str, EvidenceRank]) -> Rubric:
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


def _measure(bench: Bench, name: str) -> ApproachResult:
    needs = needs_of(name)
    model = bench.config.models.base
    reason = missing_for(bench.plan, needs)
    if reason:
        return ApproachResult(name, model, skipped=reason)
    bench.listener(Progress("fit", name))
    started = time.perf_counter()
    try:
        setting = replace(bench.setting, progress=_training(bench.listener, name))
        approach: Approach = registry.resolve("approach", name)(setting)
        approach.fit(bench.plan.documents, bench.plan.train)
    except (TrainingError, MissingExtra, ModelRefused) as error:
        return ApproachResult(name, model, skipped=error.sentence())
    adapter = getattr(approach, "adapter", None)
    fitted = max(time.perf_counter() - started, float(getattr(adapter, "seconds", 0.0)))
    key = answer_key(bench.config, bench.plan, name, str(getattr(adapter, "digest", "")))
    asking = Asking(approach, bench.cache, key, listener=bench.listener, refresh=bench.refresh, workers=bench.workers)
    outcomes = asking.run(bench.plan.items)
    items = tuple(
        score_item(o.item, o.answer, bench.rubric, retrieves=needs.retrieves)
        if o.answer is not None
        else failed_item(o.item, o.error)
        for o in outcomes
    )
    answers = [outcome.answer for outcome in outcomes if outcome.answer is not None]
    instruction, seed = bench.config.format.instruction, bench.config.compare.seed
    return summarise(name, model, items, answers, fit_seconds=fitted, seed=seed, instruction=instruction)


def _training(listener: Listener, name: str) -> Callable[[TrainingProgress], None]:
    return lambda at: listener(Progress("fit", name, at.step, at.steps, at.seconds_left))


def answer_key(config: Config, plan: Plan, name: str, adapter: str) -> Callable[[Item], str]:
    """Cache keys: everything that an answer of this approach depends on, and nothing else, so that a changed setting
    asks again exactly what it affects.
    """
    needs = needs_of(name)
    parts: dict[str, object] = {
        "approach": name,
        "version": package_version(),
        "model": config.models.base,
        "weights": _weights(config.models.base),
        "format": asdict(config.format),
        "schema": plan.house.schema,
        "max_tokens": config.compare.max_answer_tokens,
        "seed": config.compare.seed,
        "language": config.project.language,
        "adapter": adapter,
    }
    if needs.retrieves:
        parts |= {
            "knowledge": plan.knowledge,
            "reader": config.models.reader,
            "reader_weights": _weights(config.models.reader),
            "embedder": config.models.embedder,
            "retrieval": asdict(config.retrieval),
        }
    if needs.examples or name not in _NEEDS or not config.format.instruction.strip():
        parts["examples"] = plan.train_digest  # without an instruction the examples' system prompt is used
    if name == "few-shot" or name not in _NEEDS:
        parts["shots"] = config.compare.shots
    if needs.trains or name not in _NEEDS:
        parts["tuning"] = asdict(config.tuning)
    return lambda item: cache_key({**parts, "part": item.part, "question": item.question.text})


def _weights(spec: str) -> str:
    """Fingerprint of a local model, so that a model that was replaced is asked again; empty for remote ones."""
    provider, _, name = spec.partition(":")
    if provider == "builtin":
        card = Path(__file__).parent.parent / "builtin" / name / "card.json"
        return digest(card.read_text(encoding="utf-8")) if card.is_file() else ""
    return base_digest(name) if provider == "hf" else ""


def missing_for(plan: Plan, needs: Needs) -> str:
    """Why an approach cannot run on this project; empty when it can."""
    if needs.retrieves and not plan.documents:
        return say("measure.no_documents")
    if len(plan.train) < needs.examples:
        return say("measure.few_examples", count=len(plan.train), minimum=needs.examples)
    return ""


def _report(bench: Bench, results: tuple[ApproachResult, ...], ranks: Mapping[str, EvidenceRank]) -> Report:
    config, plan = bench.config, bench.plan
    asked = [item for item in plan.items if item.part == "question"]
    ranked = [ranks[item.key] for item in asked if item.key in ranks and item.question.answerable]
    return Report(
        project=config.project.name,
        language=config.project.language,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=package_version(),
        base_model=config.models.base,
        reader=config.models.reader,
        questions=len(asked),
        unanswerable=sum(not item.question.answerable for item in asked),
        examples_held_out=len(plan.items) - len(asked),
        examples_trained=len(plan.train),
        documents=len(plan.documents),
        approaches=results,
        contrasts=declared_contrasts(results, seed=config.compare.seed),
        retrieval=recall_table(ranked, config.retrieval.k) | shown_table(results),
        settings=_settings(config),
        notes=(*plan.notes, *_identical(results)),
        data_digest=plan.data_digest,
    )


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


def package_version() -> str:
    """Installed version; ``0+source`` when running from a checkout that is not installed."""
    try:
        return metadata.version("groundtune")
    except metadata.PackageNotFoundError:
        return "0+source"
