"""The suites of the package langchain-tests, unmodified, over our LangChain classes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import (
    ChatModelIntegrationTests,
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    VectorStoreIntegrationTests,
)
from langchain_tests.unit_tests import ChatModelUnitTests, EmbeddingsUnitTests

from groundtune.interop.langchain import GroundtuneRetriever
from groundtune.interop.langchain_chat import GroundtuneChatModel, GroundtuneEmbeddings
from groundtune.interop.langchain_store import GroundtuneVectorStore
from groundtune.knowledge.base import KnowledgeBase
from groundtune.models.fake import FakeModel
from groundtune.types import Document, Generation, Message


class FollowsSchemas(FakeModel):
    """Says a sentence, or the smallest object that fits the schema it is given."""

    def generate(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, **options: Any
    ) -> Generation:
        made = super().generate(messages, **options)
        if schema is None:
            return made
        text = json.dumps({name: "a cat" for name in schema["properties"]})
        return Generation(text, made.usage, made.seconds, made.model)


def scripted() -> FollowsSchemas:
    return FollowsSchemas("suite", lambda messages: "Hello, are you well? I am a model that says this.")


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(tmp_path_factory.mktemp("kb")) as base:
        base.add([Document(f"d{n}", f"Leave rule {n}: staff may take {n} days of annual leave.") for n in range(9)])
        yield base


class TestRetriever(RetrieversIntegrationTests):
    knowledge: KnowledgeBase

    @pytest.fixture(autouse=True)
    def _opened(self, knowledge: KnowledgeBase) -> None:
        type(self).knowledge = knowledge

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return GroundtuneRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"knowledge_base": self.knowledge}

    @property
    def retriever_query_example(self) -> str:
        return "annual leave"


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> Iterator[VectorStore]:
        store = GroundtuneVectorStore(self.get_embeddings(), folder=tmp_path)
        yield store
        store.close()


class TestDenseVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorStore]:
        store = GroundtuneVectorStore(self.get_embeddings(), mode="dense")
        yield store
        store.close()


class TestChatModelUnit(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[GroundtuneChatModel]:
        return GroundtuneChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "fake:echo"}


class TestChatModel(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[GroundtuneChatModel]:
        return GroundtuneChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "fake:suite", "port": scripted()}

    @property
    def model_override_value(self) -> str:
        return "fake:echo"


@pytest.mark.built_in
class TestBuiltInChatModel(ChatModelIntegrationTests):
    """What ships inside the package, without decoding by a schema (minutes on a laptop; ``TestChatModel`` does it)."""

    @property
    def chat_model_class(self) -> type[GroundtuneChatModel]:
        return GroundtuneChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "builtin:base", "max_tokens": 24, "port": built_in()}

    @property
    def has_structured_output(self) -> bool:
        return False


class TestEmbeddingsUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[GroundtuneEmbeddings]:
        return GroundtuneEmbeddings


class TestEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[GroundtuneEmbeddings]:
        return GroundtuneEmbeddings


_OPENED: dict[str, Any] = {}


def built_in() -> Any:
    """Opened once: the suite makes a chat model for every test."""
    if not _OPENED:
        from groundtune import registry

        _OPENED["model"] = registry.load("model", "builtin:base")
    return _OPENED["model"]
