"""What an approach uses: decides when it is not run, and what the cache keys of its answers cover."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from groundtune.approaches.common import answer_tokens
from groundtune.approaches.opening import plain_name
from groundtune.config import BROUGHT, Config, is_brought
from groundtune.measure.cache import cache_key
from groundtune.measure.items import Item
from groundtune.measure.plan import Plan
from groundtune.messages import say
from groundtune.tuning.base import base_digest
from groundtune.tuning.data import MINIMUM_EXAMPLES
from groundtune.types import digest


@dataclass(frozen=True)
class Needs:
    """``retrieves``: looks things up; ``reads``: is shown every document; ``examples``: how many it needs at least."""

    retrieves: bool = True
    reads: bool = False
    examples: int = 0
    trains: bool = False

    @property
    def documents(self) -> bool:
        """Cannot work without documents."""
        return self.retrieves or self.reads


_NEEDS = {
    "prompt": Needs(retrieves=False),
    "few-shot": Needs(retrieves=False, examples=1),
    "long-context": Needs(retrieves=False, reads=True),
    "rag": Needs(),
    "finetune": Needs(retrieves=False, examples=MINIMUM_EXAMPLES, trains=True),
    "rag+finetune": Needs(examples=MINIMUM_EXAMPLES, trains=True),
}
_BROUGHT = Needs(retrieves=False)


def needs_of(name: str) -> Needs:
    """What an approach uses; a plugin is taken to retrieve and to use the examples if there are any, and an approach that
    the user brings to need nothing of ours.
    """
    return _BROUGHT if is_brought(name) else _NEEDS.get(plain_name(name), Needs())


def missing_for(plan: Plan, needs: Needs) -> str:
    """Why an approach cannot run on this project; empty when it can."""
    if needs.documents and not plan.documents:
        return say("measure.no_documents")
    if len(plan.train) < needs.examples:
        return say("measure.few_examples", count=len(plan.train), minimum=needs.examples)
    return ""


def answer_key(config: Config, plan: Plan, name: str, adapter: str) -> Callable[[Item], str]:
    """Cache keys: everything that an answer of this approach depends on, and nothing else, so that a changed setting
    asks again exactly what it affects. ``adapter``: digest of an adapter, or of the code that the user brought.
    """
    needs, plain = needs_of(name), plain_name(name)
    foreign = plain not in _NEEDS and not is_brought(name)
    parts: dict[str, object] = {
        "approach": plain,
        "version": package_version(),
        "model": config.models.base,
        "weights": _weights(config.models.base, config.folder),
        # rules are what answers are scored by: no model is shown them
        "format": {key: value for key, value in asdict(config.format).items() if key != "rules"},
        "schema": plan.house.schema,
        "max_tokens": answer_tokens(config, plan.train),
        "seed": config.compare.seed,
        "language": config.project.language,
        "adapter": adapter,
    }
    if plain != name or config.compare.constrained:
        parts["constrained"] = True
    if needs.documents:
        parts["knowledge"] = plan.knowledge
    if needs.retrieves:
        parts |= {
            "reader": config.models.reader,
            "reader_weights": _weights(config.models.reader, config.folder),
            "embedder": config.models.embedder,
            "retrieval": asdict(config.retrieval),
            "retriever_code": _weights(config.retrieval.retriever, config.folder),
        }
    if needs.examples or foreign or not config.format.instruction.strip():
        parts["examples"] = plan.train_digest  # without an instruction the examples' system prompt is used
    if plain == "few-shot" or foreign:
        parts |= {"shots": config.compare.shots, "shot_choice": config.compare.shot_choice}
    if needs.trains or foreign:
        parts["tuning"] = asdict(config.tuning)
    return lambda item: cache_key({**parts, "part": item.part, "question": item.question.text})


def package_version() -> str:
    """Installed version; ``0+source`` when running from a checkout that is not installed."""
    try:
        return metadata.version("groundtune")
    except metadata.PackageNotFoundError:
        return "0+source"


def _weights(spec: str, folder: Path) -> str:
    """Fingerprint of a local model, or of the project's own module that makes it, so that a model that was replaced is
    asked again; empty for remote ones.
    """
    provider, _, name = spec.partition(":")
    if provider in BROUGHT:
        module = folder.joinpath(*name.partition(":")[0].split(".")).with_suffix(".py")
        return digest(module.read_text(encoding="utf-8", errors="replace")) if module.is_file() else ""
    if provider == "builtin":
        card = Path(__file__).parent.parent / "builtin" / name / "card.json"
        return digest(card.read_text(encoding="utf-8")) if card.is_file() else ""
    return base_digest(name) if provider == "hf" else ""
