"""``groundtune init``: a new project folder, explained."""

from __future__ import annotations

from pathlib import Path

from groundtune import messages
from groundtune.cli.context import State
from groundtune.cli.options import argument, option, verb
from groundtune.cli.template import project_files
from groundtune.errors import UserError
from groundtune.files import write_whole
from groundtune.messages import say


@verb("init")
@argument("folder", default=".")
@option("--name", default=None)
def command(state: State, folder: str, name: str | None) -> None:
    """Write what is missing; a file that is there stays as it is."""
    root = (state.folder or Path()) / folder
    if (root / "groundtune.toml").exists():
        raise UserError("cli.init.exists", path=root / "groundtune.toml")
    if root.exists() and not root.is_dir():
        raise UserError("cli.init.not_a_folder", path=root)
    made: list[str] = []
    kept: list[str] = []
    (root / "documents").mkdir(parents=True, exist_ok=True)
    for relative, text in project_files(name or root.resolve().name, messages.language()).items():
        path = root / relative
        if path.exists():
            kept.append(relative)
            continue
        write_whole(path, text)
        made.append(relative)
    shown = root if root.name else root.resolve()  # "." at the end of a sentence is no name
    lines = [say("cli.init.made", folder=shown), *(f"  {name}" for name in ["documents/", *made])]
    if kept:
        lines.append(say("cli.init.kept", names=", ".join(kept)))
    state.emit({"folder": root, "created": ["documents/", *made], "kept": kept}, "\n".join(lines))
    state.talk(say("cli.init.next", folder=shown))
