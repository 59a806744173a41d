"""The pages about stores are executed: their commands on a small project, their Python in an empty folder. Hosted stores
are the servers that stand in for them.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import Cli
from store_servers import postgres, qdrant  # noqa: F401 - fixtures

PAGES = Path(__file__).parents[2] / "docs" / "integrations"
# The package of each, and the address that its page writes.
STORES = {
    "pgvector": ("psycopg", "postgresql://localhost/handbook"),
    "lancedb": ("lancedb", "vectors"),
    "qdrant": ("qdrant_client", "http://localhost:6333"),
    "weaviate": ("weaviate", "http://localhost:8080"),
    "pinecone": ("pinecone", ""),
}
Read = Callable[[str], list[str]]


@contextlib.contextmanager
def hosted(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Address and key of a server that stands in for a hosted store."""
    if name == "pinecone":
        from vendor_servers.pinecone_server import KEY, PineconeServer

        with PineconeServer(lag=0.02) as pinecone:
            monkeypatch.setenv("PINECONE_API_KEY", KEY)
            monkeypatch.setenv("PINECONE_CONTROLLER_HOST", pinecone.url)
            yield "", KEY
    else:
        from vendor_servers.weaviate_server import KEY, WeaviateServer

        with WeaviateServer(key=KEY) as weaviate:
            monkeypatch.setenv("WEAVIATE_API_KEY", KEY)
            yield weaviate.address, KEY


@pytest.fixture
def key() -> list[str]:
    """The keys that were given and must stand in no file."""
    return []


@pytest.fixture
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, key: list[str]) -> Iterator[Read]:
    """Blocks of one kind of the store's page, or of another one, with an address that exists here."""
    name = request.getfixturevalue("name")
    package, written = STORES[name]
    pytest.importorskip(package, reason=f"needs the {name} extra")
    with contextlib.ExitStack() as stack:
        if name in ("pinecone", "weaviate"):
            address, secret = stack.enter_context(hosted(name, monkeypatch))
            key.append(secret)
        else:
            address = (
                written if name == "lancedb" else request.getfixturevalue({"pgvector": "postgres"}.get(name, name))
            )

        def blocks(kind: str, file: str = name) -> list[str]:
            text = (PAGES / f"{file}.md").read_text(encoding="utf-8")
            # the server of all tests holds the knowledge base of the other page already
            here = f"{address}#switched" if name == "pgvector" and file != name else address
            text = text.replace(written, here) if written else text
            return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)

        yield blocks


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one document, ingested into its own folder."""
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "leave.md").write_text("# Leave\n\nStaff receive 27 days of annual leave.\n")
    (tmp_path / "groundtune.toml").write_text('[models]\nbase = "fake:extract"\nreader = "fake:"\n')
    monkeypatch.chdir(tmp_path)
    Cli(tmp_path).run("ingest")
    return tmp_path


def run(project: Path, commands: list[str]) -> str:
    said = ""
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "groundtune"
        result = Cli(project).run(*arguments)
        assert result.exit_code == 0, result.stderr
        said = result.stdout
        assert said
    return said


def no_key_on_disk(folder: Path, keys: list[str]) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        data = path.read_bytes()
        assert not any(one.encode() in data for one in keys), f"a key stands in {path}"


@pytest.mark.parametrize("name", STORES)
def test_commands(name: str, page: Read, project: Path, key: list[str]) -> None:
    (commands,), (settings,) = page("sh"), page("toml")
    install, *rest = commands.strip().splitlines()
    extra = re.fullmatch(r'pip install "groundtune\[(\w+)\]"', install)
    assert extra is not None
    extras = tomllib.loads((PAGES.parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extra.group(1) in extras
    assert "27 days" in run(project, rest)
    written = tomllib.loads((project / "groundtune.toml").read_text())
    assert written["retrieval"] == tomllib.loads(settings)["retrieval"]
    no_key_on_disk(project, key)


@pytest.mark.parametrize("name", STORES)
def test_python(name: str, page: Read, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: list[str]) -> None:
    (code,) = page("python")
    exec(code.replace("path/to/kb", str(tmp_path / "kb")), {})  # noqa: S102
    first, second = capsys.readouterr().out.strip().splitlines()[:2]
    assert first in ("特別休假每年二十日。", "有給休暇は年二十日とする。") and "27 days" in second
    no_key_on_disk(tmp_path, key)


@pytest.mark.parametrize("name", ["pgvector", "weaviate", "pinecone"])
def test_two_lines_are_the_whole_change(name: str, page: Read, project: Path, key: list[str]) -> None:
    change = next(block for block in page("toml", "README") if f'"{name}:' in block)
    assert len(change.strip().splitlines()) == 2
    with (project / "groundtune.toml").open("a") as file:
        file.write(change)
    (commands,) = page("sh", "README")
    assert "27 days" in run(project, commands.strip().splitlines())
    no_key_on_disk(project, key)


def test_the_index_names_every_page() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in PAGES.glob("*.md")} - {"README.md"}
    named = {name for name in re.findall(r"\]\(([^)]+\.md)\)", index) if "/" not in name}
    assert named == pages
    for name in re.findall(r"\]\((\.\./[^)]+\.md)\)", index):
        assert (PAGES / name).is_file(), name
