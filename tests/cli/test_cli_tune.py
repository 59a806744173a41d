"""``groundtune tune`` on a tiny model: look first, train, try shares and sizes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "tuning"))

pytestmark = pytest.mark.tune
Make = Callable[..., Path]
TOML = (
    "[tuning]\nepochs = 1\nrank = 4\ndistractors = 1\n[compare]\nmax_answer_tokens = 6\n"
    '[retrieval]\nk = 2\ncontext_sentences = 1\n[format]\ninstruction = "sort"\n'
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("torch")
    from tiny_llama import make_base

    return f"hf:{make_base(tmp_path_factory.mktemp('base'))}"


def sorted_rows(count: int = 64) -> list[dict[str, Any]]:
    from tiny_llama import toy_rows

    return [chat(asked, answer) for asked, answer in toy_rows(count)]


def chat(asked: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}


def test_preflight_shows_what_is_trained_and_trains_nothing(groundtune: Cli, make_project: Make, base: str) -> None:
    root = make_project(examples=sorted_rows(), toml=TOML)
    shown = groundtune.run("tune", "--preflight", "--model", base, "-C", root)
    assert shown.exit_code == 0, shown.stderr
    assert re.search(r'<\|assistant\|>\n⟦{"is": "[a-z]+"}⟧⟦<\|end\|>⟧\n', shown.stdout) and "\x1b" not in shown.stdout
    assert "Every answer ends with <|end|>." in shown.stdout and "as groundtune.toml says" in shown.stdout
    table = groundtune.json("tune", "--preflight", "--model", base, "-C", root)
    assert table["rows"] == 54 and table["dropped"] == table["truncated"] == 0 and table["passes"] == 1
    assert {row["end"] for row in table["shown"]} == {"<|end|>"}
    assert table["way"]["total"] > 0 and table["way"]["free"] > 0 and table["seconds"] > 0
    names = [default["name"] for default in table["defaults"]]
    assert names[:4] == ["epochs", "learning_rate", "validation", "batch_size"]
    assert all(default["sentence"] for default in table["defaults"])
    assert "学習する" in groundtune.run("tune", "--preflight", "--model", base, "-C", root, "--lang", "ja").stdout
    assert "只有" in groundtune.run("tune", "--preflight", "--model", base, "-C", root, "--lang", "zh-TW").stdout
    assert not list((root / ".groundtune").glob("adapters/*"))


def test_a_project_of_examples_alone_can_be_trained(groundtune: Cli, make_project: Make, base: str) -> None:
    root = make_project(examples=sorted_rows(), toml=TOML)
    for path in (root / "documents").iterdir():
        path.unlink()  # as “groundtune init” leaves it
    assert groundtune.json("tune", "--preflight", "--model", base, "-C", root)["rows"] == 54


def test_too_little_memory_and_too_long_rows_stop_before_training(
    groundtune: Cli, make_project: Make, base: str
) -> None:
    root = make_project(examples=sorted_rows(), toml=TOML.replace("rank = 4\n", "rank = 4\nmemory_gb = 0.1\n"))
    said = groundtune.fails("tune", "--model", base, "-C", root, code=1)
    assert "0.1 GiB are free" in said and not list((root / ".groundtune").glob("adapters/*"))
    path = root / "groundtune.toml"
    path.write_text(path.read_text().replace("memory_gb = 0.1", "max_tokens = 19"))
    assert "longer than 19 tokens" in groundtune.fails("tune", "--preflight", "--model", base, "-C", root, code=1)


def test_tune_says_what_it_will_do_and_registers_the_adapter(groundtune: Cli, make_project: Make, base: str) -> None:
    root = make_project(examples=sorted_rows(), toml=TOML)
    done = groundtune.run("tune", "--model", base, "-C", root)
    assert done.exit_code == 0, done.stderr
    assert "⟦<|end|>⟧" in done.stderr and "step 7 of 7" in done.stderr and "Adapter finetune-" in done.stdout
    again = groundtune.json("tune", "--model", base, "-C", root)
    assert again["adapter"]["settings"]["context"] is False and again["adapter"]["settings"]["packed"] is True
    refused = groundtune.fails("adapters", "promote", again["name"], "--for", "rag+finetune", "-C", root, code=2)
    assert "without retrieved passages" in refused


def test_curve_says_whether_more_examples_would_help(groundtune: Cli, make_project: Make, base: str) -> None:
    root = make_project(examples=sorted_rows(), toml=TOML)
    table = groundtune.json("tune", "--curve", "--model", base, "-C", root)
    trials = table["curve"]["trials"]
    assert [trial["value"] for trial in trials] == [0.25, 0.5, 1.0]
    assert trials[0]["examples"] < trials[1]["examples"] < trials[2]["examples"]
    assert all(len(trial["scores"]) == table["curve"]["held_out"] for trial in trials)
    assert table["verdict"] in ("more", "enough", "unclear")
    assert not (root / ".groundtune" / "trials").exists()
    few = make_project_of(root, 30)
    assert "at least 50" in groundtune.fails("tune", "--curve", "--model", base, "-C", few, code=2)


def make_project_of(root: Path, count: int) -> Path:
    lines = [json.dumps(row) for row in sorted_rows(count)]
    (root / "examples.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return root


def test_gold_shares_are_tried_and_the_best_is_trained(groundtune: Cli, make_project: Make, base: str) -> None:
    asked = [(row["messages"][0]["content"], number) for number, row in enumerate(sorted_rows())]
    rows = [chat(f"leave {text}", "27 days") if n % 2 else chat(f"places {text}", "40 places") for text, n in asked]
    root = make_project(examples=rows, toml=TOML)
    table = groundtune.json("tune", "--with-context", "--sweep-gold", "0.5,1", "--model", base, "-C", root)
    sweep = table["sweep"]
    assert [trial["value"] for trial in sweep["trials"]] == [0.5, 1.0] and sweep["best"] in (0.5, 1.0)
    best = max(sweep["trials"], key=lambda trial: (sum(trial["scores"]), trial["value"]))
    assert best["value"] == sweep["best"]
    settings = table["adapter"]["settings"]
    assert settings["gold_share"] == sweep["best"] and settings["context"] is True and settings["rows"] == 54
    assert table["name"].startswith("rag-finetune-")


def test_options_that_do_not_go_together_are_refused(groundtune: Cli, make_project: Make) -> None:
    root = make_project(examples=sorted_rows(), toml=TOML)
    for wrong, said in (
        (("--curve", "--preflight"), "stand alone"),
        (("--sweep-gold", "0.5"), "Add --with-context"),
        (("--with-context", "--sweep-gold", "0.5,2"), "not a list of shares"),
        (("--with-context", "--sweep-gold", "half"), "not a list of shares"),
        (("--hosted", "together:x", "--preflight"), "stands alone"),
        (("--processes", "2", "--preflight"), "for the training itself"),
        (("--processes", "0"), "0"),
    ):
        assert said in groundtune.fails("tune", *wrong, "-C", root, code=2)


def test_processes_are_for_the_one_that_starts_them(
    groundtune: Cli, make_project: Make, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_project(examples=sorted_rows(), toml=TOML)
    said = groundtune.fails("tune", "--processes", "9", "--model", base, "-C", root, code=1)
    assert "9 processes cannot share steps of 8 examples" in said
    monkeypatch.setenv("WORLD_SIZE", "4")
    said = groundtune.fails("tune", "--processes", "2", "--model", base, "-C", root, code=2)
    assert "one of 4 training processes" in said


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ctrl_c_ends_all_processes_and_torchrun_goes_on(groundtune: Cli, make_project: Make, base: str) -> None:
    root = make_project(examples=sorted_rows(), toml=TOML.replace("epochs = 1", "epochs = 4"))
    call = ["-W", "ignore", "-m", "groundtune", "tune", "--model", base, "-C", str(root)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        [sys.executable, *call, "--processes", "2"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    assert started.stderr is not None
    for line in started.stderr:
        if line.startswith("step "):
            break
    workers = children(started.pid)
    assert len(workers) == 2
    os.killpg(started.pid, signal.SIGINT)  # as a terminal does: to all of them
    out, error = started.communicate(timeout=60)
    assert started.returncode == 130 and out == "" and "Traceback" not in error, error
    assert "run the same command again to go on" in error and not [pid for pid in workers if alive(pid)]
    run = ["-W", "ignore", "-m", "torch.distributed.run", "--nproc-per-node", "2", *call[2:], "--json"]
    done = subprocess.run([sys.executable, *run], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["adapter"]["settings"]["rows"] == 54  # one of them speaks
    assert len(list((root / ".groundtune" / "adapters").glob("finetune-*"))) == 1


def children(pid: int) -> list[int]:
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_every_command_of_the_page_about_training_exists() -> None:
    import click

    from groundtune.cli.main import cli

    text = (Path(__file__).parents[2] / "docs" / "how-to" / "tune.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line.split() for block in blocks for line in block.splitlines()]
    assert len(lines) >= 6
    context = click.Context(cli)
    for _, verb, *options in lines:
        command = cli.get_command(context, verb)
        assert command is not None
        known = {name for param in command.params for name in param.opts}
        assert {option for option in options if option.startswith("--")} <= known
