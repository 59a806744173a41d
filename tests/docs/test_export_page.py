"""The commands of docs/how-to/export.md are run, in their order, on a tiny project."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from command_line import Cli

from groundtune.measure.forgetting import tasks
from groundtune.tuning import adapters
from groundtune.tuning.export import FORMS
from groundtune.types import Adapter

pytestmark = pytest.mark.tune
PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "export.md").read_text(encoding="utf-8")


def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tiny_models
    from transformers import AutoTokenizer

    monkeypatch.setenv("GROUNDTUNE_LANG", "en")
    base = tiny_models.llama(tmp_path / "base")
    project = tmp_path / "project"
    project.mkdir()
    (project / "groundtune.toml").write_text(
        f'[project]\nname = "page"\n[models]\nbase = "hf:{base}"\nreader = "fake:"\n'
    )
    rows = [{"messages": [{"role": "user", "content": f"When does hall {n} open on day {n * 7}?"},
                          {"role": "assistant", "content": json.dumps({"answer": f"at {n}"})}]} for n in range(12)]  # fmt: skip
    (project / "examples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    folder = tiny_models.adapter(base, project / ".groundtune" / "adapters" / "finetune-1")
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    adapters.write(folder, Adapter(str(folder), f"hf:{base}", "d1", {}, 1.0, 0.5))
    monkeypatch.chdir(project)
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 8
    for command in commands:
        name, *args = shlex.split(command)
        result = Cli(project).run(*args)
        assert name == "groundtune" and result.exit_code == 0, (command, result.stdout, result.stderr, result.exception)
    made = {path.name for path in (project / "exports").iterdir()}
    assert made == {f"finetune-1-{form}" for form in FORMS} | {"base-gguf"}


def test_the_page_says_what_is_so() -> None:
    table = {row for row in re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)}
    assert table == set(FORMS)
    general = [task for task in tasks() if task.kind != "refuse"]
    assert f"{len(general)} general ones" in PAGE and f"{len(tasks()) - len(general)} whose passage" in PAGE
