"""``groundtune compact``: drop old versions of documents on request."""

from __future__ import annotations

from groundtune.cli.context import State
from groundtune.cli.options import Number, option, verb
from groundtune.errors import UserError
from groundtune.messages import say

_SHOWN = 20


@verb("compact")
@option("--keep", type=Number(int, 1), default=None)
@option("--before", metavar="DATE", default="")
@option("--dry-run", is_flag=True)
def command(state: State, keep: int | None, before: str, dry_run: bool) -> None:
    """Never drops a current version."""
    if keep is None and not before:
        raise UserError("cli.compact.nothing_asked")
    dropped = state.project().kb.compact(keep=keep, before=before, dry_run=dry_run)
    names = ("document_id", "number", "version", "since", "until", "characters")
    rows = [{name: getattr(version, name) for name in names} for version in dropped]
    key = "none" if not dropped else "would" if dry_run else "done"
    documents = len({version.document_id for version in dropped})
    lines = [say(f"cli.compact.{key}", versions=len(dropped), documents=documents)]
    lines += [f"  - {v.document_id} #{v.number} {v.version[:12]} ({v.since} - {v.until})" for v in dropped[:_SHOWN]]
    if len(dropped) > _SHOWN:
        lines.append("  " + say("cli.ingest.more", count=len(dropped) - _SHOWN))
    state.emit({"dropped": rows, "dry_run": dry_run}, "\n".join(lines))
