"""``groundtune diff``: what changed between two versions of a document, sentence by sentence."""

from __future__ import annotations

from groundtune.cli.ask import as_reader
from groundtune.cli.context import State
from groundtune.cli.options import argument, option, verb
from groundtune.cli.wide import wrap
from groundtune.knowledge.diff import Change, DocumentDiff
from groundtune.knowledge.history import DocumentVersion
from groundtune.messages import say

_COLUMNS = 92
_MARKS = {"same": ("", ""), "removed": ("[-", "-]"), "added": ("{+", "+}")}


@verb("diff")
@argument("document")
@argument("old", required=False, default="")
@argument("new", required=False, default="")
@option("--as", "reader", metavar="LABELS", default=None, help_key="cli.ask.reader")
def command(state: State, document: str, old: str, new: str, reader: str | None) -> None:
    """Exit code 0 with or without changes."""
    found = as_reader(state, state.project(), reader).kb.diff(document, old, new)
    table = {
        "document": found.after.document_id,
        "old": _version(found.before),
        "new": _version(found.after),
        "same": found.same,
        "changes": found.changes,
    }
    state.emit(table, _describe(found))


def _version(version: DocumentVersion) -> dict[str, object]:
    return {name: getattr(version, name) for name in ("number", "version", "since", "until", "current")}


def _describe(found: DocumentDiff) -> str:
    lines = [f"--- {_label(found.before)}", f"+++ {_label(found.after)}"]
    heading = None
    for change in found.changes:
        if change.heading != heading:
            heading = change.heading
            lines += ["", f"@@ {heading or found.after.title} @@"]
        lines += _lines(change)
    changed, added, removed = (sum(c.kind == kind for c in found.changes) for kind in ("changed", "added", "removed"))
    lines += ["", say("cli.diff.summary", same=found.same, changed=changed, added=added, removed=removed)]
    return "\n".join(lines)


def _label(version: DocumentVersion) -> str:
    until = version.until or say("cli.history.current" if version.current else "cli.history.open")
    return f"{version.document_id} #{version.number} {version.version[:12]} ({version.since} - {until})"


def _lines(change: Change) -> list[str]:
    if change.kind == "changed":
        text = "".join(f"{_MARKS[part.op][0]}{part.text}{_MARKS[part.op][1]}" for part in change.parts)
        mark = "~"
    else:
        text, mark = (change.new, "+") if change.kind == "added" else (change.old, "-")
    first, *rest = wrap(text, _COLUMNS)
    return [f"{mark} {first}", *(f"  {line}" for line in rest)]
