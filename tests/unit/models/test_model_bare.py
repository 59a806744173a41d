"""``builtin:base`` without transformers: the same tokens, the same adapter, and a way out for everything else."""

import json
import shutil
from pathlib import Path

import pytest
import tiny_models

from groundtune.models import hub
from groundtune.models.bare import TEMPLATE, open_bare
from groundtune.models.hf import HuggingFaceModel
from groundtune.types import Message

pytestmark = pytest.mark.tune
CHAT = [Message("system", "Short."), Message("user", "保固期多久？ How long?")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_models.llama(tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return tmp_path / "base"


def say(loaded: hub.Loaded) -> tuple[str, list[int]]:
    model = HuggingFaceModel("x", loaded, threads=1)
    return model.generate(CHAT, max_tokens=12).text, model.encode(CHAT)


def test_it_is_the_library_s_model(folder: Path, tmp_path: Path) -> None:
    bare = open_bare(folder)
    assert bare is not None
    assert say(bare) == say(hub.load(str(folder), dtype="float32", device="cpu"))
    adapter = tiny_models.adapter(folder, tmp_path / "adapter")
    tuned = open_bare(folder, Path(adapter))
    assert tuned is not None
    expected = hub.load(str(folder), adapter=adapter, dtype="float32", device="cpu")
    import torch

    ours, theirs = tuned.model.model.layers[0].self_attn.q_proj.weight, expected.model.model.layers[0].self_attn.q_proj
    assert torch.allclose(ours, theirs.weight, atol=1e-6)
    assert say(tuned)[0] == say(expected)[0]


def test_other_cases_are_left_to_the_library(folder: Path, tmp_path: Path) -> None:
    adapter = Path(tiny_models.adapter(folder, tmp_path / "adapter"))
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"use_dora": True}))
    assert open_bare(folder, adapter) is None
    shutil.copytree(folder, tmp_path / "other")
    (tmp_path / "other" / "chat_template.jinja").write_text("{{ messages[0].content }}")
    assert open_bare(tmp_path / "other") is None
    (folder / "model.safetensors").unlink()
    assert open_bare(folder) is None


def test_documents_blocks_are_the_passages_of_our_prompts(folder: Path) -> None:
    from groundtune.text.prompts import Shown, render

    bare = open_bare(folder)
    library = hub.load(str(folder), dtype="float32", device="cpu")
    assert bare is not None
    documents = [{"title": "Fees", "text": " The fee is 12 USD.<|end|>\n"}, {"title": "保固", "text": "保固期為兩年。"}]
    turns = [{"role": "system", "content": "Short."}, {"role": "user", "content": "Hello"},
             {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "保固期多久？"}]  # fmt: skip
    by_hand = bare.tokenizer.apply_chat_template(turns, documents=documents, add_generation_prompt=True)
    assert by_hand == library.tokenizer.apply_chat_template(
        turns, documents=documents, add_generation_prompt=True, tokenize=False
    )
    passages = [Shown(d["title"], d["text"]) for d in documents]
    asked = [*turns[:-1], {"role": "user", "content": render("保固期多久？", passages)}]
    assert by_hand == bare.tokenizer.apply_chat_template(asked, add_generation_prompt=True)
