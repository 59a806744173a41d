"""From an exception to one sentence, a kind from the closed set of ``errors.py``, and an exit code."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

import click

from groundtune.errors import GroundtuneError, UserError
from groundtune.messages import language, say

INTERRUPTED = 130
_EXTRA = re.compile(r"unexpected extra arguments? \((.*)\)", re.DOTALL)


@dataclass(frozen=True)
class Failure:
    """What is told about an error."""

    kind: str
    message: str
    exit_code: int


def failure_of(error: BaseException) -> Failure:
    """The sentence for any exception, in the language in use."""
    if isinstance(error, GroundtuneError):
        return Failure(error.kind, error.sentence(), error.exit_code)
    if isinstance(error, click.exceptions.Abort | KeyboardInterrupt):
        return Failure(GroundtuneError.kind, say("cli.interrupted"), INTERRUPTED)
    if isinstance(error, click.ClickException):
        return Failure(UserError.kind, _usage(error), UserError.exit_code)
    if isinstance(error, OSError):
        return Failure(GroundtuneError.kind, _system(error), GroundtuneError.exit_code)
    if isinstance(error, MemoryError):
        return Failure(GroundtuneError.kind, say("cli.bad.memory"), GroundtuneError.exit_code)
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return Failure(GroundtuneError.kind, say("cli.unexpected", reason=reason), GroundtuneError.exit_code)


def _system(error: OSError) -> str:
    known = {errno.ENOSPC: "full", errno.EACCES: "permission", errno.EPERM: "permission", errno.EADDRINUSE: "port"}
    key = known.get(error.errno or 0, "system")
    return say(f"cli.bad.{key}", path=error.filename or "-", reason=error.strerror or error)


def _usage(error: click.ClickException) -> str:
    """What click complains about, in our words; its English ones are kept inside a sentence when they are unknown."""
    command = getattr(getattr(error, "ctx", None), "command_path", "groundtune")
    asks = (" " if language() == "en" else "") + say("cli.bad.see_help", command=command)
    hint = ", ".join(getattr(error, "possibilities", None) or ())
    if isinstance(error, click.NoSuchOption):
        known = "option_hint" if hint else "option"
        return f"{say(f'cli.bad.{known}', name=error.option_name, hint=hint)}{asks}"
    if type(error).__name__ == "NoSuchCommand":
        known = "verb_hint" if hint else "verb"
        return f"{say(f'cli.bad.{known}', name=getattr(error, 'command_name', ''), hint=hint)}{asks}"
    if isinstance(error, click.MissingParameter):
        return f"{say('cli.bad.missing', name=_name(error))}{asks}"
    if isinstance(error, click.BadOptionUsage):
        return f"{say('cli.bad.option_usage', name=error.option_name)}{asks}"
    if isinstance(error, click.BadParameter):
        return say("cli.bad.parameter", name=_name(error), problem=error.message)
    if extra := _EXTRA.search(error.format_message()):
        return f"{say('cli.bad.extra', names=extra.group(1))}{asks}"
    return f"{say('cli.bad.usage', problem=error.format_message().rstrip('.'))}{asks}"


def _name(error: click.BadParameter) -> str:
    param = error.param
    if isinstance(param, click.Option):
        return max(param.opts, key=len)
    return (param.human_readable_name if param is not None else "") or str(error.param_hint or "")
