"""A question-answering application as many have one: LangChain, a vector store, a prompt, a model.

Nothing here knows of a comparison. In production the embeddings and the model would be those of a provider, e.g.
``OpenAIEmbeddings()`` and ``ChatOpenAI()``; here both are small ones that run offline on any laptop.
"""

from __future__ import annotations

import os
from pathlib import Path

from langchain_core.documents import Document
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableParallel, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from groundtune.interop.langchain_chat import GroundtuneChatModel, GroundtuneEmbeddings

FOLDER = Path(__file__).parent / "documents"


def paragraphs() -> list[Document]:
    """Each paragraph is one entry of the vector store."""
    return [
        Document(text.strip(), metadata={"source": path.name})
        for path in sorted(FOLDER.glob("*.md"))
        for text in path.read_text(encoding="utf-8").split("\n\n")
        if text.strip() and not text.startswith("#")
    ]


def shown(question: dict[str, object]) -> str:
    """The passages as the prompt shows them."""
    passages = question["context"]
    assert isinstance(passages, list)
    return "\n\n".join(f"[{number}]\n{one.page_content}" for number, one in enumerate(passages, start=1))


store = InMemoryVectorStore(GroundtuneEmbeddings("builtin:embed"))
store.add_documents(paragraphs())
retriever = store.as_retriever(search_kwargs={"k": 3})
llm = GroundtuneChatModel(model=os.environ.get("GARDEN_MODEL", "builtin:base"), max_tokens=96)
prompt = ChatPromptTemplate.from_messages(
    [("system", "Answer from the passages in as few words as possible."), ("user", "{passages}\n\n{question}")]
)
# The answer is the model's whole message, not only its text: then its tokens are measured too.
chain = RunnableParallel(question=RunnablePassthrough(), context=retriever).assign(
    answer=RunnablePassthrough.assign(passages=shown) | prompt | llm
)
