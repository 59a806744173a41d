"""Our models, embedders and answers as LlamaIndex's: an LLM, an embedding, a query engine.

Written against llama-index-core 0.14.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.base.response.schema import Response
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.callbacks import CallbackManager
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.schema import NodeWithScore, QueryBundle

from groundtune import registry
from groundtune.interop.llamaindex import node_of
from groundtune.interop.streaming import pieces
from groundtune.ports import Embedder, Model
from groundtune.types import Answer, Generation, Message, Role

_ROLES: dict[MessageRole, Role] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}


class GroundtuneLLM(CustomLLM):  # type: ignore[misc]
    """The model that ``model`` names, or the object ``port``. A model that cannot stream gives its answer in one piece."""

    model: str = "builtin:base"
    temperature: float = 0.0
    max_tokens: int = 512
    seed: int = 0
    context_window: int = 4096
    _port: Model | None = PrivateAttr(default=None)

    def __init__(self, model: str = "builtin:base", *, port: Model | None = None, **options: Any) -> None:  # noqa: ANN401
        super().__init__(model=model, **options)
        self._port = port

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises it."""
        return "GroundtuneLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex asks of a model before it fills a prompt."""
        return LLMMetadata(
            context_window=self.context_window, num_output=self.max_tokens, is_chat_model=True, model_name=self.model
        )

    @llm_chat_callback()  # type: ignore[untyped-decorator]
    def chat(self, messages: Sequence[ChatMessage], **options: Any) -> ChatResponse:  # noqa: ANN401
        """The next turn."""
        made = self._ask(_turns(messages), options)
        message = ChatMessage(role=MessageRole.ASSISTANT, content=made.text)
        return ChatResponse(message=message, raw=_raw(made))

    @llm_chat_callback()  # type: ignore[untyped-decorator]
    def stream_chat(self, messages: Sequence[ChatMessage], **options: Any) -> ChatResponseGen:  # noqa: ANN401
        """The next turn, piece by piece."""
        return (
            ChatResponse(
                message=ChatMessage(role=MessageRole.ASSISTANT, content=one.text), delta=one.delta, raw=one.raw
            )
            for one in self._stream(_turns(messages), options)
        )

    @llm_completion_callback()  # type: ignore[untyped-decorator]
    def complete(self, prompt: str, formatted: bool = False, **options: Any) -> CompletionResponse:  # noqa: ANN401
        """The answer to a prompt, as one user turn."""
        made = self._ask([Message("user", prompt)], options)
        return CompletionResponse(text=made.text, raw=_raw(made))

    @llm_completion_callback()  # type: ignore[untyped-decorator]
    def stream_complete(self, prompt: str, formatted: bool = False, **options: Any) -> CompletionResponseGen:  # noqa: ANN401
        """The answer to a prompt, piece by piece."""
        return self._stream([Message("user", prompt)], options)

    def _ask(self, messages: Sequence[Message], options: dict[str, Any]) -> Generation:
        model, settings = self._call(options)
        return model.generate(messages, **settings)

    def _stream(self, messages: Sequence[Message], options: dict[str, Any]) -> CompletionResponseGen:
        model, settings = self._call(options)
        return _told(pieces(model, messages, **settings))

    def _call(self, options: dict[str, Any]) -> tuple[Model, dict[str, Any]]:
        if self._port is None:
            self._port = registry.load("model", self.model)
        assert self._port is not None
        settings = {
            "max_tokens": int(options.get("max_tokens", self.max_tokens)),
            "temperature": float(options.get("temperature", self.temperature)),
            "seed": int(options.get("seed", self.seed)),
            "schema": options.get("schema"),
        }
        return self._port, settings


class GroundtuneEmbedding(BaseEmbedding):  # type: ignore[misc]
    """The embedder that ``embedder`` names, or the object ``port``."""

    embedder: str = Field(default="builtin:embed")
    _port: Embedder = PrivateAttr()

    def __init__(self, embedder: str = "builtin:embed", *, port: Embedder | None = None, **options: Any) -> None:  # noqa: ANN401
        super().__init__(embedder=embedder, model_name=embedder, **options)
        self._port = port if port is not None else registry.load("embedder", embedder)

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serialises it."""
        return "GroundtuneEmbedding"

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return [[float(value) for value in row] for row in self._port.embed(texts, kind="document")]

    def _get_query_embedding(self, query: str) -> list[float]:
        return [float(value) for value in self._port.embed([query], kind="query")[0]]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class GroundtuneQueryEngine(BaseQueryEngine):  # type: ignore[misc]
    """``ask`` of a ``KnowledgeBase`` or a ``Project``: the answer with its checked citations.

    ``metadata`` of the response holds ``citations`` (document_id, quote, start, end), ``abstained`` and ``model``; the
    source nodes are the passages that were looked at.
    """

    def __init__(
        self,
        knowledge_base: Any,  # noqa: ANN401 - anything with ``ask``
        model: Model | str | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        """Without a ``model`` the answer is a quoted sentence."""
        self.knowledge_base = knowledge_base
        self.model = model
        super().__init__(callback_manager=callback_manager)

    def _get_prompt_modules(self) -> dict[str, Any]:
        return {}

    def _query(self, query_bundle: QueryBundle) -> Response:
        options = {} if self.model is None else {"model": self.model}
        return response_of(self.knowledge_base.ask(query_bundle.query_str, **options))

    async def _aquery(self, query_bundle: QueryBundle) -> Response:
        return self._query(query_bundle)


def response_of(answer: Answer) -> Response:
    """An answer as LlamaIndex shows it."""
    nodes = [NodeWithScore(node=node_of(hit), score=hit.score) for hit in answer.context]
    citations = [
        {"document_id": one.document_id, "quote": one.quote, "start": one.start, "end": one.end}
        for one in answer.citations
    ]
    about = {"citations": citations, "abstained": answer.abstained, "model": answer.model}
    return Response(response=answer.text, source_nodes=nodes, metadata=about)


def _turns(messages: Sequence[ChatMessage]) -> list[Message]:
    return [Message(_ROLES.get(one.role, "user"), one.content or "") for one in messages]


def _told(made: Iterator[str | Generation]) -> CompletionResponseGen:
    """Each with the text so far; the last one, with what was used, adds nothing to it."""
    text = ""
    for one in made:
        raw = None if isinstance(one, str) else _raw(one)
        delta = one if isinstance(one, str) else ""
        text += delta
        yield CompletionResponse(text=text, delta=delta, raw=raw)


def _raw(made: Generation) -> dict[str, Any]:
    usage = made.usage
    counted = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}
    return {"model": made.model, "finished": made.finished, "usage": counted}
