"""What both adapters share: how a passage's place travels in another library's metadata, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from groundtune.types import Chunk, Hit, digest

_FIELDS = ("document_id", "version", "start", "end", "title", "heading", "page")


def metadata_of(hit: Hit) -> dict[str, Any]:
    """Where a passage stands, with its score. Offsets are code points of that document version."""
    found = {name: getattr(hit.chunk, name) for name in _FIELDS}
    return {name: value for name, value in found.items() if value not in (None, "")} | {"score": hit.score}


def hit_of(text: str, metadata: Mapping[str, Any], id: str = "", score: float | None = None, rank: int = 0) -> Hit:
    """A passage of another library as ours. What its metadata does not say is filled in so that the invariants hold:
    the passage is then a document of its own. Without a score the rank orders: 1, 1/2, 1/3 ...
    """
    place = {name: metadata[name] for name in _FIELDS if metadata.get(name) is not None}
    known = {"document_id", "version", "start", "end"} <= place.keys()
    source = str(place.get("document_id") or metadata.get("source") or metadata.get("file_path") or id or digest(text))
    chunk = Chunk(
        id=id or digest(text),
        document_id=source,
        version=str(place["version"]) if known else digest(text),
        text=text,
        start=int(place["start"]) if known else 0,
        end=int(place["end"]) if known else len(text),
        digest=digest(text),
        title=str(place.get("title", "")),
        heading=str(place.get("heading", "")),
        page=place.get("page") if isinstance(place.get("page"), int) else None,
    )
    given = score if score is not None else metadata.get("score")
    worth = float(given) if isinstance(given, int | float) else 1.0 / (rank + 1)
    return Hit(chunk, worth)
