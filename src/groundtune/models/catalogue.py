"""Which models this computer could use now, and what is missing for the others. Nothing is downloaded or loaded, and
no key is ever part of what is returned.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from groundtune.errors import GroundtuneError
from groundtune.messages import say
from groundtune.models import ollama
from groundtune.models.builtin import FOLDER
from groundtune.models.http import key_from
from groundtune.models.shipped import read_json

_OLLAMA_WAIT = 1.0  # seconds; a server on this computer answers in milliseconds
_EMBEDDER = re.compile(r"(^|[-_/:.])(embed|embedding|bge|e5|gte|minilm|labse)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model by spec. ``kind`` is ``"model"``, ``"reader"`` or ``"embedder"``; ``size_bytes`` None and empty
    ``languages`` or ``licence`` mean: not known; ``reason`` says what is missing when it is not ``available``.
    """

    spec: str
    available: bool
    kind: str = "model"
    size_bytes: int | None = None
    languages: tuple[str, ...] = ()
    licence: str = ""
    good_for: str = ""
    reason: str = ""


def list_models() -> tuple[ModelInfo, ...]:
    """Built-ins, models of a running Ollama, models in the Hugging Face cache, and providers that need a key."""
    return (*_builtins(), *_ollama(), *_hugging_face(), *_providers())


def _builtins() -> Iterator[ModelInfo]:
    for name, kind in (("base", "model"), ("reader", "reader"), ("embed", "embedder")):
        folder = FOLDER / name
        card = read_json(folder / "card.json")
        files = [path for path in folder.glob("*") if path.is_file()] if folder.is_dir() else []
        reason = "" if files else say("models.why_not.not_installed")
        if files and kind == "model" and _no_torch():  # the other two need NumPy only
            reason = say("models.why_not.no_extra", extra="tune")
        yield ModelInfo(
            f"builtin:{name}",
            available=not reason,
            kind=kind,
            size_bytes=sum(path.stat().st_size for path in files) or None,
            languages=_texts(card.get("languages")) or ("en", "zh-TW", "ja"),
            licence=str(card.get("licence") or card.get("license") or "MIT"),
            good_for=say(f"models.good_for.builtin_{name}"),
            reason=reason,
        )


def _no_torch() -> bool:
    return importlib.util.find_spec("transformers") is None or importlib.util.find_spec("torch") is None


def _ollama() -> Iterator[ModelInfo]:
    try:
        server = ollama.Server(None, _OLLAMA_WAIT, 0)
        tags = server.call("/api/tags").get("models")
    except GroundtuneError as error:
        where = error.params.get("where", os.environ.get("OLLAMA_HOST", ""))
        good_for = say("models.good_for.ollama")
        yield ModelInfo("ollama:", False, good_for=good_for, reason=say("models.why_not.ollama_down", where=where))
        return
    for tag in tags if isinstance(tags, list) else []:
        if isinstance(tag, dict) and tag.get("name"):
            name, size = str(tag["name"]), tag.get("size")
            yield _local(f"ollama:{name}", "ollama", name, size if isinstance(size, int) else None)


def _hugging_face() -> Iterator[ModelInfo]:
    missing = _no_torch()
    reason = say("models.why_not.no_extra", extra="tune") if missing else ""
    for folder in sorted(hub_cache().glob("models--*")):
        snapshot = _snapshot(folder)
        if snapshot is None:
            continue
        name = folder.name.removeprefix("models--").replace("--", "/")
        architectures = _texts(read_json(snapshot / "config.json").get("architectures"))
        embedder = (snapshot / "modules.json").is_file() or _EMBEDDER.search(name) is not None
        if not embedder and not any(a.endswith(("ForCausalLM", "LMHeadModel")) for a in architectures):
            continue
        size = sum(path.stat().st_size for path in snapshot.rglob("*") if path.is_file())
        card = _front_matter(snapshot / "README.md")
        yield _local(
            f"hf:{name}", "hf", name, size, embedder=embedder, reason=reason,
            languages=_texts(card.get("language")), licence="".join(_texts(card.get("license"))),
        )  # fmt: skip


def _local(
    spec: str,
    provider: str,
    name: str,
    size: int | None,
    *,
    embedder: bool | None = None,
    reason: str = "",
    languages: tuple[str, ...] = (),
    licence: str = "",
) -> ModelInfo:
    embeds = _EMBEDDER.search(name) is not None if embedder is None else embedder
    good_for = say(f"models.good_for.{provider}{'_embedder' if embeds else ''}")
    kind = "embedder" if embeds else "model"
    return ModelInfo(spec, not reason, kind, size, languages, licence, good_for, reason)


def _providers() -> Iterator[ModelInfo]:
    for provider, package, variables in (
        ("openai", "openai", ("OPENAI_API_KEY", "GROUNDTUNE_API_KEY")),
        ("gemini", "google.genai", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
        ("anthropic", "anthropic", ("ANTHROPIC_API_KEY",)),
    ):
        reason = ""
        if not _installed(package):
            reason = say("models.why_not.no_extra", extra=provider)
        elif key_from(*variables) is None:
            reason = say("models.why_not.no_key", variable=variables[0])
        yield ModelInfo(f"{provider}:", not reason, good_for=say(f"models.good_for.{provider}"), reason=reason)


def hub_cache() -> Path:
    """The Hugging Face cache folder by its own rules: HF_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME, ~/.cache."""
    if os.environ.get("HF_HUB_CACHE"):
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser() / "hub"


def _snapshot(folder: Path) -> Path | None:
    """The snapshot that ``refs/main`` names, or the newest one that holds a config.json."""
    main = folder / "refs" / "main"
    if main.is_file():
        named = folder / "snapshots" / main.read_text(encoding="utf-8").strip()
        if (named / "config.json").is_file():
            return named
    found = [path.parent for path in folder.glob("snapshots/*/config.json") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        return False


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _front_matter(path: Path) -> dict[str, str | list[str]]:
    """The scalars and simple lists of a model card's YAML head; anything deeper is skipped."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    head = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    found: dict[str, str | list[str]] = {}
    key = ""
    for line in head.group(1).splitlines() if head else []:
        if pair := re.fullmatch(r"(\w+):\s*(.*?)\s*", line):
            key = pair.group(1)
            inline = re.fullmatch(r"\[(.*)\]", pair.group(2))
            found[key] = [part.strip(" '\"") for part in inline.group(1).split(",")] if inline else pair.group(2)
        elif key and (item := re.fullmatch(r"\s*-\s+([\w.-]+)\s*", line)):
            before = found.get(key)
            found[key] = [*(before if isinstance(before, list) else []), item.group(1)]
    return found
