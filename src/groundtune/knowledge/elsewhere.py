"""Passages that a retriever of the user's own found, looked up in the documents that we hold, so that citations can be
checked and access labels are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from groundtune.knowledge.backing import Backing
from groundtune.knowledge.quotes import find_quote
from groundtune.ports import READER, Filter, Retriever
from groundtune.types import Document, Hit, Span

_LOOKED_AT = 5
_HEAD = 400  # characters of a passage by which its document is looked for


def search_elsewhere(retriever: Retriever, store: Backing, query: str, k: int, filter: Filter | None) -> list[Hit]:
    """Best ``k`` passages, best first, as spans of our documents. A passage that stands in none of them is shown as it
    is (nothing in it can be cited), but never to a reader with labels or through a filter: nobody knows what it is.
    """
    found = [(hit, _place(hit, store)) for hit in retriever.search(query, k=k)]
    labels = (filter or {}).get(READER)
    seen = store.history.visible(labels) if isinstance(labels, tuple) else None
    hits: list[Hit] = []
    for hit, place in found:
        if place is None:
            hits += [] if filter else [hit]
            continue
        document, span = place
        if (seen is None or document.id in seen) and _passes(document, filter):
            hits.append(_as_ours(hit, document, span, store))
    return hits[:k]


def _place(hit: Hit, store: Backing) -> tuple[Document, Span] | None:
    """The named document if it holds the passage, else one of those that share most words with it."""
    text = hit.chunk.text.strip()
    if not text:
        return None
    named = [hit.chunk.document_id, hit.chunk.document_id.replace("\\", "/").rpartition("/")[2]]
    similar = [one.chunk.document_id for one in store.search(text[:_HEAD], None, _LOOKED_AT)]
    for document_id in dict.fromkeys([*named, *similar]):
        document = store.document(document_id) if document_id else None
        if document is None:
            continue
        start = document.text.find(text)
        if start >= 0:
            return document, Span(start, start + len(text))
        if span := find_quote(document.text, text):
            return document, span
    return None


def _as_ours(hit: Hit, document: Document, span: Span, store: Backing) -> Hit:
    """The heading is that of the chunk of ours in which the passage begins."""
    around: Sequence[str] = [one.heading for one in store.chunks(document.id) if one.start <= span.start < one.end]
    chunk = replace(
        hit.chunk,
        id=f"{document.id}:{span.start}-{span.end}",
        document_id=document.id,
        version=document.version,
        text=document.text[span.start : span.end],
        start=span.start,
        end=span.end,
        title=document.title,
        heading=around[-1] if around else hit.chunk.heading,
    )
    return replace(hit, chunk=chunk)


def _passes(document: Document, filter: Filter | None) -> bool:
    for key, value in (filter or {}).items():
        if key == READER:
            continue
        held = document.id if key == "document_id" else document.metadata.get(key)
        if held not in (value if isinstance(value, tuple) else (value,)):
            return False
    return True
