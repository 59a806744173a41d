"""``groundtune tune``: train the adapter of the project."""

from __future__ import annotations

import re
import sys
import time

from groundtune.cli.context import State
from groundtune.cli.options import option, verb
from groundtune.errors import UserError
from groundtune.messages import say
from groundtune.tuning.plan import Progress

_EVERY = 10.0  # seconds between two lines in a log


class _Talk:
    """One line that is rewritten on a terminal, a line now and then in a log."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        line = say("cli.tune.progress", step=progress.step, steps=progress.steps, loss=f"{progress.loss:.3f}",
                   left=f"{progress.seconds_left:.0f}")  # fmt: skip
        ended = progress.step >= progress.steps
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line}\x1b[K" + ("\n" if ended else ""))
            sys.stderr.flush()
        elif ended or time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            self._state.talk(line)


@verb("tune")
@option("--with-context", is_flag=True)
@option("--model", metavar="SPEC", default=None)
@option("--hosted", "service", metavar="PROVIDER:MODEL", default=None)
@option("--cancel", is_flag=True)
@option("--allow-private", is_flag=True)
def command(
    state: State, with_context: bool, model: str | None, service: str | None, cancel: bool, allow_private: bool
) -> None:
    """The same adapter that ``compare`` would train; one that is there already is not trained again."""
    if service or cancel:
        if not service or with_context or model:
            raise UserError("cli.tune.hosted_options")
        from groundtune.cli.hosted import hosted

        hosted(state, service, cancel=cancel, allow_private=allow_private)
        return
    project = state.project().with_model(model)
    adapter = project.tune(with_context, progress=_Talk(state))
    name = re.split(r"[\\/]", adapter.path)[-1]
    loss = "-" if adapter.final_loss is None else f"{adapter.final_loss:.3f}"
    details = say(
        "cli.tune.details", examples=adapter.settings.get("rows", "-"), seconds=f"{adapter.seconds:.0f}", loss=loss
    )
    state.emit(
        {"name": name, "adapter": adapter}, say("cli.tune.done", name=name, base=adapter.base, path=adapter.path)
    )
    state.talk(details)
