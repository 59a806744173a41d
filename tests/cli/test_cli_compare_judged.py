"""``compare`` that stops when it is decided, asks in parallel, lets a model judge, and says what more questions bring."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

COUNT = 60


@pytest.fixture
def project(make_project: Callable[..., Path]) -> Path:
    """Sixty documents with one question each; ``fake:extract`` can only quote what it is shown."""
    rows = []
    root = make_project([])
    for number in range(COUNT):
        quote = f"Locker {number}x belongs to shelf {number + 100}."
        (root / "documents" / f"locker{number}.md").write_text(f"# Locker {number}x\n\n{quote}\n", encoding="utf-8")
        row = {"question": f"Which shelf does locker {number}x belong to?", "answers": [f"shelf {number + 100}"]}
        rows.append({**row, "evidence": {"document": f"locker{number}.md", "quote": quote}})
    (root / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return root


NAMES = ("--approach", "prompt", "--approach", "rag", "--model", "fake:extract")


def test_it_stops_when_it_is_decided(groundtune: Cli, project: Path) -> None:
    said = groundtune.run("compare", "-C", project, *NAMES, "--until-decided", "--workers", "4")
    assert said.exit_code == 0, said.stderr
    assert "Decided after" in said.stdout and "answers were not needed" in said.stdout
    report = groundtune.json("compare", "-C", project, *NAMES, "--until-decided")["report"]
    stop = report["stopping"]
    assert stop["decided"] and stop["leader"] == "rag" and stop["asked"] < COUNT == stop["total"]
    assert report["more"]["leader"] == "rag" and report["more"]["items"] == 50
    decided = groundtune.json("decide", "-C", project)
    assert decided["winner"] == "rag"
    for lang, word in (("zh-TW", "分出高下"), ("ja", "決着")):
        assert word in groundtune.run("compare", "-C", project, *NAMES, "--until-decided", "--lang", lang).stdout
    whole = groundtune.json("compare", "-C", project, *NAMES)["report"]
    assert whole["stopping"] is None and len(whole["approaches"][1]["items"]) == COUNT


def test_a_model_judges_and_a_sheet_is_written(groundtune: Cli, project: Path) -> None:
    sheet = project / "labels.jsonl"
    judge = ("--judge", 'fake:fixed={"right": true, "better": "1"}', "--judge-labels", sheet)
    said = groundtune.run("compare", "-C", project, *NAMES, "--max-questions", "5", *judge)
    assert said.exit_code == 0, said.stderr
    assert "Judged measures decide nothing" in said.stdout and str(sheet) in said.stderr and sheet.is_file()
    rows = [json.loads(line) for line in sheet.read_text(encoding="utf-8").splitlines()]
    sheet.write_text("".join(json.dumps({**row, "right": True}) + "\n" for row in rows), encoding="utf-8")
    for lang, word in (("en", "kappa"), ("zh-TW", "人工標註"), ("ja", "カッパ")):
        assert word in groundtune.run("compare", "-C", project, *NAMES, "--max-questions", "5", *judge, "--lang", lang).stdout  # fmt: skip
    found = groundtune.json("compare", "-C", project, *NAMES, "--max-questions", "5", *judge)["report"]["judge"]
    assert found["agreement"]["raw"] == 1.0 and found["agreement"]["kappa"] == 0.0 and not found["trusted"]
    assert found["duels"][0]["flips"] > 0 == found["duels"][0]["wins"]


def test_mistakes_are_sentences(groundtune: Cli, project: Path) -> None:
    assert "--judge" in groundtune.fails("compare", "-C", project, "--judge-labels", "x.jsonl", code=2)
    assert "0" in groundtune.fails("compare", "-C", project, "--seeds", "0", code=2)
    assert "nobody" in groundtune.fails("compare", "-C", project, "--judge", "nobody:x", code=2)
    (project / "groundtune.toml").write_text('[format]\nrules = ["polite: yes"]\n', encoding="utf-8")
    assert "polite: yes" in groundtune.fails("compare", "-C", project, *NAMES, code=2)
