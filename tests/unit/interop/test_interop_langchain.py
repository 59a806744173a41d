"""LangChain: our passages there, their retrievers, models and chains here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

pytest.importorskip("langchain_core", reason="needs the langchain extra (langchain-core not installed)")

from langchain_core.documents import Document as LangChainDocument
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from pydantic import ValidationError

from groundtune.errors import DataError, ModelUnreachable
from groundtune.interop.langchain import GroundtuneRetriever, LangChainApproach, LangChainModel, LangChainSearch
from groundtune.types import Chunk, Hit, Message, Question, digest

TEXTS = ("Leave is 27 days.", "病假須附證明。", "駐車場は地下2階。", "Fourth.", "Fifth.")


class Library:
    def search(self, query: str, k: int = 10) -> Sequence[Hit]:
        chunks = [
            Chunk(f"c{n}", "d.md", "v", text, n, n + len(text), digest(text), "T") for n, text in enumerate(TEXTS)
        ]
        return [Hit(chunk, 1 / (n + 1)) for n, chunk in enumerate(chunks)][:k]


def test_k_is_a_field_and_a_call_argument() -> None:
    retriever = GroundtuneRetriever(knowledge_base=Library(), k=2)
    assert len(retriever.invoke("x")) == 2 and len(retriever.invoke("x", k=4)) == 4
    assert len(asyncio.run(retriever.ainvoke("x", k=1))) == 1
    assert len(GroundtuneRetriever(knowledge_base=Library()).invoke("x")) == 4
    with pytest.raises(ValidationError):
        GroundtuneRetriever(knowledge_base=Library(), k=0)
    with pytest.raises(DataError, match="at least 1"):
        retriever.invoke("x", k=0)


def test_documents_carry_id_and_place() -> None:
    first = GroundtuneRetriever(knowledge_base=Library(), k=1).invoke("x")[0]
    assert (first.id, first.page_content) == ("c0", TEXTS[0])
    assert first.metadata == {
        "document_id": "d.md", "version": "v", "start": 0, "end": len(TEXTS[0]), "title": "T", "score": 1.0,
    }  # fmt: skip


def test_round_trip_through_langchain() -> None:
    retriever = GroundtuneRetriever(knowledge_base=Library(), k=5)
    back = LangChainSearch(retriever, passes_k=True).search("x", k=3)
    assert list(back) == list(Library().search("x", 3))
    assert len(LangChainSearch(retriever).search("x", k=3)) == 3


def test_model() -> None:
    model = LangChainModel(FakeListChatModel(responses=["二十七天"]), settings={"max_tokens": "", "temperature": ""})
    made = model.generate([Message("system", "s"), Message("user", "q")])
    assert (made.text, made.model, made.finished) == ("二十七天", "langchain:FakeListChatModel", True)


def test_model_that_fails_is_unreachable() -> None:
    def fail(_: object) -> str:
        raise RuntimeError("no route")

    with pytest.raises(ModelUnreachable, match="no route"):
        LangChainModel(RunnableLambda(fail), "down", {"max_tokens": "", "temperature": ""}).generate([])
    with pytest.raises(ModelUnreachable, match="no route"):
        LangChainApproach("chain", RunnableLambda(fail)).answer(Question("q"))


def test_chain_as_an_approach() -> None:
    context = [LangChainDocument(page_content="Leave is 27 days.", metadata={"source": "leave.md"})]
    chain = RunnableLambda(lambda asked: {"answer": f"27 to {asked['q']}", "context": context})
    approach = LangChainApproach("mine", chain, lambda text: {"q": text})
    approach.fit((), ())
    answer = approach.answer(Question("q?"))
    assert answer.text == "27 to q?" and answer.context[0].chunk.document_id == "leave.md" and answer.seconds > 0
    assert LangChainApproach("plain", RunnableLambda(str.upper)).answer(Question("abc")).text == "ABC"
