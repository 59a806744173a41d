"""A small project in memory: three documents, a lexical stand-in for the knowledge base, examples in a house format."""

from __future__ import annotations

from groundtune.text.tokenise import search_terms
from groundtune.types import Chunk, Document, Example, Hit, Message, digest

DOCUMENTS = (
    Document(
        "leave.md", "# Leave\n\nEvery employee has 27 days of leave. Sick notes go to Josie.", {"title": "Leave Policy"}
    ),
    Document(
        "pay.md", "# Pay\n\nSalaries are paid on the 25th. Overtime of employees is paid twice.", {"title": "Pay Rules"}
    ),
    Document(
        "site.md",
        "# Site\n\nBay 5 is closed to visitors. The employee car park opens at 6 am.",
        {"title": "Site Guide"},
    ),
)
NULL = '{"answer": null, "source": null}'


class Shelf:
    """Paragraphs ranked by shared search terms; ``search`` and ``text`` as the knowledge base has them."""

    def __init__(self, documents=DOCUMENTS):
        self.documents = {document.id: document for document in documents}
        self.asked = []

    def search(self, query, k=10):
        self.asked.append((query, k))
        wanted = set(search_terms(query))
        hits = []
        for document in self.documents.values():
            start = document.text.index("\n\n") + 2
            body = document.text[start:]
            chunk = Chunk(
                f"{document.id}:0", document.id, document.version, body, start, len(document.text), digest(body),
                title=document.title, heading=document.text[2 : document.text.index("\n")],
            )  # fmt: skip
            hits.append(Hit(chunk, float(len(wanted & set(search_terms(body))))))
        return sorted(hits, key=lambda hit: -hit.score)[:k]

    def text(self, document_id, version=None):
        document = self.documents.get(document_id)
        return document.text if document and version in (None, document.version) else None


def example(question, answer, source="", quote="", document="", number=0):
    import json

    target = json.dumps({"answer": answer, "source": source or None})
    metadata = {"document": document, "quote": quote} if document else {}
    return Example((Message("user", question), Message("assistant", target)), id=f"e{number}", metadata=metadata)


def examples():
    return (
        example(
            "How many days of leave?", "27 days", "Leave Policy", "Every employee has 27 days of leave.", "leave.md", 0
        ),
        example("When are salaries paid?", "25th", "Pay Rules", "Salaries are paid on the 25th.", "pay.md", 1),
        example("Which bay is closed?", "5", "Site Guide", "Bay 5 is closed to visitors.", "site", 2),
        example("Who gets sick notes?", "Josie", "Leave Policy", "Sick notes go to Josie.", "leave.md", 3),
        example("Who founded the company?", None, number=4),
        example("How is overtime paid?", "twice", "Pay Rules", number=5),
    )
