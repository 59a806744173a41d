"""What groundtune writes into Pinecone: record ids, our search terms as sparse vectors, metadata, filters."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.errors import StoreError
from groundtune.store.outer import Outgoing
from groundtune.store.payload import ACCESS_FIELDS, Needs, access_fields, facets
from groundtune.store.ranking import DEFAULT
from groundtune.types import Chunk, digest

# Pinecone's documented limits.
MOST_VALUES = 1000  # of one sparse vector
LARGEST_METADATA = 40 * 1024  # bytes
MOST_RECORDS = 1000  # of one request
LARGEST_REQUEST = 2 * 1024 * 1024  # bytes
# Room for the request's own braces, and for numbers that another encoder writes longer than ours.
_BATCH_BYTES = int(LARGEST_REQUEST * 0.85)

# The index of a sparse vector that stands for no term: records that no search may find need one value.
NO_TERM = 0
_USUAL_LENGTH = 300.0  # terms of a chunk; the mean of an index cannot be asked for
_ANY = "-"  # so that the list of facets is never empty
_ACCESS = tuple(f"access_{number}" for number in range(ACCESS_FIELDS))

Record = dict[str, Any]


def document_key(document_id: str) -> str:
    """The start of the ids of all records of a document: any id, in 24 characters of ASCII."""
    return digest(document_id)[:24]


def chunk_key(chunk: Chunk) -> str:
    return f"{document_key(chunk.document_id)}#{digest(chunk.id)[:24]}"


def place_of(term: str) -> int:
    """The index of a term in sparse vectors."""
    return zlib.crc32(term.encode("utf-8")) or 1


def sparse(label: str, body: str) -> Record:
    """The terms of a chunk, weighted as BM25 weighs the document's side; at most ``MOST_VALUES``, the heaviest."""
    counts: dict[int, float] = {}
    for text, worth in ((body, 1.0), (label, 0.5)):
        for term in text.split():
            place = place_of(term)
            counts[place] = counts.get(place, 0.0) + worth
    if not counts:
        return no_terms()
    shift = DEFAULT.k1 * (1 - DEFAULT.b + DEFAULT.b * sum(counts.values()) / _USUAL_LENGTH)
    values = {place: count * (DEFAULT.k1 + 1) / (count + shift) for place, count in counts.items()}
    kept = sorted(values, key=lambda place: (-values[place], place))[:MOST_VALUES]
    return {"indices": sorted(kept), "values": [round(values[place], 5) for place in sorted(kept)]}


def no_terms() -> Record:
    return {"indices": [NO_TERM], "values": [1.0]}


def asked(terms: Mapping[str, float], worth: Mapping[str, float] | None) -> Record:
    """A question's terms; ``worth`` is the inverse document frequency by term."""
    values: dict[int, float] = {}
    for term, weight in terms.items():
        value = weight if worth is None else weight * worth.get(term, 1.0)
        if value > 0:
            values[place_of(term)] = max(value, values.get(place_of(term), 0.0))
    kept = sorted(values, key=lambda place: (-values[place], place))[:MOST_VALUES]
    return {"indices": kept, "values": [round(values[place], 5) for place in kept]}


def word_records(entry: Outgoing, place: str) -> list[Record]:
    """One record per chunk for the index of words. Raises ``StoreError`` for metadata beyond Pinecone's limit."""
    made = zip(entry.chunks, entry.search_terms(), strict=True)
    return [_record(entry, chunk, place, {"sparse_values": sparse(*terms)}) for chunk, terms in made]


def vector_records(entry: Outgoing, place: str) -> list[Record]:
    """One record per chunk for the index of vectors."""
    if entry.vectors is None:
        return []
    rows = np.round(np.asarray(entry.vectors, dtype=np.float64), 7).tolist()
    return [_record(entry, chunk, place, {"values": row}) for chunk, row in zip(entry.chunks, rows, strict=True)]


def _record(entry: Outgoing, chunk: Chunk, place: str, values: Record) -> Record:
    metadata: Record = {
        "id": chunk.id, "document_id": chunk.document_id, "version": chunk.version, "text": chunk.text,
        "start": chunk.start, "end": chunk.end, "digest": chunk.digest, "title": chunk.title, "heading": chunk.heading,
        "facets": [_ANY, *facets(entry.document.metadata)],
    }  # fmt: skip
    if chunk.page is not None:
        metadata["page"] = chunk.page
    for number, labels in enumerate(access_fields(entry.document.metadata)):
        metadata[f"access_{number}"] = list(labels)
    size = len(json.dumps(metadata, ensure_ascii=False).encode("utf-8"))
    if size > LARGEST_METADATA:
        raise StoreError(
            "store.record_large", place=place, document=chunk.document_id, size=size, limit=LARGEST_METADATA
        )
    return {"id": chunk_key(chunk), "metadata": metadata, **values}


def head(entry: Outgoing) -> Record:
    """The record that says which state of a document is held. ``stamp`` ``""``: it is being written."""
    metadata = {"document_id": entry.document.id, "version": _version(entry), "stamp": entry.stamp}
    return {"id": document_key(entry.document.id), "sparse_values": no_terms(), "metadata": metadata}


def unfinished(entry: Outgoing) -> Record:
    """The head of a document before its first chunk is written: a crash then leaves nothing that nobody knows of."""
    return {**head(entry), "metadata": {"document_id": entry.document.id, "version": "", "stamp": ""}}


def _version(entry: Outgoing) -> str:
    return entry.chunks[0].version if entry.chunks else entry.document.version


def to_chunk(metadata: Mapping[str, Any]) -> Chunk:
    """Numbers come back as floating point."""
    page = metadata.get("page")
    return Chunk(
        id=str(metadata["id"]),
        document_id=str(metadata["document_id"]),
        version=str(metadata["version"]),
        text=str(metadata["text"]),
        start=int(metadata["start"]),
        end=int(metadata["end"]),
        digest=str(metadata["digest"]),
        title=str(metadata["title"]),
        heading=str(metadata["heading"]),
        page=None if page is None else int(page),
    )


def to_filter(wanted: Needs) -> Record | None:
    """The same question in Pinecone's filter language; None when nothing is asked."""
    parts: list[Record] = []
    if wanted.documents is not None:
        parts.append({"document_id": {"$in": list(wanted.documents)}})
    parts.extend({"facets": {"$in": list(group)}} for group in wanted.every)
    if wanted.absent:
        parts.append({"facets": {"$nin": list(wanted.absent)}})
    if wanted.reader is not None:
        parts.extend({name: {"$in": list(wanted.reader)}} for name in _ACCESS)
    if len(parts) > 1:
        return {"$and": parts}
    return parts[0] if parts else None


def batches(records: Sequence[Record]) -> list[list[Record]]:
    """Cut to what one request may hold."""
    made: list[list[Record]] = []
    size = 0
    for record in records:
        weight = len(json.dumps(record, ensure_ascii=False).encode("utf-8"))
        if not made or len(made[-1]) == MOST_RECORDS or size + weight > _BATCH_BYTES:
            made.append([])
            size = 0
        made[-1].append(record)
        size += weight
    return made


def as_list(vector: NDArray[Any]) -> list[float]:
    return [float(value) for value in np.asarray(vector, dtype=np.float64)]
