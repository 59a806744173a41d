"""LangChain in and out: our knowledge base as a retriever of theirs, their retrievers, models and chains as ours.

Written against langchain-core 1.x (``pip install "groundtune[langchain]"``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import run_in_executor
from langchain_core.vectorstores import VectorStore
from pydantic import Field

from groundtune.errors import DataError
from groundtune.interop.bring import TheirEmbedder, calling, target
from groundtune.interop.convert import hit_of, metadata_of
from groundtune.ports import Kind
from groundtune.types import Answer, Document, Example, Generation, Hit, Message, Question, Usage


class GroundtuneRetriever(BaseRetriever):  # type: ignore[misc]
    """Passages of a ``KnowledgeBase`` (or of anything with ``search(query, k)``) as LangChain documents.

    ``k`` can be given here and per call: ``retriever.invoke(query, k=3)``. ``metadata`` holds ``document_id``,
    ``version``, ``start``, ``end``, ``title``, ``heading`` and ``score``.
    """

    knowledge_base: Any
    k: int = Field(default=4, ge=1)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
    ) -> list[LangChainDocument]:
        return self._find(query, k)

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
    ) -> list[LangChainDocument]:
        found: list[LangChainDocument] = await run_in_executor(None, self._find, query, k)
        return found

    def _find(self, query: str, k: int | None) -> list[LangChainDocument]:
        wanted = self.k if k is None else k
        if wanted < 1:
            raise DataError("interop.bad_k", k=wanted)
        hits = self.knowledge_base.search(query, k=wanted)
        return [
            LangChainDocument(id=hit.chunk.id, page_content=hit.chunk.text, metadata=metadata_of(hit)) for hit in hits
        ]


class LangChainSearch:
    """A LangChain retriever behind our ``search``. It decides itself how much it finds; ``k`` cuts off the rest and is
    passed on where the retriever takes it. A vector store is asked for ``k``.
    """

    def __init__(self, retriever: Any, *, passes_k: bool = False) -> None:  # noqa: ANN401 - any Runnable[str, list]
        self._retriever = retriever
        self._passes_k = passes_k

    def search(self, query: str, k: int = 10) -> list[Hit]:
        """Best ``k`` passages, best first. Raises ``ModelUnreachable`` when the retriever raises anything."""
        options = {"k": k} if self._passes_k else {}
        with calling(f"langchain:{type(self._retriever).__name__}"):
            if isinstance(self._retriever, VectorStore):
                documents = self._retriever.similarity_search(query, k=k)
            else:
                documents = self._retriever.invoke(query, **options)
        return [
            hit_of(document.page_content, document.metadata, id=document.id or "", rank=rank)
            for rank, document in enumerate(documents[:k])
        ]


class LangChainModel:
    """A LangChain chat model behind our ``Model`` port. ``settings`` names the call arguments for what our port passes,
    e.g. ``{"max_tokens": "max_completion_tokens"}``; an argument that maps to an empty name is not passed.
    """

    def __init__(self, model: Any, name: str = "", settings: Mapping[str, str] | None = None) -> None:  # noqa: ANN401
        self._model = model
        self.name = name or f"langchain:{type(model).__name__}"
        self._settings = {"max_tokens": "max_tokens", "temperature": "temperature", "seed": ""} | dict(settings or {})

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """Write the next assistant turn. With a ``schema`` the model is bound to it as an OpenAI response format.

        Raises ``ModelUnreachable`` when the model raises anything.
        """
        given = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        options: dict[str, Any] = {self._settings[n]: v for n, v in given.items() if self._settings.get(n)}
        if schema is not None:
            named = {"name": "answer", "schema": dict(schema), "strict": True}
            options["response_format"] = {"type": "json_schema", "json_schema": named}
        started = time.perf_counter()
        with calling(self.name):
            reply = self._model.invoke([(message.role, message.content) for message in messages], **options)
        finished = getattr(reply, "response_metadata", {}).get("finish_reason") != "length"
        return Generation(_text(reply), _usage(reply), time.perf_counter() - started, self.name, finished)


class LangChainEmbedder(TheirEmbedder):
    """LangChain embeddings behind our ``Embedder`` port."""

    def __init__(self, embeddings: Any, name: str = "") -> None:  # noqa: ANN401 - langchain_core Embeddings
        """Raises ``ModelUnreachable`` when they cannot embed."""
        self._embeddings = embeddings
        super().__init__(name or f"langchain:{type(embeddings).__name__}")

    def _rows(self, texts: list[str], kind: Kind) -> list[list[float]]:
        if kind == "query":
            return [self._embeddings.embed_query(text) for text in texts]
        rows: list[list[float]] = self._embeddings.embed_documents(texts)
        return rows


class LangChainApproach:
    """A chain of yours as an approach, so that ``compare`` measures it beside the others.

    The chain gets ``to_input(question)`` (default: the text) and returns a string, a message, or a dict with the answer
    under ``answer`` (or ``output``, ``result``) and, if it retrieves, its documents under ``context``.
    """

    def __init__(self, name: str, chain: Any, to_input: Any = None) -> None:  # noqa: ANN401 - Runnable, callable
        self.name = name
        self._chain = chain
        self._to_input = to_input or (lambda question: question)

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """The chain was prepared by its owner."""

    def answer(self, question: Question) -> Answer:
        """Answer one question. Raises ``ModelUnreachable`` when the chain raises anything."""
        started = time.perf_counter()
        with calling(self.name):
            reply = self._chain.invoke(self._to_input(question.text))
        seconds = time.perf_counter() - started
        context: tuple[Hit, ...] = ()
        if isinstance(reply, Mapping):
            shown = reply.get("context")
            documents = shown if isinstance(shown, list | tuple) else ()
            context = tuple(
                hit_of(d.page_content, d.metadata, id=d.id or "", rank=rank)
                for rank, d in enumerate(documents)
                if isinstance(d, LangChainDocument)
            )
            reply = next((reply[key] for key in ("answer", "output", "result") if key in reply), "")
        return Answer(_text(reply), usage=_usage(reply), seconds=seconds, model=self.name, context=context)


def _text(reply: Any) -> str:  # noqa: ANN401 - a message or a string
    if isinstance(reply, str):
        return reply
    text = getattr(reply, "text", None)
    text = text() if callable(text) and not isinstance(text, str) else text
    return text if isinstance(text, str) else str(getattr(reply, "content", reply))


def _usage(reply: Any) -> Usage:  # noqa: ANN401
    counted = getattr(reply, "usage_metadata", None) or {}
    cached = (counted.get("input_token_details") or {}).get("cache_read", 0)
    return Usage(int(counted.get("input_tokens", 0)), int(counted.get("output_tokens", 0)), int(cached or 0))


def open_model(name: str, **options: object) -> LangChainModel:
    """``langchain:module:object`` as a model: a chat model, or any Runnable from messages to a message. Options of other
    providers are ignored. A Runnable gets no sampling settings: it would not know them.
    """
    found = target("langchain", name, ("invoke",))
    settings = None if isinstance(found, BaseChatModel) else {"max_tokens": "", "temperature": ""}
    return LangChainModel(found, f"langchain:{name}", settings)


def open_embedder(name: str, **options: object) -> LangChainEmbedder:
    """``langchain:module:object`` as an embedder."""
    return LangChainEmbedder(target("langchain", name, ("embed_documents", "embed_query")), f"langchain:{name}")


def open_retriever(name: str, **options: object) -> LangChainSearch:
    """``langchain:module:object`` as a retriever: a retriever, a vector store, or a Runnable from a text to documents."""
    return LangChainSearch(target("langchain", name, ("invoke",), ("similarity_search",)))
