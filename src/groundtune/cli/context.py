"""What every verb knows: the language, whether JSON is wanted, and which project folder is meant."""

from __future__ import annotations

import dataclasses
import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune import messages
from groundtune.cli.wide import width
from groundtune.errors import ConfigError, UserError

if TYPE_CHECKING:
    from rich.console import Console

    from groundtune.project import Project

LANG = ("--lang",)
JSON = ("--json",)
PROJECT = ("--project", "-C")


@dataclass(frozen=True)
class State:
    """Common options of one call."""

    json: bool = False
    folder: Path | None = None

    def project(self) -> Project:
        """The project of ``--project``, else of the current directory or the nearest one above it.

        Raises ``ConfigError`` when there is no groundtune.toml.
        """
        from groundtune.project import Project

        start = self.folder or Path.cwd()
        folder = find(start)
        if folder is None:
            raise ConfigError("core.config_missing", folder=start.resolve())
        return Project.open(folder)

    def emit(self, data: object, text: str) -> None:
        """The result, on stdout: as JSON when asked, else as text."""
        write(to_json(data) if self.json else text)

    def talk(self, sentence: str) -> None:
        """What is going on, on stderr."""
        sys.stderr.write(sentence + "\n")
        sys.stderr.flush()


def write(text: str) -> None:
    """One result on stdout, whatever its encoding can show."""
    line = text.rstrip("\n") + "\n"
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(line.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def to_json(data: object) -> str:
    """Dataclasses, paths and dates too; NaN and infinity become null, so that every JSON reader reads it."""
    return json.dumps(plain(data), ensure_ascii=False, indent=1)


def plain(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Only dicts, lists, strings, finite numbers, booleans and None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, int):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Sequence | set | frozenset):
        return [plain(v) for v in value]
    return str(value)


def find(start: Path) -> Path | None:
    """The nearest folder at or above ``start`` that holds a groundtune.toml."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / "groundtune.toml").is_file()), None)


@dataclass(frozen=True)
class Peek:
    """What the raw arguments say before they are parsed, so that even a parsing error comes in the right language
    and form.
    """

    language: str
    json: bool


def peek(args: Sequence[str]) -> Peek:
    """Language: ``--lang``, else the project's, else the environment's."""
    ours = list(args[: args.index("--")]) if "--" in args else list(args)
    asked = _value(ours, LANG)
    if asked in messages.LANGUAGES:
        return Peek(asked, "--json" in ours)
    folder = find(Path(_value(ours, PROJECT) or "."))
    return Peek(project_language(folder) if folder else messages.language(), "--json" in ours)


def project_language(folder: Path) -> str:
    """The language that groundtune.toml asks for; the environment's when the file cannot be read (that is reported
    later, in full).
    """
    try:
        table = tomllib.loads((folder / "groundtune.toml").read_text(encoding="utf-8-sig"))
        return messages.resolve(str(table["project"]["language"]))
    except (OSError, ValueError, KeyError, TypeError):
        return messages.language()


def _value(args: Sequence[str], names: Sequence[str]) -> str:
    for position, arg in enumerate(args):
        for name in names:
            if arg == name and position + 1 < len(args):
                return args[position + 1]
            if arg.startswith(f"{name}="):
                return arg.partition("=")[2]
    return ""


def free(path: Path, force: bool, source: Path | None = None) -> Path:
    """``path``, which must not be the source and must not exist unless forced. Raises ``UserError``."""
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise UserError("cli.examples.same_file", path=path)
    if path.exists() and not force:
        raise UserError("cli.examples.exists", path=path)
    return path


def find_start(folder: Path | None) -> Path | None:
    """The project that a call without ``--project`` is in."""
    return find(folder or Path.cwd())


def console() -> Console:
    """For tables on stdout. Wide where nobody looks, so that a pipe gets whole rows."""
    from rich.console import Console

    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140, highlight=False)


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under heads, aligned by terminal columns; the last column is free."""
    table = [tuple(heads), *map(tuple, rows)]
    widths = [max(width(row[i]) for row in table) for i in range(len(heads))]
    lines = ["  ".join(cell + " " * (widths[i] - width(cell)) for i, cell in enumerate(row)).rstrip() for row in table]
    return "\n".join(lines)
