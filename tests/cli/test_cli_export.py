"""``groundtune export`` and ``groundtune adapters check`` on a tiny model with a random adapter."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli

from groundtune import messages
from groundtune.tuning import adapters
from groundtune.types import Adapter

pytestmark = pytest.mark.tune
EXAMPLES = [
    {"messages": [{"role": "user", "content": f"When does hall {n} close on day {n * 7}?"},
                  {"role": "assistant", "content": json.dumps({"answer": f"at {n}"})}]}
    for n in range(12)
]  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_models

    return tiny_models.llama(tmp_path_factory.mktemp("model") / "base")


@pytest.fixture
def project(make_project: Callable[..., Path], base: Path) -> Path:
    """A project whose base is the tiny model, with one registered adapter."""
    import tiny_models
    from transformers import AutoTokenizer

    root = make_project(examples=EXAMPLES)
    toml = root / "groundtune.toml"
    toml.write_text(
        toml.read_text().replace("fake:extract", f"hf:{base}") + '[format]\ninstruction = "One JSON object."\n'
    )
    folder = tiny_models.adapter(base, root / ".groundtune" / "adapters" / "finetune-1")
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    adapters.write(folder, Adapter(str(folder), f"hf:{base}", "d1", {"rows": 12}, 1.0, 0.5))
    return root


def test_the_only_adapter_is_exported_and_checked(groundtune: Cli, project: Path) -> None:
    result = groundtune.run("export", "--to", "ollama", "-C", project)
    assert result.exit_code == 0, (result.stdout, result.stderr, result.exception)
    out = project / "exports" / "finetune-1-ollama"
    assert sorted(p.name for p in out.iterdir()) == ["Modelfile", "README.md", "export.json", "finetune-1.gguf"]
    assert "Same greedy answers as the source model on 12 of 12 held-out prompts" in result.stdout
    assert 'SYSTEM """One JSON object."""' in (out / "Modelfile").read_text()
    assert result.stderr.splitlines() == ["Loading the model…", "Writing…", "Asking source and export the same…"]
    made = groundtune.json(
        "export", "--to", "safetensors", "--base-only", "--out", "there", "--prompts", "2", "-C", project
    )
    assert (
        made["export"]["verified"]["same"] == 2
        and made["export"]["adapter"] == ""
        and Path("there/README.md").is_file()
    )
    assert made["export"]["kind"] == "f32" and made["export"]["name"] == "base"


def test_an_export_that_answers_otherwise_fails(
    groundtune: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from groundtune.tuning import gguf

    monkeypatch.setattr(gguf, "interleave", lambda array, heads: array)
    result = groundtune.run("export", "--to", "gguf", "--prompts", "3", "-C", project)
    assert result.exit_code == 1 and "Only" in result.stdout and "Otherwise: " in result.stdout


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (("--to", "gguf", "--adapter", "finetune_1"), "Did you mean “finetune-1”"),
        (("--to", "onnx"), "onnx"),
        (("--to", "gguf", "--model", "builtin:base"), "needs --base-only"),
        (("--to", "gguf", "--base-only", "--adapter", "finetune-1"), "does not go with it"),
        (("--to", "vllm", "--base-only"), "there is none"),
        (("--to", "safetensors", "--quantise", "q8_0"), "has no weights of the type q8_0"),
        (("--to", "gguf", "--out", "documents"), "would be lost"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    groundtune: Cli, project: Path, args: tuple[str, ...], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    assert part in groundtune.fails("export", *args, code=2)


def test_without_or_with_several_adapters_one_is_asked_for(groundtune: Cli, project: Path) -> None:
    folder = project / ".groundtune" / "adapters"
    (folder / "finetune-1").rename(folder / "finetune-2")
    import shutil

    shutil.copytree(folder / "finetune-2", folder / "finetune-3")
    told = groundtune.fails("export", "--to", "gguf", "-C", project, code=2)
    assert "finetune-2, finetune-3" in told and "--adapter" in told
    shutil.rmtree(folder)
    assert "groundtune tune" in groundtune.fails("export", "--to", "gguf", "-C", project, code=2)


def test_a_changed_base_is_noticed_before_anything_is_written(groundtune: Cli, project: Path, base: Path) -> None:
    note = project / ".groundtune" / "adapters" / "finetune-1" / "adapter.json"
    table = json.loads(note.read_text())
    assert len(table["base_digest"]) == 32
    note.write_text(json.dumps({**table, "base_digest": "0" * 32}))
    assert "has changed since" in groundtune.fails("export", "--to", "gguf", "-C", project, code=2)
    shown = groundtune.run("adapters", "show", "finetune-1", "-C", project)
    assert shown.exit_code == 1 and "the base model has changed since" in shown.stdout
    assert not (project / "exports").exists()


def test_a_check_is_shown_and_kept(groundtune: Cli, project: Path) -> None:
    result = groundtune.run("adapters", "check", "finetune-1", "-C", project)
    assert result.exit_code == 0, (result.stdout, result.exception)
    assert "general questions right (n = 48)" in result.stdout and "the base can do too little to tell" in result.stdout
    assert "132 of 132 answers" in result.stderr
    shown = groundtune.json("adapters", "show", "finetune-1", "-C", project)["card"]
    assert shown["check"]["changes"][0]["part"] == "general" and "check.general" in shown["scores"]
    for lang in messages.LANGUAGES:
        text = groundtune.run("adapters", "show", "finetune-1", "--lang", lang, "-C", project).stdout
        assert messages.say("cli.adapters.effect_floor", lang=lang) in text
    assert "finetune-9" in groundtune.fails("adapters", "check", "finetune-9", "-C", project, code=2)
