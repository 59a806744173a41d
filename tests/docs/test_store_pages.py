"""The pages about stores are executed: their commands on a small project, their Python in an empty folder."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli
from store_servers import postgres, qdrant  # noqa: F401 - fixtures

PAGES = Path(__file__).parents[2] / "docs" / "integrations"
WRITTEN = {
    "pgvector": "postgresql://localhost/handbook",
    "lancedb": "vectors",
    "qdrant": "http://localhost:6333",
}
PACKAGES = {"pgvector": "psycopg", "lancedb": "lancedb", "qdrant": "qdrant_client"}


@pytest.fixture(params=sorted(WRITTEN))
def page(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The text of a page with an address that exists here; blocks of one kind."""
    name = request.param
    pytest.importorskip(PACKAGES[name], reason=f"needs the {name} extra")
    address = "vectors" if name == "lancedb" else request.getfixturevalue("postgres" if name == "pgvector" else name)
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8").replace(WRITTEN[name], address)

    def blocks(kind: str) -> str:
        found = re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)
        assert len(found) == 1, f"{len(found)} blocks of {kind}"
        return str(found[0])

    return blocks


def test_commands(page: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "leave.md").write_text("# Leave\n\nStaff receive 27 days of annual leave.\n")
    toml = tmp_path / "groundtune.toml"
    toml.write_text('[models]\nbase = "fake:extract"\nreader = "fake:"\n')
    monkeypatch.chdir(tmp_path)
    groundtune = Cli(tmp_path)
    groundtune.run("ingest")
    install, *commands = page("sh").strip().splitlines()
    extra = re.fullmatch(r'pip install "groundtune\[(\w+)\]"', install)
    assert extra is not None
    extras = tomllib.loads((PAGES.parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extra.group(1) in extras
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "groundtune"
        said = groundtune.run(*arguments).stdout
        assert said
    assert "27 days" in said
    assert tomllib.loads(toml.read_text())["retrieval"] == tomllib.loads(page("toml"))["retrieval"]


def test_python(page: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(page("python").replace("path/to/kb", str(tmp_path / "kb")), {})  # noqa: S102
    first, second = capsys.readouterr().out.strip().splitlines()[:2]
    assert first in ("特別休假每年二十日。", "有給休暇は年二十日とする。") and "27 days" in second
