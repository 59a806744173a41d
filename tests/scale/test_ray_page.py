"""docs/how-to/ray.md is executed on a cluster that is there; its tune command is held by test_ray_tune."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from command_line import Cli

from groundtune.config import Config, parse

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "ray.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_page(cluster, tmp_path, monkeypatch, capsys):
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "leave.md").write_text("# Leave\n\nStaff receive 27 days of annual leave.\n")
    (tmp_path / "groundtune.toml").write_text(
        '[models]\nbase = "fake:extract"\nreader = "fake:"\n[compare]\napproaches = ["prompt", "rag"]\n'
    )
    (tmp_path / "questions.jsonl").write_text('{"question": "How many days of leave?", "answers": ["27 days"]}\n')
    monkeypatch.chdir(tmp_path)
    install, *commands = block("sh").strip().splitlines()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert install == 'pip install "groundtune[ray]"' and "ray" in extras
    assert [shlex.split(command)[1] for command in commands] == ["ingest", "compare", "tune"]
    for command in commands[:2]:
        done = Cli(tmp_path).run(*shlex.split(command.replace("HEAD:6379", cluster))[1:])
        assert done.exit_code == 0 and "Ray: 2 worker(s)." in done.stderr, done.stderr
    said = Cli(tmp_path).run(*shlex.split(commands[2].replace("HEAD:6379", "127.0.0.1:1"))[1:])
    assert said.exit_code == 2 and "127.0.0.1:1" in said.stderr  # every option is known
    exec(block("python").replace("HEAD:6379", cluster), {})  # noqa: S102
    assert capsys.readouterr().out.strip().endswith("1 unchanged")


def test_the_settings():
    problems: list[str] = []
    config = parse(tomllib.loads(block("toml")), Path(), problems)
    assert problems == [] and (config.scale.engine, config.scale.address) == ("ray", "HEAD:6379")
    assert isinstance(config, Config)
    parse({"scale": {"engine": "spark"}}, Path(), problems)
    assert len(problems) == 1 and "local, ray" in problems[0]
