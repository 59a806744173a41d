"""Verbs that have verbs of their own (``groundtune examples import``): help in the language in use, did-you-mean."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from groundtune.cli.context import State
from groundtune.cli.options import Context, Help, Option, Verb, common, settle
from groundtune.errors import UserError
from groundtune.messages import say


class SubVerb(Verb):
    """One command of a group; its help is ``cli.<group>.<name>_help``, that of its options ``cli.<group>.<option>``."""

    room = ""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(say(f"cli.{self.room}.{self.name}_help"))

    def get_short_help_str(self, limit: int = 45) -> str:
        return say(f"cli.{self.room}.{self.name}_help").split("\n")[0]


class VerbGroup(Help, click.Group):
    """A verb with sub-verbs."""

    context_class = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the work

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], self.commands, n=1)
            which = "cli.bad.verb_hint" if close else "cli.bad.verb"
            raise UserError(which, name=args[0], hint=close[0] if close else "", known=", ".join(self.commands))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(say("cli.common.verbs")):
            rows = [(name, command.get_short_help_str()) for name, command in self.commands.items()]
            formatter.write_dl(rows)

    def get_short_help_str(self, limit: int = 45) -> str:
        return say(f"cli.{self.name}.help").split("\n")[0]

    def verb(self, name: str) -> Callable[[Callable[..., None]], SubVerb]:
        """As ``options.verb``, for a command of this group."""

        def make(function: Callable[..., None]) -> SubVerb:
            @wraps(function)
            @click.pass_context
            def run(ctx: click.Context, /, lang: str | None, as_json: bool, project: str | None, **rest: Any) -> None:  # noqa: ANN401
                function(settle(ctx, lang, as_json, project), **rest)

            command = click.command(name, cls=SubVerb)(common(run))
            command.room = str(self.name)
            for param in command.params:
                if (
                    isinstance(param, Option)
                    and param.name not in ("lang", "as_json", "project")
                    and not param.help_key
                ):
                    param.help_key = f"cli.{self.name}.{param.name}"
            self.add_command(command)
            return command

        return make


def group(name: str, *options: Callable[..., Any]) -> Callable[[Callable[..., None]], VerbGroup]:
    """Make a group of ``function(state, **options)``, which runs when no sub-verb is given."""

    def make(function: Callable[..., None]) -> VerbGroup:
        @wraps(function)
        @click.pass_context
        def run(ctx: click.Context, /, lang: str | None, as_json: bool, project: str | None, **rest: Any) -> None:  # noqa: ANN401
            state: State = settle(ctx, lang, as_json, project)
            ctx.obj = state
            if ctx.invoked_subcommand is None:
                function(state, **rest)

        decorated: Callable[..., Any] = common(run)
        for add in options:
            decorated = add(decorated)
        return click.group(name, cls=VerbGroup, invoke_without_command=True)(decorated)

    return make
