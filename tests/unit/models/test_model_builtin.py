import hashlib
import json
from pathlib import Path

import pytest
import tiny_models

from groundtune.errors import ModelError, ModelUnreachable, SpecError
from groundtune.models import builtin
from groundtune.registry import load
from groundtune.types import Message


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(builtin, "FOLDER", tmp_path)
    return tmp_path / "base"


def card(folder: Path, *names: str) -> None:
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "card.json").write_text(json.dumps({"sha256": sums}), encoding="utf-8")


def test_unknown_name_suggests() -> None:
    with pytest.raises(SpecError, match="Did you mean “base”"):
        load("model", "builtin:bse")
    with pytest.raises(SpecError, match="Known: base"):
        load("model", "builtin:gpt")


def test_absent(folder: Path) -> None:
    with pytest.raises(ModelUnreachable, match="not part of this installation"):
        load("model", "builtin:base")


def test_damaged_or_missing_file_is_named(folder: Path) -> None:
    folder.mkdir()
    weights = folder / "model.safetensors"
    weights.write_bytes(b"weights")
    card(folder, "model.safetensors")
    assert builtin.check("base") == folder
    weights.write_bytes(b"weightz")
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
        load("model", "builtin:base")
    weights.unlink()
    with pytest.raises(ModelUnreachable, match=r"model\.safetensors is missing"):
        load("model", "builtin:base")
    (folder / "card.json").write_text("[]")
    with pytest.raises(ModelError, match=r"card\.json is damaged"):
        load("model", "builtin:base")


@pytest.mark.tune
def test_opens_bfloat16_weights_in_float32(folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    tiny_models.llama(folder)
    AutoModelForCausalLM.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    card(folder, "model.safetensors")
    model = load("model", "builtin:base")
    assert model.name == "builtin:base"
    assert model.model.dtype == torch.float32
    assert model._lean is not None
    assert model.threads == 1
    plain = model.generate([Message("user", "保固期？")], max_tokens=8)
    adapter = tiny_models.adapter(folder, tmp_path / "adapter")
    tuned = load("model", "builtin:base", adapter=str(adapter)).generate([Message("user", "保固期？")], max_tokens=8)
    assert plain.usage.output_tokens > 0
    assert plain.text != tuned.text
