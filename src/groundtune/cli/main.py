"""``groundtune``: the group of all verbs, and the one place where errors become sentences and exit codes.

stdout is data, stderr is talk. Exit codes: 0 done, 1 it failed, 2 the call or its input is wrong, 130 interrupted.
"""

from __future__ import annotations

import contextvars
import difflib
import importlib
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from groundtune import messages
from groundtune.cli.context import peek, to_json, write
from groundtune.cli.failures import failure_of
from groundtune.cli.options import Context, Help, Option, common, settle
from groundtune.errors import UserError
from groundtune.messages import say

# In the order of the work; each is ``groundtune.cli.<name>:command``.
VERBS = (
    "demo", "init", "ingest", "search", "ask", "history", "diff", "calibrate", "redteam", "examples", "lint", "questions", "compare", "decide", "cost", "advise", "tune", "adapters", "export", "serve",
    "status", "verify", "compact", "migrate", "models", "exchange", "completion",
)  # fmt: skip


class Root(Help, click.Group):
    """Loads a verb's module when it is called, so that ``groundtune ask`` does not pay for ``groundtune tune``."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"groundtune.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], VERBS, n=1)
            which = "cli.bad.verb_hint" if close else "cli.bad.verb"
            raise UserError(which, name=args[0], hint=close[0] if close else "", known=", ".join(VERBS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(say("cli.common.verbs")):
            formatter.write_dl([(name, say(f"cli.{name}.help").split("\n")[0]) for name in VERBS])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        given = list(sys.argv[1:] if args is None else args)
        code = contextvars.copy_context().run(self._run, given, prog_name or "groundtune", extra)
        if standalone_mode:
            sys.exit(code)
        return code

    def _run(self, args: list[str], prog_name: str, extra: dict[str, Any]) -> int:
        said = peek(args)
        messages.use(said.language)
        try:
            result = super().main(args, prog_name, standalone_mode=False, **extra)
            return result if isinstance(result, int) else 0
        except BrokenPipeError:  # the reader of our output has gone, e.g. ``| head``
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except click.exceptions.NoArgsIsHelpError as error:
            sys.stderr.write(error.format_message() + "\n")
            return UserError.exit_code
        except click.exceptions.Exit as error:
            return error.exit_code
        except (Exception, KeyboardInterrupt) as error:
            if os.environ.get("GROUNDTUNE_DEBUG") == "1" and not isinstance(error, KeyboardInterrupt):
                import traceback

                traceback.print_exc()
            return _report(error, said.json)


def _report(error: BaseException, as_json: bool) -> int:
    failure = failure_of(error)
    if as_json:
        write(to_json({"error": {"kind": failure.kind, "message": failure.message}}))
    sys.stderr.write(say("cli.error", message=failure.message) + "\n")
    return failure.exit_code


@click.group("groundtune", cls=Root, no_args_is_help=True)
@common
@click.option("--version", cls=Option, is_flag=True, is_eager=True, expose_value=False,
              callback=lambda ctx, param, value: _version(ctx) if value else None)  # fmt: skip
@click.pass_context
def cli(ctx: click.Context, lang: str | None, as_json: bool, project: str | None) -> None:
    """All verbs; the text that people read stands in ``locales/``."""
    ctx.obj = settle(ctx, lang, as_json, project)


def _version(ctx: click.Context) -> None:
    from groundtune import __version__

    write(f"groundtune {__version__}")
    ctx.exit()


def main() -> NoReturn:
    """Entry point of the ``groundtune`` command."""
    # Notices of libraries to their callers say nothing to the person at the terminal.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|peft)\b")
    # A terminated process stops like an interrupted one: transactions roll back, temporary files go.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(cli.main(standalone_mode=False))


if __name__ == "__main__":
    main()
