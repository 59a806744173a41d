"""One frozen ``Config`` <-> ``groundtune.toml``. Unknown keys fail, all mistakes are reported at once."""

from __future__ import annotations

import difflib
import tomllib
import types
from dataclasses import dataclass, field, fields, is_dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args, get_type_hints

from groundtune.errors import ConfigError
from groundtune.messages import say
from groundtune.types import Unsupported

UNSUPPORTED = get_args(Unsupported)
APPROACHES = ("prompt", "few-shot", "long-context", "rag", "finetune", "rag+finetune")
# Long context is measured where the corpus fits the model's window; ``compare --dry-run`` shows what that costs.
MEASURED = APPROACHES
CONSTRAINED = "+constrained"
BROUGHT = ("python", "langchain", "llamaindex", "url")
SHOT_CHOICES = ("fixed", "nearest")
PRECISIONS = ("auto", "float32", "bfloat16")
ENGINES = ("local", "ray")


_WEB = ("http://", "https://")
_FOLDER_STORES = ("lancedb", "qdrant")


@dataclass(frozen=True)
class ProjectSection:
    """Where things are; paths are relative to the folder of groundtune.toml."""

    name: str = "my-project"
    language: str = "en"
    documents: tuple[str, ...] = ("documents",)
    examples: str = "examples.jsonl"
    questions: str = "questions.jsonl"


@dataclass(frozen=True)
class ModelsSection:
    """``provider:name`` specs. ``base`` answers (and is fine-tuned), ``reader`` picks evidence, ``embedder`` may be
    empty (lexical retrieval only).
    """

    base: str = "builtin:base"
    reader: str = "builtin:reader"
    embedder: str = ""


@dataclass(frozen=True)
class RetrievalSection:
    """``k`` chunks are retrieved; ``context_sentences`` best sentences of them go to the model (0: whole chunks,
    up to ``context_tokens`` tokens). ``store`` is the spec of the store that searches; empty: the project's own folder.
    ``retriever`` finds the passages instead of it. ``reranker`` orders what was found again.
    """

    k: int = 10
    context_sentences: int = 3
    context_tokens: int = 1500
    chunk_characters: int = 1200
    store: str = ""
    retriever: str = ""
    reranker: str = ""


@dataclass(frozen=True)
class AnswersSection:
    """How ``ask`` answers. ``unsupported``: what happens to written sentences that the documents do not support (flag,
    remove or keep); ``threshold`` in (0, 1] is how sure the reader must be, 0: as calibrated.
    """

    unsupported: str = "flag"
    threshold: float = 0.0


@dataclass(frozen=True)
class AccessSection:
    """Who may see what. ``folders``: ``folder = label, label`` each; ``readers``: ``VARIABLE = label, label`` each, where
    the environment variable holds the token of a reader of ``serve``.
    """

    folders: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()


@dataclass(frozen=True)
class FormatSection:
    """The house format: the system prompt, the JSON Schema file (may be empty) and the schema's field that holds the
    answer, the source (document title) and the place (article); ``rules`` that an output must keep besides.
    """

    instruction: str = ""
    schema: str = ""
    answer_field: str = ""
    source_field: str = ""
    place_field: str = ""
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class TuningSection:
    """LoRA settings. ``epochs`` 0 and ``learning_rate`` 0 mean: chosen by data size. ``validation`` of the training
    examples choose the checkpoint by the task's score, and training ends after ``patience`` looks without a better one;
    ``precision`` is auto, float32 or bfloat16; ``memory_gb`` 0: what is free; ``dora`` and ``four_bit`` (QLoRA, CUDA only)
    are other kinds of LoRA; ``quotes``: answers trained with context quote the passage that they rest on;
    ``swaps``: small models see values that answers copy exchanged between examples (``tuning.swap``).
    """

    rank: int = 0
    epochs: int = 0
    learning_rate: float = 0.0
    batch_size: int = 8
    max_tokens: int = 1024
    distractors: int = 3
    gold_share: float = 0.8
    seed: int = 0
    validation: float = 0.1
    patience: int = 3
    packing: bool = True
    swaps: bool = True
    precision: str = "auto"
    dora: bool = False
    four_bit: bool = False
    memory_gb: float = 0.0
    quotes: bool = False


@dataclass(frozen=True)
class CompareSection:
    """What is measured. ``shots`` examples go into a few-shot prompt, ``fixed`` or the ``nearest`` to each question;
    ``constrained``: decoding keeps to the schema; ``window`` in tokens, 0: as the model says; ``held_out`` of the
    examples are kept for scoring; 0 ``max_questions`` means all; ``requests_per_minute`` 0: no limit; what is trained is
    trained with ``seeds`` seeds; ``scorers`` of installed packages score beside ours.
    """

    approaches: tuple[str, ...] = MEASURED
    shots: int = 3
    shot_choice: str = "fixed"
    constrained: bool = False
    window: int = 0
    held_out: float = 0.15
    max_questions: int = 0
    max_answer_tokens: int = 0
    requests_per_minute: float = 0.0
    counterfactual: bool = False
    seed: int = 0
    seeds: int = 1
    scorers: tuple[str, ...] = ()


@dataclass(frozen=True)
class RequirementsSection:
    """What the business needs; feeds the gates of the verdict. ``target`` is the success rate that is good enough,
    ``minimum_gain`` the smallest gain in success that would change the decision. ``knowledge_location`` is documents,
    live or none; ``task_regularity`` fixed, mixed or open; ``budget_per_month`` 0 means none was stated.
    """

    citations: bool = False
    access_control: bool = False
    data_must_stay_local: bool = False
    fixed_format: bool = False
    target: float = 0.0
    minimum_gain: float = 0.1
    knowledge_location: str = "documents"
    task_regularity: str = "mixed"
    train_knowledge: bool = False
    budget_per_month: float = 0.0


@dataclass(frozen=True)
class CostSection:
    """Inputs of the cost model; money in US dollars. ``prices`` names the model whose dated token prices are used when
    the base model is local (a plan for production; empty: no tokens are bought); ``hosting`` says how a tuned model
    would be served: token, gpu or own; ``price_overrides`` are ``key=value`` each. Token settings of 0 mean: as measured. Retraining rates below 0 mean: one per
    update for fine-tuning alone, at most one a year for the hybrid.
    """

    queries_per_month: float = 10000.0
    horizon_months: int = 12
    updates_per_month: float = 1.0
    retrained_per_month: float = -1.0
    hybrid_retrained_per_month: float = -1.0
    growth_per_month: float = 0.0
    prices: str = "gpt-5-mini"
    hosting: str = "token"
    tuned_multiplier: float = 2.0
    gpu_dollars_per_hour: float = 3.99
    gpu_hours_per_month: float = 730.0
    own_hardware_per_month: float = 100.0
    seconds_per_request: float = 2.0
    requests_at_once: float = 16.0
    peak_factor: float = 5.0
    setup_rag: float = 200.0
    setup_finetune: float = 500.0
    training: float = 50.0
    retraining: float = 30.0
    vector_store_per_month: float = 0.0
    retrieval_per_query: float = 0.0
    index_update: float = 0.0
    value_per_correct_answer: float = 0.0
    facts_changed_per_month: float = 0.02
    question_tokens: float = 0.0
    static_tokens: float = 0.0
    shot_tokens: float = 0.0
    tuned_static_tokens: float = 0.0
    retrieved_tokens: float = 0.0
    output_tokens: float = 0.0
    corpus_tokens: float = 0.0
    cache_minutes: float = 5.0
    batch_share: float = 0.0
    price_overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScaleSection:
    """Where ``ingest``, ``compare`` and ``tune`` do their work: here (``local``) or on a ``ray`` cluster at ``address``
    (empty: RAY_ADDRESS, else workers on this computer alone) with at most ``workers``, 0: all.
    """

    engine: str = "local"
    address: str = ""
    workers: int = 0


@dataclass(frozen=True)
class Config:
    """All settings of a project."""

    project: ProjectSection = field(default_factory=ProjectSection)
    models: ModelsSection = field(default_factory=ModelsSection)
    retrieval: RetrievalSection = field(default_factory=RetrievalSection)
    answers: AnswersSection = field(default_factory=AnswersSection)
    access: AccessSection = field(default_factory=AccessSection)
    format: FormatSection = field(default_factory=FormatSection)
    tuning: TuningSection = field(default_factory=TuningSection)
    compare: CompareSection = field(default_factory=CompareSection)
    requirements: RequirementsSection = field(default_factory=RequirementsSection)
    cost: CostSection = field(default_factory=CostSection)
    scale: ScaleSection = field(default_factory=ScaleSection)
    folder: Path = field(default_factory=Path)

    @property
    def state(self) -> Path:
        """``.groundtune/`` beside the toml: knowledge base, runs, adapters."""
        return self.folder / ".groundtune"

    @property
    def store(self) -> str:
        """The spec of the store that searches; a folder in it is taken from the project folder."""
        provider, _, rest = self.retrieval.store.partition(":")
        address, mark, name = rest.partition("#")
        if provider not in _FOLDER_STORES or not address or "://" in address:
            return self.retrieval.store
        return f"{provider}:{self.path(address).absolute()}{mark}{name}"

    def path(self, name: str) -> Path:
        """A configured path, relative ones from the project folder."""
        return self.folder / name

    @property
    def roots(self) -> tuple[Path | str, ...]:
        """Configured documents: files and folders as paths, web addresses as they are."""
        names = self.project.documents
        return tuple(name if name.lower().startswith(_WEB) else self.path(name) for name in names)

    @property
    def files(self) -> tuple[Path, ...]:
        """Configured documents on this computer."""
        return tuple(root for root in self.roots if isinstance(root, Path))


def load_config(folder: str | Path) -> Config:
    """Read ``folder/groundtune.toml``. Raises ``ConfigError`` naming every mistake."""
    root = Path(folder)
    path = root / "groundtune.toml"
    if not path.is_file():
        raise ConfigError("core.config_missing", folder=root.resolve())
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("core.config_broken", path=path, reason=error) from error
    problems: list[str] = []
    config = parse(table, root, problems)
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError("core.config_problems", path=path, count=len(problems), problems=lines)
    return config


def parse(table: dict[str, Any], folder: Path, problems: list[str]) -> Config:
    """Build a ``Config``; every mistake is appended to ``problems`` as a sentence."""
    sections: dict[str, Any] = {}
    known = [f.name for f in fields(Config) if f.name != "folder"]
    hints = get_type_hints(Config)
    for name, values in table.items():
        if name not in known or not isinstance(values, dict):
            problems.append(say("core.config_unknown_section", section=name, known=", ".join(known)))
            continue
        sections[name] = _section(hints[name], name, values, problems)
    config = Config(**sections, folder=folder)
    for approach in config.compare.approaches:
        if not is_approach(approach):
            choices = ", ".join((*APPROACHES, *(f"{kind}:…" for kind in BROUGHT)))
            problems.append(
                say("core.config_choice", section="compare", key="approaches", value=approach, choices=choices)
            )
    if config.compare.shot_choice not in SHOT_CHOICES:
        choices, value = ", ".join(SHOT_CHOICES), config.compare.shot_choice
        problems.append(say("core.config_choice", section="compare", key="shot_choice", value=value, choices=choices))
    if config.tuning.precision not in PRECISIONS:
        choices, value = ", ".join(PRECISIONS), config.tuning.precision
        problems.append(say("core.config_choice", section="tuning", key="precision", value=value, choices=choices))
    if config.scale.engine not in ENGINES:
        choices, value = ", ".join(ENGINES), config.scale.engine
        problems.append(say("core.config_choice", section="scale", key="engine", value=value, choices=choices))
    if config.answers.unsupported not in UNSUPPORTED:
        choices, value = ", ".join(UNSUPPORTED), config.answers.unsupported
        problems.append(say("core.config_choice", section="answers", key="unsupported", value=value, choices=choices))
    return config


def is_brought(name: str) -> bool:
    """True for an approach of the user's own: ``python:…``, ``langchain:…``, ``llamaindex:…`` or ``url:…``."""
    return ":" in name and name.partition(":")[0] in BROUGHT


def is_approach(name: str) -> bool:
    """True for a known approach, also with ``+constrained``, for one of an installed package (entry points
    ``groundtune.approach``) and for one that the user brings.
    """
    plain = name.removesuffix(CONSTRAINED)
    return plain in APPROACHES or is_brought(name) or bool(entry_points(group="groundtune.approach", name=plain))


def _section(kind: Any, name: str, values: dict[str, Any], problems: list[str]) -> Any:  # noqa: ANN401
    assert is_dataclass(kind)
    hints = get_type_hints(kind)
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            which = "core.config_unknown_hint" if close else "core.config_unknown"
            problems.append(say(which, section=name, key=key, hint=close[0] if close else ""))
            continue
        converted = _convert(hints[key], value)
        if converted is None:
            expected = "list of str" if isinstance(hints[key], types.GenericAlias) else hints[key].__name__
            found = f"{type(value).__name__} {value!r}"
            problems.append(say("core.config_type", section=name, key=key, expected=expected, found=found))
            continue
        kept[key] = converted
    return kind(**kept)  # type: ignore[operator]


def _convert(hint: Any, value: Any) -> Any:  # noqa: ANN401 - None means: wrong type
    if isinstance(hint, types.GenericAlias):
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        return None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, bool):
        return None
    return value if isinstance(value, hint) else None
