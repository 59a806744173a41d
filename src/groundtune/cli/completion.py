"""``groundtune completion``: the script that makes a shell complete verbs, options and their values."""

from __future__ import annotations

import os
from pathlib import Path

from groundtune.cli.context import State
from groundtune.cli.options import OneOf, argument, verb
from groundtune.errors import UserError

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_GROUNDTUNE_COMPLETE"


@verb("completion")
@argument("shell", required=False, type=OneOf(SHELLS))
def command(state: State, shell: str | None) -> None:
    """The script goes to stdout: ``source <(groundtune completion bash)``."""
    from click.shell_completion import get_completion_class

    from groundtune.cli.main import cli

    named = shell or Path(os.environ.get("SHELL", "")).name
    if named not in SHELLS:
        raise UserError("cli.completion.unknown", known=", ".join(SHELLS))
    kind = get_completion_class(named)
    assert kind is not None
    # Its ``source()`` would start bash to ask for its version.
    names = {"complete_func": "_groundtune_completion", "complete_var": VARIABLE, "prog_name": "groundtune"}
    script = kind(cli, {}, "groundtune", VARIABLE).source_template % names
    state.emit({"shell": named, "script": script}, script)
