"""Options, arguments and verbs whose help stands in ``locales/cli.*.toml`` under ``cli.<verb>.<name>``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from groundtune import messages
from groundtune.cli.context import JSON, LANG, PROJECT, State, find, project_language
from groundtune.cli.wide import Formatter
from groundtune.messages import say

_COMMON = ("lang", "as_json", "project", "help", "version")


class Context(click.Context):
    formatter_class = Formatter


class Option(click.Option):
    """An option whose help is looked up when it is shown, in the language in use: ``help_key``, else
    ``cli.<verb>.<name>``.
    """

    def __init__(self, *args: Any, help_key: str = "", **settings: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **settings)
        self.help_key = help_key

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.help = None
        record = super().get_help_record(ctx)
        if record is None:
            return None
        room = "common" if self.name in _COMMON else ctx.command.name
        extra = record[1].strip()
        return record[0], f"{say(self.help_key or f'cli.{room}.{self.name}')} {extra}".strip()


class Help:
    """Mixin: the headings and the sentences of ``--help``."""

    name: str | None

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        pieces = " ".join(self.collect_usage_pieces(ctx))  # type: ignore[attr-defined]
        formatter.write_usage(ctx.command_path, pieces, prefix=say("cli.common.usage"))

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(say(f"cli.{self.name}.help"))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        params: Sequence[click.Parameter] = self.get_params(ctx)  # type: ignore[attr-defined]
        options = [param for param in params if isinstance(param, click.Option)]
        options.sort(key=lambda param: param.name in _COMMON)  # a verb's own come first
        rows = [record for record in (param.get_help_record(ctx) for param in options) if record]
        if rows:
            with formatter.section(say("cli.common.options")):
                formatter.write_dl(rows)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        def show(ctx: click.Context, param: click.Parameter, value: bool) -> None:
            if value and not ctx.resilient_parsing:
                click.echo(ctx.get_help(), color=ctx.color)
                ctx.exit()

        return Option(["--help"], is_flag=True, is_eager=True, expose_value=False, callback=show)


class Verb(Help, click.Command):
    """One command."""

    context_class = Context

    def get_short_help_str(self, limit: int = 45) -> str:
        return say(f"cli.{self.name}.help").split("\n")[0]


class Number(click.ParamType):  # type: ignore[type-arg]
    """A number between bounds (inclusive)."""

    name = "number"

    def __init__(self, kind: type[int] | type[float], low: float | None = None, high: float | None = None) -> None:
        self.kind, self.low, self.high = kind, low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        try:
            number = self.kind(value)
        except (TypeError, ValueError, OverflowError):
            number = None
        if number is None or number != number or abs(number) == float("inf"):
            self.fail(say("cli.bad.number", value=value, kind=say(f"cli.bad.{self.kind.__name__}")), param, ctx)
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            low, high = _shown(self.low), _shown(self.high)
            which = "range" if self.low is not None and self.high is not None else "low" if high == "" else "high"
            self.fail(say(f"cli.bad.{which}", value=value, low=low, high=high), param, ctx)
        return number


class OneOf(click.ParamType):  # type: ignore[type-arg]
    """One of a few words, case and ``_``/``-`` aside."""

    name = "choice"

    def __init__(self, choices: Sequence[str]) -> None:
        self.choices = tuple(choices)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "|".join(self.choices)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        for choice in self.choices:
            if str(value).replace("_", "-").casefold() == choice.replace("_", "-").casefold():
                return choice
        return self.fail(say("cli.bad.choice", value=value, known=", ".join(self.choices)), param, ctx)


def _shown(bound: float | None) -> str:
    return "" if bound is None else f"{bound:g}"


def option(*names: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: ANN401
    """``click.option`` with localised help."""
    return click.option(*names, cls=Option, **settings)


def argument(name: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: ANN401
    """``click.argument``."""
    return click.argument(name, **settings)


def common(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that the group and every verb have."""
    for add in (
        option(*PROJECT, "project", metavar="FOLDER", default=None),
        option(*JSON, "as_json", is_flag=True),
        option(*LANG, "lang", type=OneOf(messages.LANGUAGES), default=None),
    ):
        function = add(function)
    return function


def state_of(ctx: click.Context) -> State:
    """What the group was told."""
    return ctx.obj if isinstance(ctx.obj, State) else State()


def settle(ctx: click.Context, lang: str | None, as_json: bool, project: str | None) -> State:
    """Merge a verb's common options over the group's and set the language."""
    outer = state_of(ctx)
    folder = Path(project) if project else outer.folder
    if lang:
        messages.use(lang)
        ctx.meta["groundtune.lang"] = lang
    elif "groundtune.lang" not in ctx.meta and (found := find(folder or Path.cwd())):
        messages.use(project_language(found))
    return State(as_json or outer.json, folder)


def verb(name: str) -> Callable[[Callable[..., None]], Verb]:
    """Make a command of ``function(state, ...)``: adds the common options and the localised help."""

    def make(function: Callable[..., None]) -> Verb:
        @wraps(function)
        @click.pass_context
        def run(ctx: click.Context, /, lang: str | None, as_json: bool, project: str | None, **rest: Any) -> None:  # noqa: ANN401
            function(settle(ctx, lang, as_json, project), **rest)

        return click.command(name, cls=Verb)(common(run))

    return make
