"""The verbs on a small project with fake models, from ingest to verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

LEAVE = "Full-time staff receive 27 days of paid annual leave a year."
QUESTIONS = [
    {"question": "How many days of annual leave do full-time staff receive?", "answers": ["27 days"],
     "evidence": {"document": "leave.md", "quote": LEAVE}},
    {"question": "When does the car park open?", "answers": ["06:30"],
     "evidence": {"document": "parking.md", "quote": "opens at 06:30"}},
    {"question": "Who won the raffle?", "answers": [], "answerable": False},
]  # fmt: skip


def example(number: int) -> dict[str, Any]:
    turns = [
        {"role": "user", "content": f"Question number {number}?"},
        {"role": "assistant", "content": f"Answer {number}."},
    ]
    return {"messages": turns}


@pytest.fixture
def project(make_project: Callable[..., Path]) -> Path:
    return make_project(QUESTIONS, [example(n) for n in range(12)])


def test_ingest_follows_every_change(groundtune: Cli, project: Path) -> None:
    first = groundtune.json("ingest", "-C", project)
    assert first["added"] == ["leave.md", "parking.md"] and first["changed"] == 2
    (project / "documents" / "leave.md").write_text("# Leave policy\n\nNow it is 30 days.\n", encoding="utf-8")
    (project / "documents" / "parking.md").unlink()
    (project / "documents" / "新文件.md").write_text("# 規則\n\n病假須附證明。\n", encoding="utf-8")
    said = groundtune.run("ingest", "-C", project).stdout
    assert said.startswith("1 added, 1 updated, 0 renamed, 1 deleted, 0 unchanged, 0 failed") and "新文件.md" in said
    assert "30 days" in groundtune.run("ask", "How many days?", "-C", project).stdout


def test_ask_shows_the_quote_and_where_it_stands(groundtune: Cli, project: Path) -> None:
    groundtune.run("ingest", "-C", project)
    found = groundtune.json("ask", "How many days of annual leave do staff receive?", "-C", project)
    (cited, *_) = found["citations"]
    text = (project / "documents" / "leave.md").read_text(encoding="utf-8")
    assert "27 days" in found["answer"] and text[cited["start"] : cited["end"]] == cited["quote"]
    said = groundtune.run("ask", "How many days of annual leave do staff receive?", "-C", project).stdout
    for part in ("Leave policy | § 1 Annual leave", "leave.md", LEAVE):
        assert part in said


def test_ask_with_a_model_and_search(groundtune: Cli, project: Path) -> None:
    groundtune.run("ingest", "-C", project)
    found = groundtune.json("ask", "When does the car park open?", "--model", "fake:extract", "--k", "1", "-C", project)
    assert "06:30" in found["answer"] and found["model"] == "fake:extract"
    hits = groundtune.json("search", "car park", "--k", "1", "-C", project)["hits"]
    assert [hit["document_id"] for hit in hits] == ["parking.md"]
    assert "06:30" in groundtune.run("search", "car park opens", "-C", project).stdout
    assert "Nothing in" in groundtune.run("search", "zebra", "-C", project).stdout


def test_asking_before_ingesting(groundtune: Cli, project: Path) -> None:
    for args in (("ask", "q"), ("search", "q"), ("serve",)):
        assert "Run “groundtune ingest” first" in groundtune.fails(*args, "-C", project, code=2)
    assert "question is empty" in groundtune.fails("ask", " ", "-C", project, code=2)


def test_lint(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    facts = ("27 days", "40 places", "06:30") * 3
    known = [
        {"messages": [{"role": "user", "content": f"Matter {n}?"}, {"role": "assistant", "content": f"It is {fact}."}]}
        for n, fact in enumerate(facts)
    ]
    root = make_project(QUESTIONS, [*known, example(1)])
    table = groundtune.json("lint", "-C", root)
    assert table["advice"] == "retrieval" and table["knowledge_share"] == 0.9
    result = groundtune.run("lint", "-C", root, "--lang", "zh-TW")
    assert (
        "leave.md" in result.stdout
        and "處理方式" in result.stdout
        and result.exit_code == (1 if table["errors"] else 0)
    )


def test_lint_without_documents(groundtune: Cli, project: Path) -> None:
    for path in (project / "documents").iterdir():
        path.unlink()
    result = groundtune.run("lint", "-C", project)
    assert result.stdout.startswith("12 examples") and result.stderr


def test_compare_decide_status(groundtune: Cli, project: Path) -> None:
    result = groundtune.run("compare", "-C", project, "--approach", "prompt", "--approach", "rag", "--lang", "ja")
    assert result.exit_code == 0 and "プロンプト" in result.stdout and "report.html" in result.stderr
    runs = project / ".groundtune" / "runs"
    folder = runs / (runs / "latest").read_text().strip()
    assert {path.name for path in folder.iterdir()} == {"report.json", "report.html", "report.md"}
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert [a["name"] for a in report["approaches"]] == ["prompt", "rag"] and report["settings"]["corpus_tokens"] > 0

    again = groundtune.json("compare", "-C", project, "--max-questions", "2")
    assert again["report"]["questions"] == 2 and Path(again["html"]).is_file()
    assert again["path"] != str(folder / "report.json")
    verdict = groundtune.json("decide", "-C", project)
    assert verdict["level"] in ("firm", "provisional", "inconclusive") and verdict["headline"]["text"]
    stored = json.loads((Path(again["path"]).parent / "verdict.json").read_text(encoding="utf-8"))
    assert stored["winner"] == verdict["winner"]
    older = groundtune.run("decide", "-C", project, "--report", folder / "report.json")
    assert older.exit_code == 0 and (folder / "verdict.json").is_file()
    status = groundtune.json("status", "-C", project)
    assert status["documents"] == 2 and status["status"]["changed"] == []
    assert "Tokens and success rates are from" in groundtune.run("cost", "-C", project).stderr


def test_status_before_anything(groundtune: Cli, project: Path) -> None:
    said = groundtune.run("status", "-C", project).stdout
    assert "Nothing was ingested" in said and "groundtune compare" in said


def test_decide_needs_a_report(groundtune: Cli, project: Path) -> None:
    assert "There is no comparison yet" in groundtune.fails("decide", "-C", project, code=2)
    assert "does not exist" in groundtune.fails("decide", "-C", project, "--report", "nowhere.json", code=2)
    (project / "odd.json").write_text('{"schema_version": 99}')
    assert "not a report" in groundtune.fails("decide", "-C", project, "--report", project / "odd.json", code=2)


def test_verify_finds_and_repairs(groundtune: Cli, project: Path) -> None:
    groundtune.run("ingest", "-C", project)
    assert groundtune.json("verify", "-C", project)["sound"]
    import apsw

    (path,) = (project / ".groundtune" / "kb").glob("*.db")
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE chunks SET text = text || 'x' WHERE rowid = 1")
    connection.close()
    result = groundtune.run("verify", "-C", project)
    assert result.exit_code == 1 and "leave.md" in result.stdout and "--repair" in result.stderr
    assert groundtune.run("verify", "--repair", "-C", project).exit_code == 0
    assert groundtune.run("verify", "-C", project).exit_code == 0


def test_adapters(groundtune: Cli, project: Path) -> None:
    assert "No adapter" in groundtune.run("adapters", "-C", project).stdout
    assert groundtune.json("adapters", "-C", project) == {"adapters": {}}
    assert "nothing" in groundtune.fails("adapters", "--delete", "nothing", "-C", project, code=2)


def test_models_lists_built_ins_and_no_key(groundtune: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    result = groundtune.run("models")
    assert "builtin:base" in result.stdout and "sk-secret" not in result.stdout
    assert {model["kind"] for model in groundtune.json("models")["models"]} >= {"model", "reader"}


def test_cost_alone_and_with_flags(groundtune: Cli) -> None:
    few = groundtune.json("cost", "--queries-per-month", "100")
    many = groundtune.json("cost", "--queries-per-month", "1000000", "--horizon-months", "24")
    assert (few["inputs"]["queries_per_month"], many["inputs"]["horizon_months"]) == (100, 24)
    total = {
        name: {a["name"]: a["total"] for a in table["approaches"]} for name, table in (("few", few), ("many", many))
    }
    assert total["few"]["rag"] < total["many"]["rag"]
    assert "hosting" in groundtune.fails("cost", "--hosting", "moon", code=2)


def test_advise_by_flags_toml_and_questions(groundtune: Cli, project: Path) -> None:
    flags = (
        "--knowledge-location",
        "none",
        "--fixed-format-or-tone",
        "--task-regularity",
        "fixed",
        "--examples-count",
        "500",
    )
    assert groundtune.json("advise", *flags)["first"] == "few-shot"
    assert groundtune.json("advise", "-C", project)["interview"]["examples_count"] == 12
    asked = groundtune.run("advise", "--ask", "--lang", "ja", input="9\n5\nはい\n\n\n\n\n\n\n\n\n")
    assert asked.exit_code == 0 and "次のいずれかで答えてください" in asked.stderr and "RAG" in asked.stdout
    assert "Answer with flags" in groundtune.run("advise").stderr
    assert "Answer with flags" in groundtune.fails("advise", "--ask", code=2)


def test_serve_needs_a_token_beyond_this_computer(groundtune: Cli, project: Path) -> None:
    assert "GROUNDTUNE_TOKEN" in groundtune.fails("serve", "--host", "0.0.0.0", "-C", project, code=2)
