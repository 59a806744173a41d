"""``groundtune completion``: scripts for three shells, and what they ask the program for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Cli


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(groundtune: Cli, shell: str) -> None:
    result = groundtune.run("completion", shell)
    assert result.exit_code == 0 and "_GROUNDTUNE_COMPLETE" in result.stdout and "groundtune" in result.stdout
    assert groundtune.json("completion", shell)["shell"] == shell


def test_the_shell_in_use_is_the_default(groundtune: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert "#compdef" in groundtune.run("completion").stdout
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert "bash, zsh, fish" in groundtune.fails("completion", code=2)


def _complete(words: str, place: int, tmp_path: Path) -> list[str]:
    environment = {**os.environ, "_GROUNDTUNE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    command = [sys.executable, "-c", "from groundtune.cli.main import main; main()"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_verbs_options_and_sub_verbs_are_completed(tmp_path: Path) -> None:
    assert _complete("groundtune com", 1, tmp_path) == ["compare", "compact", "completion"]
    assert "--max-questions" in _complete("groundtune compare --max", 2, tmp_path)
    assert _complete("groundtune exchange ", 2, tmp_path) == ["export", "import", "log"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_the_script(groundtune: Cli, tmp_path: Path) -> None:
    script = tmp_path / "complete.sh"
    script.write_text(groundtune.run("completion", "bash").stdout, encoding="utf-8")
    done = subprocess.run(["bash", "-c", f"source {script} && complete -p groundtune"], capture_output=True, text=True)
    assert done.returncode == 0 and "_groundtune_completion" in done.stdout, done.stderr
