"""What the README says is executed."""

import re
import tomllib
from pathlib import Path

import click

from groundtune.cli.main import cli

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs_and_cites(tmp_path, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(code.replace("path/to/kb", str(tmp_path / "kb")), {})  # noqa: S102
    out = capsys.readouterr().out
    assert "27 days" in out and "leave" in out


def test_every_command_line_of_the_readme_exists():
    lines = [line.split("#")[0].split() for line in TEXT.splitlines() if line.startswith("groundtune ")]
    named = {word for words in lines for word in words[1:] if word != "/" and word.isalpha()}
    assert len(named) >= 13
    known = set(cli.list_commands(click.Context(cli)))
    assert named <= known, named - known


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make ([a-z]+)|`make ([a-z]+)", TEXT, re.MULTILINE)
    assert {a or b for a, b in targets} == {"demo", "test", "real"}
    for target in {a or b for a, b in targets}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_extras_named_in_the_readme_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    install = TEXT.split("## Install")[1]
    for extra in ("tune", "serve", "docs", "openai", "gemini", "langchain", "llamaindex"):
        assert f"`{extra}`" in install and extra in extras
