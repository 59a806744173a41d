"""Models, embedders and retrievers between LangChain and us, with real objects of langchain-core."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("langchain_core", reason="needs the langchain extra (langchain-core not installed)")

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from pydantic import BaseModel

from groundtune import registry
from groundtune.errors import ConfigError, DataError, ModelUnreachable, UserError
from groundtune.interop.langchain import GroundtuneRetriever
from groundtune.interop.langchain_chat import GroundtuneChatModel
from groundtune.knowledge.base import KnowledgeBase
from groundtune.models.fake import FakeModel
from groundtune.types import Document, Generation, Message, Usage

APP = """
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore

llm = FakeListChatModel(responses=["27 days"])
plain = RunnableLambda(lambda messages: messages[-1].content.upper() if hasattr(messages[-1], "content") else messages[-1][1].upper())
embeddings = DeterministicFakeEmbedding(size=6)
store = InMemoryVectorStore(embeddings)
store.add_documents([
    Document("Staff receive 27 days of leave.", metadata={"source": "docs/leave.md"}),
    Document("Written nowhere else.", metadata={"source": "memo.md"}),
    Document("Salaries are paid on the 25th.", metadata={"source": "pay.md"}),
])
retriever = store.as_retriever(search_kwargs={"k": 3})
broken = RunnableLambda(lambda text: 1 / 0)
nothing = 3
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of the user's in a project folder."""
    (tmp_path / "lc_app.py").write_text(APP, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(registry, "_places", [])
    registry.look_in(tmp_path)
    yield "lc_app"
    sys.modules.pop("lc_app", None)


def test_their_chat_model_and_any_runnable_are_models(app: str) -> None:
    model = registry.load("model", f"langchain:{app}:llm")
    made = model.generate([Message("user", "q")])
    assert (made.text, made.model) == ("27 days", f"langchain:{app}:llm")
    assert registry.load("model", f"langchain:{app}:plain").generate([Message("user", "abc")]).text == "ABC"


def test_their_embeddings_are_an_embedder(app: str, tmp_path: Path) -> None:
    embedder = registry.load("embedder", f"langchain:{app}:embeddings")
    rows = embedder.embed(["a", "b", "a"], kind="document")
    assert rows.shape == (3, 6) == (3, embedder.dimension) and (rows[0] == rows[2]).all()
    assert (rows**2).sum(axis=1) == pytest.approx([1, 1, 1])
    with KnowledgeBase.open(tmp_path / "kb", embedder=f"langchain:{app}:embeddings") as base:
        base.add([Document("d", "Annual leave is 27 days.")])
        assert base.search("leave", k=1)[0].dense is not None


@pytest.mark.parametrize("what", ["retriever", "store"])
def test_their_retriever_finds_and_our_citations_hold(app: str, tmp_path: Path, what: str) -> None:
    leave = Document("leave.md", "# Leave\n\n### § 1 Days\n\nStaff receive 27 days of leave.\n", {"title": "Leave"})
    pay = Document("pay.md", "Salaries are paid on the 25th.", {"access": "hr"})
    with KnowledgeBase.open(tmp_path / "kb", retriever=f"langchain:{app}:{what}") as base:
        base.add([leave, pay])
        hits = {hit.chunk.document_id: hit.chunk for hit in base.search("leave", k=9)}
        assert set(hits) == {"leave.md", "pay.md", "memo.md"}
        chunk = hits["leave.md"]
        assert chunk.text == leave.text[chunk.start : chunk.end] and chunk.version == leave.version
        assert chunk.heading == "§ 1 Days" and chunk.title == "Leave"
        answer = base.ask("How many days of leave do staff receive?", reader="fake:")
        assert answer.citations[0].document_id == "leave.md"
        seen = {hit.chunk.document_id for hit in base.seen_by("sales").search("leave", k=9)}
        assert seen == {"leave.md"}, "what is not for this reader, or from nowhere, is not shown"
        assert len(base.search("leave", k=1)) == 1


def test_what_cannot_be_used_is_said(app: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="langchain:module:object"):
        registry.load("model", "langchain:lc_app")
    with pytest.raises(ConfigError, match="could not be loaded: AttributeError"):
        registry.load("model", f"langchain:{app}:absent")
    with pytest.raises(ConfigError, match="is a int and has no method"):
        registry.load("retriever", f"langchain:{app}:nothing")
    retriever = registry.load("retriever", f"langchain:{app}:broken")
    with pytest.raises(ModelUnreachable, match="ZeroDivisionError"):
        retriever.search("x")


def test_our_retriever_and_model_in_a_chain_of_theirs(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb") as base:
        base.add([Document("leave.md", "Staff receive 27 days of leave."), Document("gate.md", "The gate opens at 6.")])
        prompt = ChatPromptTemplate.from_messages([("system", "Answer."), ("user", "{context}\n\n{question}")])
        found = GroundtuneRetriever(knowledge_base=base, k=1) | (lambda documents: documents[0].page_content)
        chain = (
            {"context": found, "question": RunnablePassthrough()}
            | prompt
            | GroundtuneChatModel(model="fake:extract")
            | StrOutputParser()
        )
        assert chain.invoke("How many days of leave?") == "Staff receive 27 days of leave."
        assert chain.batch(["days of leave?", "When does the gate open?"])[1] == "The gate opens at 6."


def test_chat_messages_and_settings_reach_our_port() -> None:
    port = FakeModel("t", lambda messages: "one STOP two")
    chat = GroundtuneChatModel(model="fake:t", port=port, stop=["STOP"])
    reply = chat.invoke([SystemMessage("s"), HumanMessage([{"type": "text", "text": "u"}]), AIMessage("a"),
                         ToolMessage("t", tool_call_id="1"), HumanMessage("q")])  # fmt: skip
    assert reply.content == "one " and reply.response_metadata["model_name"] == "fake:t"
    assert [message.role for message in port.calls[0]] == ["system", "user", "assistant", "tool", "user"]
    assert chat.invoke("q", stop=[]).content == "one STOP two"
    assert chat.invoke("abc", model="fake:echo").content == "abc"
    with pytest.raises(DataError, match="image"):
        chat.invoke([HumanMessage([{"type": "image", "url": "x"}])])


class Whole:
    """A model that cannot stream."""

    name = "whole"

    def generate(self, messages: object, **options: object) -> Generation:
        return Generation("all at once", Usage(1, 3), 0.1, "whole")


def test_streaming_tells_pieces_as_they_come() -> None:
    chat = GroundtuneChatModel(model="fake:echo")
    chunks = list(chat.stream("one two three"))
    assert [chunk.content for chunk in chunks] == ["one", " two", " three", ""]
    assert chunks[-1].usage_metadata["output_tokens"] == 3
    assert [chunk.content for chunk in chat.stream("one two three", stop=["two"])] == ["one ", ""]
    assert [chunk.content for chunk in GroundtuneChatModel(port=Whole()).stream("x")] == ["all at once", ""]

    def fail(messages: object) -> str:
        raise DataError("models.fake_script_no_answer", path="p", input="i")

    with pytest.raises(DataError):
        list(GroundtuneChatModel(port=FakeModel("t", fail)).stream("x"))


def test_structured_output_keeps_raw_and_names_its_errors() -> None:
    class Days(BaseModel):
        days: int

    good = GroundtuneChatModel(port=FakeModel("t", lambda messages: '{"days": 27}'))
    assert good.with_structured_output(Days).invoke("q") == Days(days=27)
    assert good.with_structured_output(Days.model_json_schema()).invoke("q") == {"days": 27}
    bad = GroundtuneChatModel(port=FakeModel("t", lambda messages: "none"))
    reply = bad.with_structured_output(Days, include_raw=True).invoke("q")
    assert reply["parsed"] is None and reply["parsing_error"] is not None and reply["raw"].content == "none"
    with pytest.raises(UserError, match="telepathy"):
        good.with_structured_output(Days, method="telepathy")
