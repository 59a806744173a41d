"""Calling the command line in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from groundtune.cli.main import cli


class Cli:
    """``run("ask", "...")`` -> Result; ``json(...)`` -> the object on stdout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *args: str | Path, input: str | None = None) -> Result:
        return CliRunner().invoke(cli, [str(arg) for arg in args], input=input)

    def json(self, *args: str | Path) -> Any:
        return json.loads(self.run(*args, "--json").stdout)

    def fails(self, *args: str | Path, code: int) -> str:
        """The one sentence of a failure; checks that nothing is on stdout and no traceback is shown."""
        result = self.run(*args)
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        assert result.stdout == "" and "Traceback" not in result.stderr
        (line,) = [row for row in result.stderr.splitlines() if not row.startswith("  ")][-1:]
        assert line.startswith(("Error: ", "錯誤：", "エラー："))
        again = self.run("--json", *args)
        assert again.exit_code == code
        told = json.loads(again.stdout)
        assert set(told) == {"error"} and set(told["error"]) == {"kind", "message"}
        return str(told["error"]["message"])
