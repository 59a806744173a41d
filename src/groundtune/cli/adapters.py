"""``groundtune adapters``: what was trained here."""

from __future__ import annotations

from groundtune.cli.context import State, columns
from groundtune.cli.options import option, verb
from groundtune.messages import say
from groundtune.tuning.adapters import Adapters


@verb("adapters")
@option("--delete", metavar="NAME", default=None)
def command(state: State, delete: str | None) -> None:
    """List, or delete one."""
    adapters = Adapters(state.project().config.state / "adapters")
    if delete:
        adapters.delete(delete)
        state.emit({"deleted": delete}, say("cli.adapters.deleted", name=delete))
        return
    found = adapters.list()
    rows = [
        (name, a.base, str(a.settings.get("rows", "")), "" if a.final_loss is None else f"{a.final_loss:.3f}",
         f"{a.seconds:.0f}")
        for name, a in found.items()
    ]  # fmt: skip
    heads = tuple(say(f"cli.adapters.{head}") for head in ("name", "base", "examples", "loss", "seconds"))
    state.emit({"adapters": dict(found)}, columns(heads, rows) if rows else say("cli.adapters.none"))
