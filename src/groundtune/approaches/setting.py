"""What every approach gets: settings, knowledge base, reader and a way to open the model, with or without adapter."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from groundtune import registry
from groundtune.config import Config
from groundtune.errors import DataError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.ports import Model, Reader
from groundtune.tuning.plan import Progress

KNOWLEDGE = "kb"
ADAPTERS = "adapters"


@dataclass(frozen=True)
class Setting:
    """One project as the approaches see it. ``open_model`` takes the path of an adapter, or None for the base model;
    ``run_folder`` holds what is trained (``adapters/``); ``progress`` is told about training;
    ``schema`` is what decoding must keep to, None when it is free.
    """

    config: Config
    knowledge: KnowledgeBase | None
    reader: Reader | None
    run_folder: Path
    open_model: Callable[[str | None], Model]
    progress: Callable[[Progress], None] | None = None
    schema: Mapping[str, Any] | None = None

    @property
    def adapters(self) -> Path:
        """Folder of the adapters: one folder per adapter, named after the approach and its training digest."""
        return self.run_folder / ADAPTERS


def make_setting(
    config: Config,
    knowledge: KnowledgeBase | None,
    *,
    run_folder: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Setting:
    """The setting of a project; ``run_folder`` defaults to ``.groundtune/``. Models are opened when first needed and
    the two used last are kept. Raises ``SpecError`` or ``MissingExtra`` for a reader that cannot be made.
    """
    spec = config.models.base

    @lru_cache(maxsize=2)
    def open_model(adapter: str | None) -> Model:
        model: Model = registry.load("model", spec, adapter=adapter) if adapter else registry.load("model", spec)
        return model

    reader = registry.load("reader", config.models.reader) if config.models.reader else None
    return Setting(config, knowledge, reader, run_folder or config.state, open_model, progress)


def open_index(
    config: Config, *, progress: Callable[[int, int, str], None] | None = None, background: bool = False
) -> KnowledgeBase:
    """The project's knowledge base with the settings of its file; made when missing. Raises what ``KnowledgeBase.open``
    does.
    """
    retrieval = config.retrieval
    return KnowledgeBase.open(
        config.state / KNOWLEDGE,
        embedder=config.models.embedder,
        chunk_characters=retrieval.chunk_characters,
        store=config.store,
        retriever=retrieval.retriever,
        reranker=retrieval.reranker,
        progress=progress,
        background=background,
    )


def load_schema(config: Config) -> Mapping[str, Any] | None:
    """The JSON Schema of the house format, None when there is none. Raises ``DataError`` when it cannot be read."""
    if not config.format.schema:
        return None
    path = config.path(config.format.schema)
    try:
        schema = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError("core.file_missing", path=path) from error
    except (ValueError, RecursionError) as error:
        raise DataError("approaches.schema_broken", path=path, reason=error) from error
    return schema if isinstance(schema, dict) else None
