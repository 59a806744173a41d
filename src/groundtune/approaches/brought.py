"""An approach of the user's own beside ours: a Python function, a LangChain Runnable, a LlamaIndex query engine, a URL.

What it returns is taken by its shape, so that neither framework is imported here. When its code raises, that is an error
of the harness's side: it is shown and counted apart, never as a wrong answer.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune import registry
from groundtune.approaches.common import abstains, ask, extract_answer, prepared, system_prompt
from groundtune.approaches.setting import Setting
from groundtune.approaches.sources import Sources, hits_of
from groundtune.errors import ApproachFailed, ConfigError
from groundtune.types import Answer, Document, Example, Question, Usage, digest

_CALLS = {"python": "__call__", "langchain": "invoke", "llamaindex": "query"}
_ANSWER_KEYS = ("answer", "output", "result", "response")
_LONGEST = 300


def check_brought(name: str, folder: Path) -> None:
    """Load what ``name`` brings, if it brings anything. Raises ``ConfigError`` for what cannot be loaded or called."""
    kind, _, rest = name.partition(":")
    if kind in _CALLS:
        load_object(name, folder)
    elif kind == "url":
        _model_spec(rest)


def open_brought(name: str, setting: Setting) -> Brought | Elsewhere:
    """The approach that ``name`` brings. Raises ``ConfigError`` as ``check_brought`` does."""
    kind, _, rest = name.partition(":")
    if kind == "url":
        return Elsewhere(name, _model_spec(rest), setting)
    found = load_object(name, setting.config.folder)
    return Brought(name, found, getattr(found, _CALLS[kind]), setting)


def load_object(name: str, folder: Path) -> Any:  # noqa: ANN401 - whatever the user wrote
    """The object of ``kind:module:object``; modules are looked for in the project folder first. Raises ``ConfigError``."""
    kind, _, rest = name.partition(":")
    module, colon, attribute = rest.partition(":")
    if not module or not colon or not attribute:
        raise ConfigError("approaches.brought_form", name=name, kind=kind)
    try:
        found = registry.import_from([folder.resolve()], module, attribute)
    except (Exception, SystemExit) as error:
        raise ConfigError("approaches.brought_load", name=name, reason=last_line(error)) from error
    if not callable(getattr(found, _CALLS[kind], None)):
        raise ConfigError("approaches.brought_call", name=name, method=_CALLS[kind])
    return found


class Brought:
    """Code of the user's own. ``digest`` is that of its module's source, so that a change asks everything again."""

    def __init__(self, name: str, found: Any, call: Callable[[Any], Any], setting: Setting) -> None:  # noqa: ANN401
        self.name = name
        self._call = call
        self._setting = setting
        self._sources = Sources(())
        self.digest = _source_digest(name, found)

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Its owner prepared it; the documents are kept to look its citations up."""
        self._sources = Sources(documents)

    def answer(self, question: Question) -> Answer:
        """One call. Raises ``ApproachFailed`` with the last line of the traceback when it raises anything."""
        started = time.perf_counter()
        try:
            reply = self._call(question.text)
            return self._read(reply, time.perf_counter() - started)
        except (Exception, SystemExit) as error:
            raise ApproachFailed("approaches.brought_failed", name=self.name, reason=last_line(error)) from error

    def _read(self, reply: Any, seconds: float) -> Answer:  # noqa: ANN401
        if isinstance(reply, Answer):
            return reply
        table = reply if isinstance(reply, Mapping) else {}
        said = next((table[key] for key in _ANSWER_KEYS if key in table), "") if table else reply
        text, field = _text(said), self._setting.config.format.answer_field
        shown = table.get("context") or getattr(reply, "source_nodes", None) or ()
        context = hits_of(shown, self._sources)
        abstained = bool(table.get("abstained", abstains(text, field)))
        cited = None if abstained else self._sources.cited(text, field, table.get("citations"), context)
        return Answer(
            text=text,
            citations=cited.citations if cited else (),
            dropped_citations=cited.dropped if cited else 0,
            abstained=abstained,
            usage=_usage(table.get("usage") or getattr(said, "usage_metadata", None)),
            seconds=seconds,
            model=self.name,
            span=extract_answer(text, field).value or "",
            context=context,
        )


class Elsewhere:
    """A service behind an OpenAI-compatible URL: the house instruction and the question, nothing else."""

    def __init__(self, name: str, spec: str, setting: Setting) -> None:
        self.name = name
        self._setting = setting
        self._system = system_prompt(setting.config)
        self._model = registry.load("model", spec)

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """Takes the system prompt from the examples when the settings have none."""
        self._setting, self._system = prepared(self._setting, examples)

    def answer(self, question: Question) -> Answer:
        """One request."""
        return ask(self._setting, self._model, self._system, question.text)


def last_line(error: BaseException) -> str:
    """Where it was raised (file and line) and the last line of the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}: " if frames else ""
    said = traceback.format_exception_only(error)[-1]
    return (where + " ".join(said.split()))[:_LONGEST]


def _model_spec(rest: str) -> str:
    address, _, model = rest.partition("#")
    if not address.startswith(("http://", "https://")) or not model:
        raise ConfigError("approaches.brought_url", name=f"url:{rest}")
    return f"openai:{model}@{address}"


def _source_digest(name: str, found: Any) -> str:  # noqa: ANN401
    module = sys.modules.get(getattr(found, "__module__", "") or "") or sys.modules[name.split(":")[1]]
    named = sys.modules[name.split(":")[1]]
    texts = []
    for path in dict.fromkeys((getattr(named, "__file__", None), getattr(module, "__file__", None))):
        if path and Path(path).suffix == ".py":
            texts.append(Path(path).read_text(encoding="utf-8", errors="replace"))
    return digest("\n".join(texts))


def _text(said: Any) -> str:  # noqa: ANN401 - a string, a message, a response
    if isinstance(said, str):
        return said.strip()
    if said is None:
        return ""
    for name in ("content", "text", "response"):
        value = getattr(said, name, None)
        if isinstance(value, str):
            return value.strip()
    return str(said).strip()


def _usage(counted: Any) -> Usage:  # noqa: ANN401 - a mapping in one of the usual spellings, a Usage or None
    if isinstance(counted, Usage):
        return counted
    if not isinstance(counted, Mapping):
        return Usage()

    def first(*names: str) -> int:
        return next((int(counted[name]) for name in names if isinstance(counted.get(name), int | float)), 0)

    details = counted.get("input_token_details") or counted.get("prompt_tokens_details")
    inner = details if isinstance(details, Mapping) else {}
    cached = first("cached_tokens") or int(inner.get("cache_read") or inner.get("cached_tokens") or 0)
    return Usage(
        first("input_tokens", "prompt_tokens"),
        first("output_tokens", "completion_tokens"),
        cached,
    )
