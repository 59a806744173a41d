"""Everything that can be wrong with the input: one sentence, exit code 1 or 2, nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

GOOD = {
    "question": "When does the car park open?", "answers": ["06:30"],
    "evidence": {"document": "parking.md", "quote": "opens at 06:30"},
}  # fmt: skip


def runs(root: Path) -> list[str]:
    """Runs on disk; the cache of answers is allowed."""
    return sorted(path.name for path in (root / ".groundtune" / "runs").glob("*") if not path.name.startswith("cache"))


def chat(number: int) -> dict[str, Any]:
    turns = [{"role": "user", "content": f"Matter {number}?"}, {"role": "assistant", "content": f"It is {number}."}]
    return {"messages": turns}


def test_missing_documents(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project([GOOD])
    assert "nowhere.md" in groundtune.fails("ingest", "nowhere.md", "-C", root, code=2)
    assert groundtune.json("status", "-C", root)["documents"] == 0


def test_missing_data(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project()
    said = groundtune.fails("compare", "-C", root, code=2)
    assert "questions.jsonl" in said and "examples.jsonl" in said
    assert "examples.jsonl" in groundtune.fails("lint", "-C", root, code=2)
    assert runs(root) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"question": "q", "answers": ["a"]', "line 2"),
        ('["not an object"]', "line 2"),
        ('{"answers": ["a"]}', "line 2"),
        ('{"question": "q", "answers": []}', "line 2"),
    ],
)
def test_broken_question_lines_have_a_number(
    groundtune: Cli, make_project: Callable[..., Path], line: str, said: str
) -> None:
    root = make_project([GOOD, line, GOOD | {"id": "third"}])
    assert said in groundtune.fails("compare", "-C", root, code=2)
    assert runs(root) == []


def test_broken_example_lines_have_a_number(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project([GOOD], [chat(1), '{"messages": [{"role": "user", "content": "q"}]}', "{"])
    said = groundtune.fails("lint", "-C", root, code=2)
    assert "line 2" in said and "line 3" in said
    for lang, word in (("zh-TW", "第 2 行"), ("ja", "2 行目")):
        assert word in groundtune.fails("lint", "-C", root, "--lang", lang, code=2)


def test_evidence_that_is_in_no_document(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    wrong = GOOD | {"id": "w", "evidence": {"document": "parking.md", "quote": "opens at noon"}}
    root = make_project([GOOD, wrong, GOOD | {"id": "x", "evidence": {"document": "lost.md", "quote": "opens"}}])
    said = groundtune.fails("compare", "-C", root, code=2)
    assert "line 2" in said and "opens at noon" in said and "lost.md" in said
    assert runs(root) == []


def test_unreadable_files_are_named_and_the_rest_is_kept(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project()
    (root / "documents" / "bad.pdf").write_bytes(b"%PDF-1.7 not really")
    (root / "documents" / "odd.txt").write_bytes(b"\xff\xfe\xfa\x00\xd8" * 3)
    result = groundtune.run("ingest", "-C", root)
    assert result.exit_code == 1 and "bad.pdf: " in result.stdout and "2 added" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    found = groundtune.json("ingest", "-C", root)
    assert "bad.pdf" in found["failed"] and set(found["unchanged"]) == {"leave.md", "parking.md"}
    assert groundtune.run("verify", "-C", root).exit_code == 0


def test_empty_corpus(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project([GOOD])
    for path in (root / "documents").iterdir():
        path.unlink()
    said = groundtune.fails("ingest", "-C", root, code=2)
    assert "documents" in said
    groundtune.fails("compare", "-C", root, code=2)
    assert runs(root) == []


def test_too_few_examples(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project([GOOD], [chat(n) for n in range(5)])
    (root / "groundtune.toml").write_text(
        (root / "groundtune.toml").read_text(encoding="utf-8").replace("fake:extract", "builtin:base"), encoding="utf-8"
    )
    said = groundtune.fails("tune", "-C", root, code=2)
    assert "10" in said
    assert not (root / ".groundtune" / "adapters").exists()
    groundtune.fails("tune", "--with-context", "-C", root, code=2)


def test_a_base_that_cannot_be_trained(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project([GOOD], [chat(n) for n in range(20)])
    assert "fake:extract" in groundtune.fails("tune", "-C", root, code=1)


@pytest.mark.parametrize("verb", ["compare", "ask"])
def test_a_model_that_cannot_be_reached(
    groundtune: Cli, make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    root = make_project([GOOD])
    groundtune.run("ingest", "-C", root)
    args = ("ask", "When does the car park open?") if verb == "ask" else ("compare", "--approach", "prompt")
    result = groundtune.run(*args, "--model", "ollama:none", "-C", root, "--json")
    error = json.loads(result.stdout)["error"]
    assert result.exit_code == 1 and error["kind"] == "model_unreachable" and "127.0.0.1:9" in error["message"]
    assert runs(root) == []


@pytest.mark.parametrize("model", ["fake:extrct", "opnai:gpt", "nothing"])
def test_unknown_models(groundtune: Cli, make_project: Callable[..., Path], model: str) -> None:
    root = make_project([GOOD])
    groundtune.run("ingest", "-C", root)
    error = groundtune.json("ask", "q", "--model", model, "-C", root)["error"]
    assert error["kind"] == "spec" and groundtune.run("ask", "q", "--model", model, "-C", root).exit_code == 2


def test_unknown_approach(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project([GOOD])
    assert "rag" in groundtune.fails("compare", "--approach", "ragg", "-C", root, code=2)
    assert runs(root) == []


def test_a_schema_that_is_missing_or_wrong(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project([GOOD], toml='[format]\nschema = "schema.json"\nanswer_field = "answer"\n')
    assert "schema.json" in groundtune.fails("compare", "-C", root, code=2)
    (root / "schema.json").write_text('{"type": "object", "properties": {"reply": {}}}', encoding="utf-8")
    assert "answer" in groundtune.fails("compare", "-C", root, code=2)
    assert runs(root) == []


def test_a_damaged_knowledge_base(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project([GOOD])
    groundtune.run("ingest", "-C", root)
    for path in (root / ".groundtune" / "kb").iterdir():
        path.write_bytes(b"not a database" * 100)
    error = groundtune.json("ask", "q", "-C", root)["error"]
    assert error["kind"] == "store" and groundtune.run("ask", "q", "-C", root).exit_code == 1
