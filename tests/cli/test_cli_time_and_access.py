"""Looking back, comparing versions, access labels, the answer threshold and attacks, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

OLD, NEW = "Staff receive 25 days of paid annual leave.", "Staff receive 27 days of paid annual leave."
QUESTION = "How many days of paid annual leave do staff receive?"
SECRET = "osmium"


@pytest.fixture
def project(groundtune: Cli, make_project: Callable[..., Path]) -> Path:
    """Two versions of leave.md (in force from 2023 and from 2025) and a document for hr alone."""
    root = make_project(toml='[access]\nfolders = ["documents/hr = HR"]\n')
    leave = root / "documents" / "leave.md"
    (root / "documents" / "hr").mkdir()
    (root / "documents" / "hr" / "pay.md").write_text(f"# Pay\n\nThe salary code of the director is {SECRET}.\n")
    for since, text in (("2023-01-01", OLD), ("2025-06-01", NEW)):
        leave.write_text(f"---\nvalid_from: {since}\n---\n# Leave policy\n\n### § 1\n\n{text}\n")
        groundtune.run("ingest", "-C", root)
    return root


def test_ask_and_search_as_of_a_date(groundtune: Cli, project: Path) -> None:
    assert groundtune.json("ask", QUESTION, "-C", project)["answer"] == NEW
    past = groundtune.json("ask", QUESTION, "--as-of", "2024-01-01", "-C", project)
    assert past["answer"] == OLD and past["stale"] is True and past["as_of"] == "2024-01-01"
    (citation,) = past["citations"]
    assert citation["superseded"] == "2025-06-01" and citation["sentence"] == {"start": 0, "end": len(OLD)}
    said = groundtune.run("ask", QUESTION, "--as-of", "2024", "-C", project).stdout
    assert OLD in said and "2025-06-01" in said and citation["newer"][:12] in said
    hits = groundtune.json("search", "annual leave", "--as-of", "2024-01-01", "-C", project)["hits"]
    assert any(OLD in hit["text"] for hit in hits) and not any(NEW in hit["text"] for hit in hits)
    for lang, word in (("zh-TW", "不是日期"), ("ja", "日付")):
        assert word in groundtune.fails("ask", QUESTION, "--as-of", "soon", "-C", project, "--lang", lang, code=2)


def test_history_and_diff(groundtune: Cli, project: Path) -> None:
    life = groundtune.json("history", "leave", "-C", project)
    assert [(v["since"], v["until"], v["current"]) for v in life["versions"]] == [
        ("2023-01-01", "2025-06-01", False), ("2025-06-01", "", True),
    ]  # fmt: skip
    assert "2023-01-01" in groundtune.run("history", "leave.md", "-C", project).stdout
    said = groundtune.run("diff", "leave.md", "-C", project).stdout
    assert "[-25 -]{+27 +}days" in said and "@@ § 1 @@" in said
    found = groundtune.json("diff", "leave.md", "2024-01-01", "2", "-C", project)
    assert [c["kind"] for c in found["changes"]] == ["changed", "changed"] and found["new"]["number"] == 2
    assert "nothing.md" in groundtune.fails("history", "nothing.md", "-C", project, code=2)
    assert "leave.md" in groundtune.fails("diff", "leave.md", "9", "-C", project, code=2)


def test_compact(groundtune: Cli, project: Path) -> None:
    assert "--keep" in groundtune.fails("compact", "-C", project, code=2)
    assert len(groundtune.json("compact", "--keep", "1", "--dry-run", "-C", project)["dropped"]) == 1
    assert "leave.md #1" in groundtune.run("compact", "--keep", "1", "-C", project).stdout
    assert groundtune.json("compact", "--before", "2100-01-01", "-C", project)["dropped"] == []
    assert len(groundtune.json("history", "leave.md", "-C", project)["versions"]) == 1
    assert groundtune.json("ask", QUESTION, "-C", project)["answer"] == NEW
    assert groundtune.run("verify", "-C", project).exit_code == 0


LOOKS = (
    ("ask", "What is the salary code of the director?"), ("search", "salary code director"), ("search", "director", "--as-of", "2100"),
    ("ask", "What is the salary code of the director?", "--as-of", "2100"), ("history", "hr/pay.md"), ("diff", "pay.md"),
    ("ask", "What is the salary code of the director?", "--model", "fake:echo"),
)  # fmt: skip


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: " ".join(look[::2]))
def test_a_reader_without_the_label_sees_nothing(groundtune: Cli, project: Path, look: tuple[str, ...]) -> None:
    for extra in ((), ("--json",)):
        for labels in ("", "sales"):
            result = groundtune.run(*look, "--as", labels, "-C", project, *extra)
            said = result.stdout + result.stderr
            assert SECRET not in said and "Pay" not in said and "Traceback" not in said
        allowed = groundtune.run(*look, "--as", "Ｈr", "-C", project, *extra)
        assert allowed.exit_code == 0 and (SECRET in allowed.stdout or look[0] in ("history", "diff"))


def test_a_rule_that_covers_nothing_is_told(groundtune: Cli, project: Path) -> None:
    toml = project / "groundtune.toml"
    toml.write_text(toml.read_text().replace("documents/hr", "documents/human"))
    assert "“human”" in groundtune.run("search", "director", "--as", "sales", "-C", project).stderr
    toml.write_text(toml.read_text().replace("documents/human = HR", "documents/human"))
    assert "[access]" in groundtune.fails("search", "director", "-C", project, code=2)


def test_written_sentences_without_support(groundtune: Cli, project: Path) -> None:
    model = f"fake:fixed={NEW} [1] Bananas are free on Mondays."
    flagged = groundtune.json("ask", QUESTION, "--model", model, "-C", project)
    assert [row["text"] for row in flagged["unsupported"]] == ["Bananas are free on Mondays."]
    assert (
        "Bananas" in groundtune.run("ask", QUESTION, "--model", model, "-C", project).stdout.split("Not supported")[1]
    )
    toml = project / "groundtune.toml"
    toml.write_text(toml.read_text() + '[answers]\nunsupported = "remove"\n')
    assert groundtune.json("ask", QUESTION, "--model", model, "-C", project)["answer"] == f"{NEW} [1]"
    toml.write_text(toml.read_text().replace('"remove"', '"burn"'))
    assert "burn" in groundtune.fails("ask", QUESTION, "-C", project, code=2)


def questions() -> list[dict[str, object]]:
    yes = [{"question": f"How many places has car park {n}?", "answers": ["40 places"]} for n in range(6)]
    no = [{"question": f"Who likes zebra {n}?", "answers": [], "answerable": False} for n in range(6)]
    return yes + no


def test_calibrate(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project(questions())
    groundtune.run("ingest", "-C", root)
    found = groundtune.json("calibrate", "--dry-run", "-C", root)
    assert found["kept"] is False and found["few_questions"] and found["fitted"]["false_answers"]["n"] == 6
    result = groundtune.run("calibrate", "--max-false-answers", "0.1", "-C", root)
    assert result.exit_code == 0 and "6" in result.stderr and "%" in result.stdout
    (root / "questions.jsonl").write_text(json.dumps(questions()[0]) + "\n")
    assert "answerable" in groundtune.fails("calibrate", "-C", root, code=2)
    (root / "questions.jsonl").unlink()
    assert "questions.jsonl" in groundtune.fails("calibrate", "-C", root, code=2)


def test_redteam_needs_no_project(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project()
    found = groundtune.json("redteam", "--model", "fake:fixed=MARMALADE", "-C", root)
    assert found["succeeded"]["count"] == 1 and found["succeeded"]["n"] == len(found["trials"])
    result = groundtune.run("redteam", "--model", "fake:fixed=MARMALADE", "--fail", "-C", root)
    assert result.exit_code == 1 and "override-en: MARMALADE" in result.stdout
