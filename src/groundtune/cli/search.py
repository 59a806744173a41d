"""``groundtune search``: passages of the knowledge base."""

from __future__ import annotations

from groundtune.cli.ask import as_reader, require_documents, tell_switching
from groundtune.cli.context import State
from groundtune.cli.options import Number, argument, option, verb
from groundtune.cli.wide import wrap
from groundtune.errors import UserError
from groundtune.messages import say
from groundtune.types import Hit

_COLUMNS = 96
_LINES = 6


@verb("search")
@argument("query")
@option("--k", type=Number(int, 1, 1000), default=5)
@option("--as-of", "as_of", metavar="DATE", default="", help_key="cli.ask.as_of")
@option("--as", "reader", metavar="LABELS", default=None, help_key="cli.ask.reader")
def command(state: State, query: str, k: int, as_of: str, reader: str | None) -> None:
    """Passages with their place and score, best first."""
    if not query.strip():
        raise UserError("cli.search.empty_question")
    project = state.project()
    require_documents(project)
    tell_switching(state, project)
    hits = as_reader(state, project, reader).search(query, k, as_of)
    rows = [
        {"document_id": h.chunk.document_id, "version": h.chunk.version, "title": h.chunk.title,
         "heading": h.chunk.heading, "page": h.chunk.page, "start": h.chunk.start, "end": h.chunk.end,
         "score": h.score, "text": h.chunk.text}
        for h in hits
    ]  # fmt: skip
    text = "\n\n".join(_shown(number, hit) for number, hit in enumerate(hits, start=1))
    state.emit({"query": query, "as_of": as_of or None, "hits": rows}, text or say("cli.search.none"))


def _shown(number: int, hit: Hit) -> str:
    chunk = hit.chunk
    place = " | ".join(part for part in (chunk.title, chunk.heading) if part) or chunk.document_id
    lines = wrap(chunk.text.strip(), _COLUMNS)
    body = [f"    {line}" for line in lines[:_LINES]] + (["    …"] if len(lines) > _LINES else [])
    return "\n".join([f"[{number}] {place}  ({chunk.document_id} {chunk.start}-{chunk.end}, {hit.score:.3f})", *body])
