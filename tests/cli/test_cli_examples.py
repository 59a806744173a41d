"""``groundtune examples``, ``lint``, ``adapters`` and ``tune --hosted`` as a person calls them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

from groundtune.errors import TrainingError
from groundtune.project import Project
from groundtune.tuning import adapters as registry
from groundtune.types import Adapter

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "tuning"))
from job_server import KEY, JobServer  # noqa: E402 - beside the unit tests that it was written for

Make = Callable[..., Path]
WORDS = "apple brick cloud drum eagle flute grape hill iron jade kiwi lamp".split()


def chat(question: str, answer: str, **extra: object) -> dict[str, object]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **extra}


def rows() -> list[dict[str, object]]:
    return [chat(f"Sort {word}", f'{{"is": "{word}"}}') for word in WORDS]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_import_writes_the_examples_of_the_project(groundtune: Cli, make_project: Make) -> None:
    root = make_project()
    source = write(root / "faq.csv", "問題,答案\n幾點開門？,06:30\n幾點開門？,06:30\n沒有答案,\n")
    result = groundtune.run("examples", "import", source, "-C", root)
    assert result.exit_code == 0 and "1 examples from 3 rows (columns (2))" in result.stdout
    assert "line 3: repeats line 2" in result.stdout and "line 4: the answer is empty" in result.stdout
    (line,) = (root / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["messages"] == chat("幾點開門？", "06:30")["messages"]
    assert "--force" in groundtune.fails("examples", "import", source, "-C", root, code=2)
    table = groundtune.json("examples", "import", source, "--force", "-C", root)
    assert table["examples"] == 1 and [row["reason"] for row in table["dropped"]] == ["repeats", "empty_target"]
    for lang, said in (("zh-TW", "略過 2 列"), ("ja", "2 行を除きました")):
        assert said in groundtune.run("examples", "import", source, "--force", "-C", root, "--lang", lang).stdout


def test_import_without_a_project_and_with_bad_files(groundtune: Cli, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", json.dumps({"prompt": "a", "completion": "b"}))
    assert groundtune.run("examples", "import", source).exit_code == 0
    assert (tmp_path / "examples.jsonl").is_file()
    assert "nowhere.csv" in groundtune.fails("examples", "import", "nowhere.csv", "--force", code=2)
    named = groundtune.run("examples", "import", source, "--out", tmp_path / "named.jsonl").stdout
    assert f"groundtune lint {tmp_path / 'named.jsonl'}" in named
    odd = write(tmp_path / "odd.jsonl", '{"x": 1}')
    groundtune.fails("examples", "import", odd, "--out", tmp_path / "o.jsonl", code=2)
    assert not (tmp_path / "o.jsonl").exists()
    same = groundtune.fails("examples", "import", "examples.jsonl", "--out", "examples.jsonl", "--force", code=2)
    assert "would replace the file that is read" in same
    assert "Did you mean “import”" in groundtune.fails("examples", "imprt", code=2)


def test_stats_scan_split_and_leaks(groundtune: Cli, make_project: Make) -> None:
    private = chat("Mail jo@example.org", '{"is": "mail"}')
    root = make_project(examples=[*rows(), private])
    stats = groundtune.run("examples", "stats", "-C", root)
    assert "13" in stats.stdout and "a JSON object 13 (100%)" in stats.stdout and "e-mail address 1" in stats.stdout
    assert groundtune.json("examples", "stats", "-C", root)["turns"] == {"2": 13}
    found = groundtune.run("examples", "scan", "-C", root)
    assert found.exit_code == 1 and "line 13: e-mail address jo…" in found.stdout and "jo@" not in found.stdout
    redacted = groundtune.run("examples", "scan", "--redact", "-C", root)
    assert redacted.exit_code == 0 and "[EMAIL]" in (root / "examples.redacted.jsonl").read_text()
    assert "jo@example.org" in (root / "examples.jsonl").read_text()
    table = groundtune.json("examples", "split", "-C", root, "--held-out", "0.25")
    assert table["train_examples"] + table["held_out_examples"] == 13 and table["held_out_examples"] == 3
    clean = groundtune.run("examples", "leaks", table["train"], table["held_out"])
    assert clean.exit_code == 0
    leaking = groundtune.run("examples", "leaks", root / "examples.jsonl", table["held_out"])
    assert leaking.exit_code == 1 and "3 of 13" in leaking.stdout
    few = write(root / "few.jsonl", json.dumps(chat("a", "b")))
    assert "cannot be split" in groundtune.fails("examples", "split", few, code=2)


def test_lint_keeps_going_and_checks_another_file(groundtune: Cli, make_project: Make) -> None:
    root = make_project(examples=rows())
    other = write(root / "other.jsonl", "\n".join(["{", json.dumps(chat("q", "a")), '{"messages": []}']))
    result = groundtune.run("lint", other, "--keep-going", "-C", root)
    assert result.exit_code == 1 and "[schema]" in result.stdout and "line 3: “messages” is missing" in result.stdout
    table = groundtune.json("lint", other, "--keep-going", "-C", root)
    assert [(f["rule"], f["line"]) for f in table["findings"]][:2] == [("schema", 1), ("schema", 3)]
    assert all(f["sentence"] and f["fix"] and f["severity"] for f in table["findings"])
    groundtune.fails("lint", other, "-C", root, code=2)
    plain = groundtune.run("lint", "-C", root)
    assert plain.exit_code == 0 and "not checked: fake:extract" in plain.stderr


def test_lint_says_fit_only_where_it_was_looked_at(groundtune: Cli, make_project: Make) -> None:
    root = make_project(examples=[*rows(), chat("empty", " ")])
    for path in (root / "documents").iterdir():
        path.unlink()
    alone = groundtune.run("lint", make_none(root), "-C", root)
    assert alone.exit_code == 0 and "There are no documents here" in alone.stdout
    assert "readable document" not in alone.stderr
    said = groundtune.run("lint", "--keep-going", "-C", root).stdout
    assert "Not fit for training yet" in said and "Fit for" not in said
    few = write(root / "few.jsonl", json.dumps(chat("q", "a")))
    assert "Not fit for training yet" in groundtune.run("lint", few, "-C", root).stdout


def test_lint_probe_asks_the_model(groundtune: Cli, make_project: Make) -> None:
    known = [chat(f"Matter {n}?", f"It is {fact}.") for n, fact in enumerate(("27 days", "40 places", "06:30"))]
    root = make_project(examples=known)
    table = groundtune.json("lint", "--probe", "-C", root)
    assert set(table["levels"].values()) <= {"known", "maybe", "unknown"} and len(table["levels"]) == 3
    said = groundtune.run("lint", "--probe", "-C", root, "--lang", "ja").stdout
    assert "3 件の事実を尋ねた結果" in said
    none = make_none(root)
    assert "nothing to ask" in groundtune.run("lint", none, "--probe", "-C", root).stderr


def make_none(root: Path) -> Path:
    return write(root / "none.jsonl", "\n".join(json.dumps(row) for row in rows()))


@pytest.mark.tune
def test_lint_with_the_built_in_base(groundtune: Cli, make_project: Make) -> None:
    long = chat("Write", "word " * 1200)
    root = make_project(examples=[*rows(), chat("stop", "now<|end|>then"), long])
    table = groundtune.json("lint", "--base", "builtin:base", "-C", root)
    assert {(f["rule"], f["line"]) for f in table["findings"] if f["severity"] == "error"} == {
        ("special_in_text", 13), ("answer_cut", 14),
    }  # fmt: skip
    groundtune.fails("lint", "--base", "hf:/nowhere/at/all", "-C", root, code=1)


def finished(root: Path, name: str, loss: float) -> None:
    path = root / ".groundtune" / "adapters" / name
    path.mkdir(parents=True)
    (path / "adapter_config.json").write_text("{}")
    registry.write(path, Adapter(str(path), "builtin:base", "d", {"rows": 12, "data_digest": "x"}, 3.0, loss))
    registry.Adapters(path.parent).record(name, {"validation": 0.625})


def test_adapters_from_list_to_delete(groundtune: Cli, make_project: Make) -> None:
    root = make_project()
    finished(root, "finetune-1", 0.25)
    finished(root, "finetune-2", 0.5)
    assert re.search(
        r"finetune-1 +builtin:base +12 +0\.625 +0\.250", groundtune.run("adapters", "list", "-C", root).stdout
    )
    assert "is in service for finetune" in groundtune.run("adapters", "promote", "finetune-1", "-C", root).stdout
    assert (
        "finetune-1 を finetune で使用"
        in groundtune.run("adapters", "promote", "finetune-1", "-C", root, "--lang", "ja").stdout
    )
    groundtune.run("adapters", "promote", "finetune-2", "-C", root)
    assert groundtune.json("adapters", "-C", root)["in_service"] == {"finetune": "finetune-2"}
    assert "in service: finetune" in groundtune.run("adapters", "-C", root).stdout
    shown = groundtune.run("adapters", "show", "finetune-2", "-C", root)
    assert shown.exit_code == 0 and "settings.rows" in shown.stdout
    differences = groundtune.json("adapters", "diff", "finetune-1", "finetune-2", "-C", root)["differences"]
    assert differences == [{"what": "final_loss", "one": 0.25, "other": 0.5}]
    assert "--force" in groundtune.fails("adapters", "delete", "finetune-2", "-C", root, code=2)
    assert "finetune-1 is in service for finetune again" in groundtune.run("adapters", "rollback", "-C", root).stdout
    assert groundtune.run("adapters", "delete", "finetune-2", "-C", root).exit_code == 0
    (root / ".groundtune" / "adapters" / "finetune-1" / "adapter_config.json").unlink()
    assert "damaged: adapter_config.json" in groundtune.run("adapters", "-C", root).stdout
    assert groundtune.run("adapters", "show", "finetune-1", "-C", root).exit_code == 1
    assert "Did you mean “finetune-1”" in groundtune.fails("adapters", "show", "finetun-1", "-C", root, code=2)


def test_tune_at_a_service(groundtune: Cli, make_project: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_project(examples=rows(), toml="[compare]\nheld_out = 0.1\n")
    with JobServer(["completed"]) as server:
        monkeypatch.setenv("TOGETHER_BASE_URL", server.url)
        said = groundtune.fails("tune", "--hosted", "together:org/base", "-C", root, code=1)
        assert "TOGETHER_API_KEY" in said
        monkeypatch.setenv("TOGETHER_API_KEY", KEY)
        result = groundtune.run("tune", "--hosted", "together:org/base", "-C", root)
        assert result.exit_code == 0 and "groundtune adapters promote finetune-" in result.stdout
        table = groundtune.json("tune", "--hosted", "together:org/base", "-C", root)
    assert table["job"]["state"] == "done" and table["adapter"].startswith("finetune-") and len(server.jobs) == 1
    assert len(server.uploaded[0].splitlines()) == table["job"]["examples"] == 11
    everything = b"".join(path.read_bytes() for path in (root / ".groundtune").rglob("*") if path.is_file())
    assert KEY.encode() not in everything and KEY not in result.stdout + result.stderr
    assert "no running job" in groundtune.fails("tune", "--hosted", "together:org/base", "--cancel", "-C", root, code=2)


def test_tune_at_a_service_called_wrongly(groundtune: Cli, make_project: Make) -> None:
    root = make_project(examples=rows(), toml="[requirements]\ndata_must_stay_local = true\n")
    assert "must stay local" in groundtune.fails("tune", "--hosted", "together:m", "-C", root, code=2)
    assert "stands alone" in groundtune.fails("tune", "--cancel", "-C", root, code=2)
    root.joinpath("groundtune.toml").write_text((root / "groundtune.toml").read_text().replace("true", "false"))
    assert "together:MODEL" in groundtune.fails("tune", "--hosted", "nowhere:m", "-C", root, code=2)


def test_the_promoted_adapter_answers_without_training(groundtune: Cli, make_project: Make) -> None:
    root = make_project(examples=rows())
    toml = root / "groundtune.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace("fake:extract", "builtin:base"), encoding="utf-8")
    finished(root, "finetune-1", 0.25)
    groundtune.run("adapters", "promote", "finetune-1", "-C", root)
    project = Project.open(root)
    try:
        assert project.approach("finetune").adapter.path.endswith("finetune-1")  # type: ignore[attr-defined]
    finally:
        project.kb.close()
    toml.write_text(toml.read_text(encoding="utf-8").replace("builtin:base", "hf:other"), encoding="utf-8")
    with pytest.raises(TrainingError, match="was trained for builtin:base"):
        Project.open(root).approach("finetune")
