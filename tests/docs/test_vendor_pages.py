"""The pages about hosted stores are executed against the servers that stand in for them."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Cli

PAGES = Path(__file__).parents[2] / "docs" / "integrations"
PACKAGES = {"pinecone": "pinecone", "weaviate": "weaviate"}


@pytest.fixture(params=sorted(PACKAGES))
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """The text of a page, with an address that exists here; blocks of one kind."""
    name = request.param
    pytest.importorskip(PACKAGES[name], reason=f"needs the {name} extra")
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")

    def blocks(kind: str) -> str:
        found = re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)
        assert len(found) == 1, f"{len(found)} blocks of {kind}"
        return str(found[0])

    if name == "pinecone":
        from vendor_servers.pinecone_server import KEY, PineconeServer

        with PineconeServer(lag=0.02) as pinecone:
            monkeypatch.setenv("PINECONE_API_KEY", KEY)
            monkeypatch.setenv("PINECONE_CONTROLLER_HOST", pinecone.url)
            yield blocks
    else:
        from vendor_servers.weaviate_server import KEY, WeaviateServer

        with WeaviateServer(key=KEY) as weaviate:
            monkeypatch.setenv("WEAVIATE_API_KEY", KEY)
            text = text.replace("http://localhost:8080", weaviate.address)
            yield blocks


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
    said = ""
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "groundtune"
        said = groundtune.run(*arguments).stdout
        assert said
    assert "27 days" in said
    assert tomllib.loads(toml.read_text())["retrieval"] == tomllib.loads(page("toml"))["retrieval"]
    _no_key_on_disk(tmp_path)


def test_python(page: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(page("python").replace("path/to/kb", str(tmp_path / "kb")), {})  # noqa: S102
    first, second = capsys.readouterr().out.strip().splitlines()[:2]
    assert first == "特別休假每年二十日。" and "27 days" in second
    _no_key_on_disk(tmp_path)


def _no_key_on_disk(folder: Path) -> None:
    from vendor_servers import pinecone_server

    keys = [pinecone_server.KEY.encode(), b"weaviate-test-key-0123456789"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        data = path.read_bytes()
        assert not any(key in data for key in keys), f"a key stands in {path}"
