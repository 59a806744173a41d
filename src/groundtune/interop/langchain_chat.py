"""Our models and embedders as LangChain's: a chat model and embeddings.

The chat model passes the ``langchain-tests`` suites ``ChatModelUnitTests`` and ``ChatModelIntegrationTests`` for what it
declares: text in, text or JSON by a schema out. Written against langchain-core 1.x.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import LangSmithParams, LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ChatMessage, HumanMessage, SystemMessage
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import Field, PrivateAttr

from groundtune import registry
from groundtune.errors import DataError, UserError
from groundtune.interop.streaming import pieces
from groundtune.ports import Embedder, Model
from groundtune.types import Generation, Message, Role, Usage

_MAX_TOKENS = 512
_METHODS = ("json_schema", "function_calling", "json_mode")


class GroundtuneChatModel(BaseChatModel):  # type: ignore[misc]
    """The model that ``model`` names (``builtin:base``, ``openai:gpt-5-mini`` …), or the object ``port``.

    ``stop`` cuts what was written; ``timeout`` (seconds) and ``max_retries`` go to providers that take them. A model
    that cannot stream gives its answer in one piece, and so does one with ``stop``. ``with_structured_output`` decodes by a JSON Schema.
    """

    model: str = "builtin:base"
    temperature: float = 0.0
    max_tokens: int | None = None
    seed: int = 0
    stop: list[str] | None = None
    timeout: float | None = None
    max_retries: int | None = None
    streaming: bool = False
    port: Any = Field(default=None, exclude=True, repr=False)
    _opened: dict[str, Model] = PrivateAttr(default_factory=dict)

    @property
    def _llm_type(self) -> str:
        return "groundtune"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "temperature": self.temperature, "max_tokens": self.max_tokens, "seed": self.seed}

    def _get_ls_params(self, stop: list[str] | None = None, **options: Any) -> LangSmithParams:  # noqa: ANN401
        params = super()._get_ls_params(stop=stop or self.stop, **options)
        params["ls_provider"] = "groundtune"
        return params

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,  # noqa: ANN401
    ) -> ChatResult:
        made = self._ask(messages, stop, options)
        message = AIMessage(made.text, usage_metadata=_counted(made.usage), response_metadata=_about(made))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Iterator[ChatGenerationChunk]:
        ends = stop if stop is not None else self.stop
        if ends:  # what comes after a stop word must not be told
            told: Iterator[str | Generation] = iter(_whole(self._ask(messages, stop, options)))
        else:
            model, turns, settings = self._call(messages, options)
            told = pieces(model, turns, **settings)
        for one in told:
            if isinstance(one, str):
                chunk = ChatGenerationChunk(message=AIMessageChunk(one))
                if run_manager:
                    run_manager.on_llm_new_token(one, chunk=chunk)
            else:
                usage, about = _counted(one.usage), _about(one)
                last = AIMessageChunk("", usage_metadata=usage, response_metadata=about, chunk_position="last")
                chunk = ChatGenerationChunk(message=last)
            yield chunk

    def _ask(self, messages: Sequence[BaseMessage], stop: list[str] | None, options: Mapping[str, Any]) -> Generation:
        model, turns, settings = self._call(messages, options)
        made = model.generate(turns, **settings)
        text = _cut(made.text, stop if stop is not None else self.stop)
        return replace(made, text=text, model=made.model or model.name)

    def _call(
        self, messages: Sequence[BaseMessage], options: Mapping[str, Any]
    ) -> tuple[Model, list[Message], dict[str, Any]]:
        settings = {
            "max_tokens": int(options.get("max_tokens") or self.max_tokens or _MAX_TOKENS),
            "temperature": float(options.get("temperature", self.temperature) or 0.0),
            "seed": int(options.get("seed", self.seed)),
            "schema": _schema(options),
        }
        return self._model(str(options.get("model") or self.model)), [_message(one) for one in messages], settings

    def _model(self, spec: str) -> Model:
        if self.port is not None and spec == self.model:
            port: Model = self.port
            return port
        if spec not in self._opened:
            factory = registry.resolve("model", spec.partition(":")[0])
            known = inspect.signature(factory).parameters
            wanted = {"timeout": self.timeout, "retries": self.max_retries}
            extra = {name: value for name, value in wanted.items() if value is not None and name in known}
            self._opened[spec] = registry.load("model", spec, **extra)
        return self._opened[spec]

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: str = "json_schema",
        strict: bool | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Runnable[LanguageModelInput, Any]:
        """A Runnable that answers by a schema: a pydantic class (returned as its objects), a ``TypedDict`` or a JSON
        Schema (returned as dicts). Whatever the ``method`` is called, decoding keeps to the schema. Raises ``UserError``
        for a method that LangChain does not know.
        """
        if method not in _METHODS:
            raise UserError("interop.bad_method", method=method)
        table = convert_to_json_schema(schema)
        asked = self.bind(
            schema=_object_schema(table), ls_structured_output_format={"kwargs": {"method": method}, "schema": table}
        )
        kept = isinstance(schema, type) and (hasattr(schema, "model_validate") or hasattr(schema, "parse_obj"))
        parser: Any = PydanticOutputParser(pydantic_object=schema) if kept else JsonOutputParser()
        if not include_raw:
            chain: Runnable[LanguageModelInput, Any] = asked | parser
            return chain
        parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
        failed = RunnablePassthrough.assign(parsed=lambda _: None)
        whole: Runnable[LanguageModelInput, Any] = RunnableMap(raw=asked) | parsed.with_fallbacks(
            [failed], exception_key="parsing_error"
        )
        return whole


class GroundtuneEmbeddings(Embeddings):  # type: ignore[misc]
    """The embedder that a spec names (``builtin:embed`` …), or an ``Embedder`` itself."""

    def __init__(self, embedder: str | Embedder = "builtin:embed") -> None:
        self._embedder: Embedder = registry.load("embedder", embedder) if isinstance(embedder, str) else embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One unit vector per text."""
        return [[float(value) for value in row] for row in self._embedder.embed(texts, kind="document")]

    def embed_query(self, text: str) -> list[float]:
        """The unit vector of a question."""
        return [float(value) for value in self._embedder.embed([text], kind="query")[0]]


def _whole(made: Generation) -> list[str | Generation]:
    return [made.text, made]


def _message(message: BaseMessage) -> Message:
    blocks = [message.content] if isinstance(message.content, str) else message.content
    texts: list[str] = []
    for block in blocks:
        if isinstance(block, str):
            texts.append(block)
        elif isinstance(block, Mapping) and block.get("type") in ("text", None) and isinstance(block.get("text"), str):
            texts.append(str(block["text"]))
        elif not (isinstance(block, Mapping) and block.get("type") in ("tool_use", "tool_call", "reasoning")):
            kind = block.get("type") if isinstance(block, Mapping) else type(block).__name__
            raise DataError("interop.only_text", kind=kind)
    return Message(_role(message), "\n".join(texts))


def _role(message: BaseMessage) -> Role:
    if isinstance(message, ChatMessage):
        return message.role if message.role in ("system", "user", "assistant", "tool") else "user"
    if isinstance(message, SystemMessage):
        return "system"
    if isinstance(message, HumanMessage):
        return "user"
    return "assistant" if isinstance(message, AIMessage) else "tool"


def _schema(options: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """``schema=…``, or what OpenAI calls ``response_format``."""
    wanted = options.get("schema")
    format = options.get("response_format")
    if wanted is None and isinstance(format, Mapping):
        wanted = (format.get("json_schema") or {}).get("schema")
    return wanted if isinstance(wanted, Mapping) else None


def _object_schema(table: Mapping[str, Any]) -> dict[str, Any]:
    """Closed, as decoders want it."""
    return {**table, "additionalProperties": False} if table.get("type") == "object" else dict(table)


def _cut(text: str, stop: Sequence[str] | None) -> str:
    ends = [place for word in stop or () if word and (place := text.find(word)) >= 0]
    return text[: min(ends)] if ends else text


def _counted(usage: Usage) -> UsageMetadata:
    counted = UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
    )
    if usage.cached_tokens:
        counted["input_token_details"] = InputTokenDetails(cache_read=usage.cached_tokens)
    return counted


def _about(made: Generation) -> dict[str, Any]:
    return {"model_name": made.model, "finish_reason": "stop" if made.finished else "length", "seconds": made.seconds}
