"""``provider:name`` specs to objects. Built-ins are strings until used; plugins come by entry points."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from groundtune.errors import MissingExtra, SpecError

_BUILT_IN: dict[str, dict[str, str]] = {
    "model": {
        "builtin": "groundtune.models.builtin:open_model",
        "openai": "groundtune.models.openai:open_model",
        "gemini": "groundtune.models.gemini:open_model",
        "anthropic": "groundtune.models.anthropic:open_model",
        "litellm": "groundtune.models.litellm:open_model",
        "ollama": "groundtune.models.ollama:open_model",
        "hf": "groundtune.models.hf:open_model",
        "langchain": "groundtune.interop.langchain:open_model",
        "llamaindex": "groundtune.interop.llamaindex:open_model",
        "fake": "groundtune.models.fake:open_model",
    },
    "reader": {
        "builtin": "groundtune.models.reader:open_reader",
        "fake": "groundtune.models.fake:open_reader",
    },
    "embedder": {
        "builtin": "groundtune.models.static:open_embedder",
        "openai": "groundtune.models.openai:open_embedder",
        "gemini": "groundtune.models.gemini:open_embedder",
        "litellm": "groundtune.models.litellm:open_embedder",
        "ollama": "groundtune.models.ollama:open_embedder",
        "hf": "groundtune.models.hf:open_embedder",
        "langchain": "groundtune.interop.langchain:open_embedder",
        "llamaindex": "groundtune.interop.llamaindex:open_embedder",
        "fake": "groundtune.models.fake:open_embedder",
    },
    # What objects of lower rooms look like elsewhere; made in rooms above them.
    "view": {
        "report": "groundtune.report.notebook:report_fragment",
        "verdict": "groundtune.report.notebook:verdict_fragment",
        "pandas": "groundtune.interop.frames:to_pandas",
        "arrow": "groundtune.interop.frames:to_arrow",
    },
    "retriever": {
        "langchain": "groundtune.interop.langchain:open_retriever",
        "llamaindex": "groundtune.interop.llamaindex:open_retriever",
    },
    "reranker": {
        "hf": "groundtune.models.rerank:open_reranker",
        "fake": "groundtune.models.fake:open_reranker",
    },
    "store": {
        "sqlite": "groundtune.store.sqlite:open_store",
        "pgvector": "groundtune.store.pgvector:open_store",
        "lancedb": "groundtune.store.lancedb:open_store",
        "qdrant": "groundtune.store.qdrant:open_store",
        "weaviate": "groundtune.store.weaviate:open_store",
        "pinecone": "groundtune.store.pinecone:open_store",
        "fake": "groundtune.store.fake:open_store",
    },
    "approach": {
        "prompt": "groundtune.approaches.prompt:Prompt",
        "few-shot": "groundtune.approaches.fewshot:FewShot",
        "long-context": "groundtune.approaches.longcontext:LongContext",
        "rag": "groundtune.approaches.rag:Rag",
        "finetune": "groundtune.approaches.finetune:FineTune",
        "rag+finetune": "groundtune.approaches.hybrid:RagFineTune",
    },
}
# A module that cannot be imported names the extra that brings it.
_EXTRAS = {
    "torch": "tune", "transformers": "tune", "peft": "tune", "trl": "tune", "accelerate": "tune", "tokenizers": "tune",
    "datasets": "tune", "safetensors": "tune", "llguidance": "tune", "sentence_transformers": "rerank", "openai": "openai", "google": "gemini", "anthropic": "anthropic", "litellm": "litellm",
    "langchain_core": "langchain", "llama_index": "llamaindex", "pinecone": "pinecone", "weaviate": "weaviate",
    "psycopg": "pgvector", "lancedb": "lancedb", "qdrant_client": "qdrant", "ray": "ray", "gguf": "export", "xllamacpp": "llama", "starlette": "serve", "uvicorn": "serve",
    "pypdfium2": "docs", "docx": "docs", "pptx": "docs", "openpyxl": "docs", "selectolax": "docs",
}  # fmt: skip


_places: list[Path] = []


def look_in(folder: Path) -> None:
    """A project folder: modules that a spec names (``langchain:my_app:llm``) are looked for there first."""
    place = folder.resolve()
    if place in _places:
        _places.remove(place)
    _places.append(place)


def places() -> tuple[Path, ...]:
    """The project folders so far, the last one last."""
    return tuple(_places)


def import_from(folders: Iterable[Path], module: str, attribute: str) -> Any:  # noqa: ANN401 - whatever the user wrote
    """An object of a module (``attribute`` may have dots), looked for in these folders before anywhere else, in the last
    one first. Raises what the module raises, ``SystemExit`` too, and ``AttributeError``.
    """
    for place in map(str, folders):
        if place in sys.path:
            sys.path.remove(place)
        sys.path.insert(0, place)
    found = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def providers(kind: str) -> dict[str, str]:
    """Provider name to ``module:object`` for a kind, built-ins and installed plugins (group ``groundtune.<kind>``)."""
    found = dict(_BUILT_IN.get(kind, {}))
    for point in entry_points(group=f"groundtune.{kind}"):
        found.setdefault(point.name, point.value)
    return found


def load(kind: str, spec: str, **options: Any) -> Any:  # noqa: ANN401 - the kind decides the type
    """Make the object that ``spec`` names by calling its factory with the part after the colon.

    Raises ``SpecError`` for an unknown provider (with a suggestion) and ``MissingExtra`` when its package is absent.
    """
    provider, _, name = spec.partition(":")
    try:
        return resolve(kind, provider)(name, **options)
    except ModuleNotFoundError as error:
        raise missing(error, provider) from error


def resolve(kind: str, provider: str) -> Any:  # noqa: ANN401
    """The factory or class behind a provider name."""
    known = providers(kind)
    if provider not in known:
        close = difflib.get_close_matches(provider, known, n=1)
        key = "core.unknown_provider_hint" if close else "core.unknown_provider"
        raise SpecError(key, kind=kind, name=provider, known=", ".join(sorted(known)), hint=close[0] if close else "")
    module, _, attribute = known[provider].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise missing(error, provider) from error


def missing(error: ModuleNotFoundError, what: str) -> Exception:
    """``MissingExtra`` for a module that an extra brings; the error itself otherwise."""
    root = (error.name or "").partition(".")[0]
    if root in _EXTRAS:
        return MissingExtra("core.missing_extra", what=what, package=root, extra=_EXTRAS[root])
    return error
