"""Moving a project's knowledge base to another store and back, from the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

from groundtune.cli.migrate import set_store

QUESTION = "days of paid annual leave"


def store_of(project: Path) -> str:
    return str(tomllib.loads((project / "groundtune.toml").read_text())["retrieval"]["store"])


def test_there_and_back(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    pytest.importorskip("lancedb", reason="needs the lancedb extra")
    root = make_project(toml="[retrieval]\nk = 5  # enough\n")
    groundtune.run("ingest", "-C", root)
    moved = groundtune.json("migrate", "--to", "lancedb:vectors#handbook", "-C", root)
    assert (moved["documents"], moved["sent"], moved["found"]) == (2, 2, moved["expected"])
    assert store_of(root) == "lancedb:vectors#handbook" and "k = 5  # enough" in (root / "groundtune.toml").read_text()
    assert (root / "vectors").is_dir(), "a folder is taken from the project folder"
    assert groundtune.json("search", QUESTION, "-C", root)["hits"][0]["document_id"] == "leave.md"
    (root / "documents" / "parking.md").write_text("# Parking\n\nThere are 41 places now.\n")
    assert groundtune.json("ingest", "-C", root)["updated"] == ["parking.md"]
    assert "41 places" in groundtune.json("search", "parking places", "-C", root)["hits"][0]["text"]
    assert groundtune.json("verify", "-C", root)["sound"] is True
    said = groundtune.run("migrate", "--to", "lancedb:vectors#handbook", "-C", root).stdout
    assert "0 documents sent" in said and "sampled passages are found" in said
    for lang, word in (("zh-TW", "知識庫改回"), ("ja", "検索に戻しました")):
        assert word in groundtune.run("migrate", "--to", "sqlite", "-C", root, "--lang", lang).stdout
    assert store_of(root) == ""
    assert groundtune.json("search", QUESTION, "-C", root)["hits"][0]["document_id"] == "leave.md"


def test_changing_the_line_is_enough(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    pytest.importorskip("lancedb", reason="needs the lancedb extra")
    root = make_project()
    groundtune.run("ingest", "-C", root)
    with (root / "groundtune.toml").open("a") as file:
        file.write('[retrieval]\nstore = "lancedb:"\n')
    assert groundtune.json("search", QUESTION, "-C", root)["hits"][0]["document_id"] == "leave.md"
    assert groundtune.json("verify", "-C", root)["sound"] is True


def test_mistakes(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project()
    groundtune.run("ingest", "-C", root)
    before = (root / "groundtune.toml").read_text()
    assert "--to" in groundtune.fails("migrate", "-C", root, code=2)
    assert "pgvector" in groundtune.fails("migrate", "--to", "pgvektor:x", "-C", root, code=2)
    assert "name of a store" in groundtune.fails("migrate", "--to", "lancedb:x#no way", "-C", root, code=2)
    assert (root / "groundtune.toml").read_text() == before
    assert groundtune.json("search", QUESTION, "-C", root)["hits"]


def test_no_password_is_written_or_shown(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    pytest.importorskip("psycopg", reason="needs the pgvector extra")
    root = make_project()
    groundtune.run("ingest", "-C", root)
    said = groundtune.fails("migrate", "--to", "pgvector:postgresql://me:hush@127.0.0.1:1/db", "-C", root, code=1)
    assert "me@127.0.0.1:1/db" in said and "hush" not in said


@pytest.mark.parametrize(
    "before",
    [
        '[project]\nname = "x"',
        '[retrieval]\nk = 3\n\n[tuning]\nrank = 4\n',
        '# first\n[ retrieval ] # where\nstore = "old"  # was\nk = 3\n[models]\nbase = "fake:"\n',
        '[models]\nbase = "fake:store = 1"\n[retrieval]\n',
    ],
)  # fmt: skip
def test_only_the_line_changes(tmp_path: Path, before: str) -> None:
    path = tmp_path / "groundtune.toml"
    path.write_text(before)
    expected = tomllib.loads(before)
    for store in ('qdrant:http://host:6333#"名"', "", "lancedb:"):
        set_store(path, store)
        expected.setdefault("retrieval", {})["store"] = store
        assert tomllib.loads(path.read_text()) == expected
    assert ("# first" in path.read_text()) == ("# first" in before)
