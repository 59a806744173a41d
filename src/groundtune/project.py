"""A project folder as one object: its settings, knowledge base, runs and adapters, and the verbs on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from groundtune import registry
from groundtune.config import Config, load_config
from groundtune.errors import DataError
from groundtune.files import write_whole
from groundtune.messages import language
from groundtune.types import Adapter, Answer, Document, Example, Hit, Question, SyncReport, Unsupported

if TYPE_CHECKING:
    from groundtune.knowledge.base import KnowledgeBase
    from groundtune.knowledge.labels import FolderRule
    from groundtune.knowledge.site import Link
    from groundtune.measure.answering import Listener
    from groundtune.measure.court import Judging
    from groundtune.measure.limits import Limits
    from groundtune.measure.results import Report
    from groundtune.measure.trials import Curve, Sweep
    from groundtune.parallel import Engine
    from groundtune.ports import Approach, Reader
    from groundtune.tuning.lora import LoraTrainer
    from groundtune.tuning.plan import Progress
    from groundtune.tuning.preflight import Preflight
    from groundtune.verdict.cost import CostReport
    from groundtune.verdict.outcome import Verdict

LATEST = "latest"


@dataclass(frozen=True)
class Run:
    """One comparison on disk."""

    report_path: Path

    @property
    def folder(self) -> Path:
        return self.report_path.parent

    @property
    def html_path(self) -> Path:
        return self.folder / "report.html"

    @property
    def markdown_path(self) -> Path:
        return self.folder / "report.md"

    @property
    def verdict_path(self) -> Path:
        return self.folder / "verdict.json"

    def report(self) -> Report:
        """Raises ``DataError`` when it cannot be read."""
        from groundtune.measure.results import Report

        try:
            return Report.read(self.report_path)
        except FileNotFoundError as error:
            raise DataError("core.file_missing", path=self.report_path) from error
        except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            raise DataError("cli.decide.bad_report", path=self.report_path) from error

    def winner(self) -> str | None:
        """The approach that the stored verdict chose, None when there is none."""
        try:
            found = json.loads(self.verdict_path.read_text(encoding="utf-8")).get("winner")
        except (OSError, ValueError, AttributeError):
            return None
        return found if isinstance(found, str) else None


@dataclass(frozen=True)
class Decision:
    """A verdict with what it rests on."""

    run: Run
    report: Report
    cost: CostReport
    verdict: Verdict


class Project:
    """A folder with a groundtune.toml. State lives in ``.groundtune/`` beside it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        registry.look_in(config.folder)

    @classmethod
    def open(cls, folder: str | Path = ".") -> Project:
        """Raises ``ConfigError`` when groundtune.toml is missing or wrong, naming every mistake."""
        return cls(load_config(folder))

    def with_model(self, base: str | None) -> Project:
        """The same project with another base model."""
        if not base:
            return self
        return Project(replace(self.config, models=replace(self.config.models, base=base)))

    @cached_property
    def kb(self) -> KnowledgeBase:
        """The knowledge base, made when missing. Raises ``StoreError``."""
        return self._open_kb(None)

    def prepare(self, progress: Callable[[int, int, str], None]) -> None:
        """Open the knowledge base; ``progress(done, total, what)`` hears when it has to be built again first."""
        if "kb" not in self.__dict__:
            self.__dict__["kb"] = self._open_kb(progress)

    def _open_kb(self, progress: Callable[[int, int, str], None] | None) -> KnowledgeBase:
        from groundtune.approaches.setting import open_index

        base = open_index(self.config, progress=progress, background=progress is None)
        base.restrict(self.folder_rules)
        return base

    @property
    def folder_rules(self) -> tuple[FolderRule, ...]:
        """Which documents need which labels, by ``[access] folders``: their paths may be given from the project folder
        or as document ids. Raises ``ConfigError`` for a line that cannot be read.
        """
        from groundtune.knowledge.labels import FolderRule, parse_rules

        rules: list[FolderRule] = []
        for rule in parse_rules(self.config.access.folders):
            name = self._document_id(rule.folder)
            ids = (name, f"{name}/") if name else ("",)
            rules += [FolderRule(each, rule.labels) for each in ids]
        return tuple(rules)

    def _document_id(self, path: str) -> str:
        """The document id (or the beginning of ids) that a path below a documents folder stands for."""
        wanted = PurePosixPath(path.replace("\\", "/"))
        for given in self.config.project.documents:
            root = PurePosixPath(given.replace("\\", "/"))
            if wanted == root:
                return root.name if self.config.path(given).is_file() else ""
            if wanted.is_relative_to(root):
                return wanted.relative_to(root).as_posix()
        return "" if wanted.as_posix() == "." else wanted.as_posix()

    def seen_by(self, labels: Iterable[str] | str | None) -> Project:
        """The project as a reader with these access labels sees it; None: as its owner does."""
        if labels is None:
            return self
        view = Project(self.config)
        view.__dict__["kb"] = self.kb.seen_by(labels)
        return view

    @cached_property
    def reader(self) -> Reader:
        """The reader of the settings."""
        reader: Reader = registry.load("reader", self.config.models.reader)
        return reader

    @property
    def roots(self) -> tuple[Path | str, ...]:
        """Configured documents: files and folders as paths, web addresses as they are."""
        return self.config.roots

    def documents(self) -> tuple[Document, ...]:
        """Current documents of the knowledge base."""
        return tuple(self.kb.documents())

    def ingest(
        self,
        paths: Sequence[str | Path | Link] | None = None,
        *,
        progress: Callable[[int, int, str], None] | None = None,
        engine: Engine | None = None,
    ) -> SyncReport:
        """Bring the knowledge base up to date with ``paths`` (default: the configured documents): files, folders and
        web addresses (``knowledge.site.Link`` for one with settings).

        ``progress(done, total, id)`` is called after each file; ``engine`` does the work that needs no store. Raises
        ``DataError`` for a path that does not exist or holds nothing that can be read, before anything is changed.
        """
        return self.kb.sync(list(paths or self.roots), progress=progress, engine=engine)

    def search(self, query: str, k: int | None = None, as_of: str = "") -> list[Hit]:
        """Best ``k`` passages (default: ``retrieval.k``), of the documents as they were ``as_of`` a date."""
        base = self.kb.at(as_of) if as_of else self.kb
        return list(base.search(query, k=k or self.config.retrieval.k))

    def ask(self, question: str, model: str | None = None, k: int | None = None, as_of: str = "") -> Answer:
        """Answer with checked citations. Without ``model`` the reader answers by quoting. ``as_of`` a date: from the
        documents as they were then. Raises ``UserError`` for what is not a date.
        """
        made = registry.load("model", model) if model else None
        settings = self.config.answers
        return self.kb.ask(
            question,
            model=made,
            reader=self.reader,
            k=k or self.config.retrieval.k,
            as_of=as_of,
            threshold=settings.threshold or None,
            unsupported=cast("Unsupported", settings.unsupported),
        )

    def compare(
        self,
        approaches: Sequence[str] | None = None,
        *,
        models: Sequence[str] = (),
        progress: Listener | None = None,
        refresh: bool = False,
        limits: Limits | None = None,
        workers: int = 1,
        until_decided: bool = False,
        seeds: int | None = None,
        judge: Judging | None = None,
        engine: Engine | None = None,
    ) -> Report:
        """Measure and keep the report as the latest run: ``models`` instead of the base model, within ``limits``; the rest
        as for ``measure.run.compare``, whose errors it raises.
        """
        from groundtune.measure.run import compare as measure

        report = measure(
            self.config,
            approaches=approaches,
            models=models,
            progress=progress,
            refresh=refresh,
            limits=limits,
            workers=workers,
            until_decided=until_decided,
            seeds=seeds,
            judge=judge,
            engine=engine,
        )
        documents = self.documents()
        settings = dict(report.settings)
        settings["document_digests"] = json.dumps({d.id: d.version for d in documents}, ensure_ascii=False)
        settings["corpus_tokens"] = sum(rough_tokens(d.text) for d in documents)
        report = replace(report, settings=settings)
        self._keep(report)
        return report

    def latest(self) -> Run | None:
        """The last comparison, None when there is none."""
        runs = self.config.state / "runs"
        try:
            name = (runs / LATEST).read_text(encoding="utf-8").strip()
        except OSError:
            return None
        path = runs / Path(name).name / "report.json"
        return Run(path) if path.is_file() else None

    def cost(self, report: Report | None = None, overrides: dict[str, float] | None = None) -> CostReport:
        """The cost model on the settings and, when given, on what a report measured."""
        from groundtune.verdict.cost import cost_table, inputs_from

        return cost_table(inputs_from(self.config, report, overrides=overrides))

    def decide(self, report_path: str | Path | None = None) -> Decision:
        """The verdict on a run (default: the latest), kept beside its report, and in report.html and report.md.

        Raises ``DataError`` when there is no run or its report cannot be read.
        """
        from groundtune.report.html import write_html
        from groundtune.report.markdown import to_document
        from groundtune.verdict.decide import decide as conclude

        run = Run(Path(report_path)) if report_path else self.latest()
        if run is None:
            raise DataError("cli.decide.no_report")
        report = run.report()
        cost = self.cost(report)
        verdict = conclude(report, cost, self.config.requirements, self.config)
        write_whole(run.verdict_path, verdict.to_json(language()) + "\n")
        write_html(report, verdict, cost, run.html_path, language())
        write_whole(run.markdown_path, to_document(report, verdict, cost, language()))
        return Decision(run, report, cost, verdict)

    def approach(self, name: str) -> Approach:
        """One approach (or row of a comparison, ``rag @ model``), ready to answer: with the promoted adapter (``groundtune
        adapters promote``), else with what was trained by ``compare`` or ``tune`` for the same data.
        """
        from groundtune.measure.contrasts import AT
        from groundtune.measure.needs import needs_of

        row, _, model = name.partition(AT)
        if model:  # a row of a further model, as a comparison names it
            other = self.with_model(model)
            other.__dict__["kb"] = self.kb
            return other.approach(row)
        path = self.config.path(self.config.project.examples)
        # without an instruction in the settings the examples hold the system prompt
        wants = needs_of(name).examples or (path.is_file() and not self.config.format.instruction.strip())
        return self._fitted(name, self._training_examples() if wants else (), serving=True)

    def tune(
        self,
        with_context: bool = False,
        *,
        progress: Callable[[Progress], None] | None = None,
        announce: Callable[[Preflight], None] | None = None,
        trainer: Callable[..., LoraTrainer] | None = None,
    ) -> Adapter:
        """Train the adapter for fine-tuning, or with retrieved context for RAG + fine-tuning: the one that ``compare``
        would train, so that neither trains it twice. ``announce`` hears what will be trained before it is; ``trainer``
        makes what trains (default: ``LoraTrainer``, in this process).

        Raises ``DataError`` for fewer than 10 examples, ``TrainingError`` for a base that cannot be trained here.
        """
        from groundtune.approaches.setting import load_schema
        from groundtune.tuning.lora import LoraTrainer

        schema = load_schema(self.config)
        make = trainer or LoraTrainer
        made = make(self.config.tuning, progress=progress, announce=announce, schema=schema)
        adapter = getattr(self._fitted(_tuned(with_context), self._training_examples(), made), "adapter", None)
        assert isinstance(adapter, Adapter)
        return adapter

    def preflight(self, with_context: bool = False) -> Preflight:
        """What ``tune`` would train, without training. Raises what it would raise before its first step."""
        from groundtune.approaches.setting import load_schema
        from groundtune.tuning.dry import DryTrainer

        trainer = DryTrainer(self.config.tuning, schema=load_schema(self.config))
        self._fitted(_tuned(with_context), self._training_examples(), trainer)
        assert trainer.report is not None
        return trainer.report

    def learning_curve(self, with_context: bool = False, **watchers: Any) -> Curve:  # noqa: ANN401 - as make_bench
        """Whether more examples would help: trained on a quarter, half and all of them. Raises ``DataError`` for fewer
        than 50 examples.
        """
        from groundtune.measure.trials import learning_curve, make_bench

        bench = make_bench(self.config, self.kb, self.documents(), self._training_examples(), **watchers)
        return learning_curve(bench, _tuned(with_context))

    def sweep_gold(self, shares: Sequence[float], **watchers: Any) -> Sweep:  # noqa: ANN401 - as make_bench
        """Which share of rows that show the right passage trains best. Raises as ``learning_curve``."""
        from groundtune.measure.trials import make_bench, sweep_gold

        bench = make_bench(self.config, self.kb, self.documents(), self._training_examples(), **watchers)
        return sweep_gold(bench, shares)

    def with_gold_share(self, share: float) -> Project:
        """The same project with another ``tuning.gold_share``."""
        return Project(replace(self.config, tuning=replace(self.config.tuning, gold_share=share)))

    def _training_examples(self) -> Sequence[Example]:
        from groundtune.measure.plan import make_plan

        return make_plan(self.config).train

    def _fitted(
        self,
        name: str,
        examples: Sequence[Example],
        trainer: LoraTrainer | None = None,
        *,
        serving: bool = False,
    ) -> Approach:
        """``serving`` takes the promoted adapter of the approach, when there is one, instead of training."""
        from groundtune.approaches.opening import open_approach
        from groundtune.approaches.setting import make_setting
        from groundtune.tuning.service import promoted

        setting = make_setting(self.config, self.kb)
        trainer = promoted(setting.adapters, name) if serving else trainer
        options = {"trainer": trainer} if trainer is not None else {}
        approach = open_approach(name, setting, **options)
        approach.fit(self.documents(), examples)
        return approach

    def _keep(self, report: Report) -> None:
        from groundtune.measure.run import write_report_json
        from groundtune.report.html import write_html
        from groundtune.report.markdown import to_document

        runs = self.config.state / "runs"
        stamp = "".join(c for c in report.created[:19] if c.isdigit() or c == "T")
        folder, number = runs / stamp, 1
        while folder.exists():
            number += 1
            folder = runs / f"{stamp}-{number}"
        run = Run(write_report_json(report, folder / "report.json"))
        write_html(report, None, None, run.html_path, language())
        write_whole(run.markdown_path, to_document(report, lang=language()))
        write_whole(runs / LATEST, f"{folder.name}\n")


class Quoting:
    """RAG with the reader alone: the answer is a quote. Fills what serving needs of ``ports.Approach``."""

    name = "rag"

    def __init__(self, project: Project) -> None:
        self._project = project

    def answer(self, question: Question) -> Answer:
        """Answer one question."""
        return self._project.ask(question.text)


def compare(project: Project | str | Path, **options: Any) -> Report:  # noqa: ANN401 - as Project.compare
    """Measure every approach on a project (or the folder of one); ``options`` as for ``Project.compare``."""
    return _opened(project).compare(**options)


def tune(project: Project | str | Path, **options: Any) -> Adapter:  # noqa: ANN401 - as Project.tune
    """Train the adapter of a project (or the folder of one); ``options`` as for ``Project.tune``."""
    return _opened(project).tune(**options)


def _tuned(with_context: bool) -> str:
    """The approach that an adapter is trained for."""
    return "rag+finetune" if with_context else "finetune"


def _opened(project: Project | str | Path) -> Project:
    return project if isinstance(project, Project) else Project.open(project)


def rough_tokens(text: str) -> int:
    """Tokens of a text, roughly: one per CJK character, one per four others."""
    wide = sum(ord(character) > 0x2E7F for character in text)
    return wide + (len(text) - wide) // 4
