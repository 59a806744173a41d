"""``groundtune history``: every version of a document and when it held."""

from __future__ import annotations

from groundtune.cli.ask import as_reader
from groundtune.cli.context import State, columns
from groundtune.cli.options import argument, option, verb
from groundtune.knowledge.history import DocumentVersion
from groundtune.messages import say


@verb("history")
@argument("document")
@option("--as", "reader", metavar="LABELS", default=None, help_key="cli.ask.reader")
def command(state: State, document: str, reader: str | None) -> None:
    """Oldest first."""
    life = as_reader(state, state.project(), reader).kb.history(document)
    names = ("number", "version", "since", "until", "current", "title", "characters")
    rows = [{name: getattr(version, name) for name in names} for version in life]
    heads = [say(f"cli.history.{name}") for name in ("number", "version", "since", "until", "characters", "title")]
    text = columns(heads, [_cells(version) for version in life])
    state.emit({"document": life[0].document_id, "versions": rows}, text)


def _cells(version: DocumentVersion) -> tuple[str, ...]:
    until = version.until or say("cli.history.current" if version.current else "cli.history.open")
    return str(version.number), version.version[:12], version.since, until, str(version.characters), version.title
