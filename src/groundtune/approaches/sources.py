"""Citations and passages of a foreign approach, found again in our documents, so that all are scored alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.approaches.common import extract_answer
from groundtune.knowledge.cite import CiteResult, cite
from groundtune.knowledge.context import Passage
from groundtune.knowledge.quotes import find_quote
from groundtune.text.prompts import label
from groundtune.types import Chunk, Citation, Document, Hit, Span, digest


class Sources:
    """The project's documents, looked up by id, file name, title or text."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = {document.id: document for document in documents}
        self._named: dict[str, Document] = {}
        for document in documents:
            name = document.id.rpartition("/")[2]
            for key in (document.id, name, name.rpartition(".")[0], document.title):
                self._named.setdefault(key, document)

    def find(self, quote: str, name: str = "") -> tuple[Document, Span] | None:
        """Where a quote stands: in the named document, else in the first one that holds it."""
        named = self._named.get(name) or self._named.get(name.replace("\\", "/").rpartition("/")[2])
        for document in (named,) if named else self._documents.values():
            if quote in document.text:
                start = document.text.index(quote)
                return document, Span(start, start + len(quote))
        for document in (named,) if named else self._documents.values():
            if span := find_quote(document.text, quote):
                return document, span
        return None

    def text(self, document: str, version: str) -> str | None:
        """Text of the current version, None for any other."""
        found = self._documents.get(document)
        return found.text if found and found.version == version else None

    def cited(self, text: str, field: str, given: Any, context: Sequence[Hit]) -> CiteResult:  # noqa: ANN401
        """The citations that an approach names (quotes, or ``{"quote", "document"?}``), else those of its answer in the
        passages that it was shown. What stands nowhere is dropped and counted.
        """
        if not isinstance(given, Sequence) or isinstance(given, str):
            passages = [_passage(hit) for hit in context]
            return cite(extract_answer(text, field).value or text, passages, self.text)
        found: list[Citation] = []
        for item in given:
            if isinstance(item, Citation):
                found.append(item)
                continue
            quote = str(item.get("quote", "") if isinstance(item, Mapping) else item).strip()
            name = str(item.get("document", "")) if isinstance(item, Mapping) else ""
            place = self.find(quote, name) if quote else None
            if place is not None:
                document, span = place
                stored = document.text[span.start : span.end]
                found.append(
                    Citation(document.id, document.version, span.start, span.end, stored, title=document.title)
                )
        return CiteResult(tuple(found), len(given) - len(found))


def hits_of(shown: Any, sources: Sources) -> tuple[Hit, ...]:  # noqa: ANN401 - strings, dicts, documents, nodes
    """Passages as hits in our documents; one that stands in none of them is a document of its own."""
    if not isinstance(shown, list | tuple):
        return ()
    hits: list[Hit] = []
    for rank, item in enumerate(shown):
        if isinstance(item, Hit):
            hits.append(item)
            continue
        text, name = _content(item)
        if text:
            hits.append(Hit(_chunk(text, name, sources), 1.0 / (rank + 1)))
    return tuple(hits)


def _chunk(text: str, name: str, sources: Sources) -> Chunk:
    place = sources.find(text, name)
    if place is None:
        own = name or digest(text)
        return Chunk(digest(text), own, digest(text), text, 0, len(text), digest(text))
    document, span = place
    stored = document.text[span.start : span.end]
    chunk_id = f"{document.id}:{span.start}-{span.end}"
    key = digest(stored)
    return Chunk(chunk_id, document.id, document.version, stored, span.start, span.end, key, title=document.title)


def _content(item: Any) -> tuple[str, str]:  # noqa: ANN401
    """Text and document name of a string, a mapping, a LangChain document or a LlamaIndex node."""
    if isinstance(item, str):
        return item.strip(), ""
    if isinstance(item, Mapping):
        return str(item.get("text") or item.get("quote") or "").strip(), str(item.get("document") or "")
    node = getattr(item, "node", item)
    get = getattr(node, "get_content", None)
    text = get() if callable(get) else getattr(node, "page_content", "")
    metadata = getattr(node, "metadata", None)
    table = metadata if isinstance(metadata, Mapping) else {}
    name = next((str(table[key]) for key in ("document_id", "source", "file_name", "file_path") if table.get(key)), "")
    return str(text).strip(), name


def _passage(hit: Hit) -> Passage:
    chunk = hit.chunk
    return Passage(hit, chunk.start, chunk.end, chunk.text, label(chunk.title or chunk.document_id))
