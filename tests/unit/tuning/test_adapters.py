import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from groundtune.errors import DataError, TrainingError
from groundtune.messages import LANGUAGES
from groundtune.tuning import adapters as registry
from groundtune.tuning.adapters import Adapters, approach_of
from groundtune.tuning.service import promoted
from groundtune.types import Adapter


def made(folder, name, *, loss=0.1, data="d1", base="builtin:base"):
    """A finished adapter folder as training leaves it, with stand-in weights."""
    path = folder / name
    path.mkdir(parents=True)
    (path / "adapter_config.json").write_text('{"r": 16}')
    (path / "adapter_model.safetensors").write_bytes(name.encode() * 50)
    (path / "chat_template.jinja").write_text("{{ messages }}")
    (path / "generation_config.json").write_text('{"eos_token_id": [2, 7]}')
    settings = {"rank": 16, "rows": 20, "data_digest": data}
    registry.write(path, Adapter(str(path), base, f"digest-{name}", settings, 12.0, loss))
    return path


def test_a_card_says_what_it_was_made_from_and_what_travels_with_it(tmp_path):
    made(tmp_path, "finetune-1")
    adapters = Adapters(tmp_path)
    card = adapters.card("finetune-1", thorough=True)
    assert (card.data_digest, card.adapter.base, card.approach, card.parent, card.damage) == (
        "d1", "builtin:base", "finetune", "", "",
    )  # fmt: skip
    assert card.end_tokens == (2, 7) and len(card.template_digest) == 32 and card.created.startswith("20")
    assert set(card.files) == {
        "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja", "generation_config.json",
    }  # fmt: skip
    adapters.record("finetune-1", {"success": 0.5})
    adapters.record("finetune-1", {"format": 1.0})
    assert adapters.card("finetune-1").scores == {"success": 0.5, "format": 1.0}
    assert adapters.list() == {"finetune-1": registry.read(tmp_path / "finetune-1")}


def test_a_project_folder_can_be_moved(tmp_path):
    made(tmp_path / "old", "finetune-1")
    Adapters(tmp_path / "old").promote("finetune-1")
    (tmp_path / "old").rename(tmp_path / "new")
    moved = Adapters(tmp_path / "new")
    assert moved.get("finetune-1").path == str(tmp_path / "new" / "finetune-1")
    assert moved.in_service() == {"finetune": "finetune-1"}


def test_notes_of_the_first_version_are_read(tmp_path):
    path = made(tmp_path, "finetune-1")
    note = json.loads((path / "adapter.json").read_text())
    old = {k: note[k] for k in ("base", "digest", "settings", "seconds", "final_loss")} | {"version": 1}
    (path / "adapter.json").write_text(json.dumps(old))
    assert Adapters(tmp_path).get("finetune-1").final_loss == 0.1


def test_promote_rollback_and_parents(tmp_path):
    adapters = Adapters(tmp_path)
    made(tmp_path, "finetune-1")
    assert adapters.promote("finetune-1") == "finetune"
    made(tmp_path, "finetune-2", loss=0.2)
    assert adapters.card("finetune-2").parent == "finetune-1"
    made(tmp_path, "rag-finetune-1")
    adapters.promote("finetune-2")
    adapters.promote("finetune-2")  # twice is once
    assert adapters.promote("rag-finetune-1") == "rag+finetune"
    assert adapters.in_service() == {"finetune": "finetune-2", "rag+finetune": "rag-finetune-1"}
    with pytest.raises(DataError, match="Say with --for"):
        adapters.rollback()
    assert adapters.rollback("finetune") == ("finetune", "finetune-1")
    assert adapters.rollback("finetune") == ("finetune", "")
    with pytest.raises(DataError, match="nothing to go back to"):
        adapters.rollback("finetune")
    assert adapters.rollback() == ("rag+finetune", "")


def test_rollback_skips_what_is_gone_or_damaged(tmp_path):
    adapters = Adapters(tmp_path)
    for name in ("finetune-1", "finetune-2", "finetune-3", "finetune-4"):
        made(tmp_path, name)
        adapters.promote(name)
    adapters.delete("finetune-3")
    (tmp_path / "finetune-2" / "adapter_model.safetensors").write_bytes(b"short")
    assert adapters.rollback() == ("finetune", "finetune-1")


def test_the_one_in_service_is_deleted_only_by_force(tmp_path):
    adapters = Adapters(tmp_path)
    made(tmp_path, "finetune-1")
    adapters.promote("finetune-1")
    with pytest.raises(DataError, match="is in service") as caught:
        adapters.delete("finetune-1")
    assert (tmp_path / "finetune-1" / "adapter.json").is_file()
    assert all(caught.value.sentence(language) for language in LANGUAGES)
    adapters.delete("finetune-1", force=True)
    assert adapters.in_service() == {} and adapters.cards() == ()


def test_damage_is_named_and_never_promoted(tmp_path):
    adapters = Adapters(tmp_path)
    paths = [made(tmp_path, f"finetune-{n}") for n in range(5)]
    weights = paths[0] / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[::-1])  # same size, other content
    (paths[1] / "chat_template.jinja").unlink()
    (paths[2] / "adapter.json").write_text('{"version": 2, "base')
    (paths[3] / "adapter_config.json").unlink()
    assert [card.damage for card in adapters.cards()] == [
        "",
        "chat_template.jinja",
        "adapter.json",
        "adapter_config.json",
        "",
    ]
    assert list(adapters.list()) == ["finetune-0", "finetune-4"]
    assert adapters.card("finetune-0", thorough=True).damage == "adapter_model.safetensors"
    for number in range(4):
        with pytest.raises(DataError, match=f"“finetune-{number}” is damaged"):
            adapters.promote(f"finetune-{number}")
    assert adapters.in_service() == {}
    with pytest.raises(DataError, match="Did you mean"):
        adapters.promote("finetune_4")


def test_diff_shows_what_differs_only(tmp_path):
    made(tmp_path, "finetune-1")
    other = made(tmp_path, "finetune-2", loss=0.3, data="d2")
    (other / "adapter.json").write_text((other / "adapter.json").read_text().replace('"rank": 16', '"rank": 8'))
    adapters = Adapters(tmp_path)
    adapters.record("finetune-2", {"success": 0.5})
    found = {d.what: (d.one, d.other) for d in adapters.diff("finetune-1", "finetune-2")}
    assert found == {
        "data_digest": ("d1", "d2"), "final_loss": (0.1, 0.3), "settings.rank": (16, 8), "scores.success": (None, 0.5),
    }  # fmt: skip
    assert adapters.diff("finetune-1", "finetune-1") == ()


def test_names_say_what_an_adapter_is_for(tmp_path):
    assert [approach_of(n) for n in ("finetune-a", "rag-finetune-a", "house", "finetuned")] == [
        "finetune",
        "rag+finetune",
        "",
        "",
    ]
    made(tmp_path, "house")
    with pytest.raises(DataError, match="--for"):
        Adapters(tmp_path).promote("house")
    assert Adapters(tmp_path).promote("house", "finetune") == "finetune"


def test_the_promoted_adapter_is_used_instead_of_training(tmp_path):
    assert promoted(tmp_path, "finetune") is None
    made(tmp_path, "finetune-1")
    Adapters(tmp_path).promote("finetune-1")
    trainer = promoted(tmp_path, "finetune")
    assert trainer is not None and promoted(tmp_path, "rag+finetune") is None
    assert trainer.train((), base="builtin:base", out="nowhere").digest == "digest-finetune-1"
    with pytest.raises(TrainingError, match="was trained for builtin:base"):
        trainer.train((), base="hf:other", out="nowhere")
    (tmp_path / "finetune-1" / "adapter_config.json").unlink()
    with pytest.raises(DataError, match="is damaged"):
        promoted(tmp_path, "finetune")


_KILLED = """
import os, signal, sys
from pathlib import Path
from groundtune.tuning.adapters import Adapters
real = os.replace
def replace(source, target):
    if sys.argv[2] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
    os.kill(os.getpid(), signal.SIGKILL)
os.replace = replace
Adapters(Path(sys.argv[1])).promote("finetune-2")
"""


@pytest.mark.parametrize(("when", "serving"), [("before", "finetune-1"), ("after", "finetune-2")])
def test_a_killed_promotion_happened_or_did_not(tmp_path, when, serving):
    adapters = Adapters(tmp_path)
    for name in ("finetune-1", "finetune-2"):
        made(tmp_path, name)
    adapters.promote("finetune-1")
    source = Path(registry.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path), when], env={**os.environ, "PYTHONPATH": str(source)}
    )
    assert done.returncode == -signal.SIGKILL
    assert adapters.in_service() == {"finetune": serving}
    assert adapters.promote("finetune-2") == "finetune" and adapters.rollback()[1] == "finetune-1"


def test_an_unreadable_service_file_is_said(tmp_path):
    made(tmp_path, "finetune-1")
    (tmp_path / "service.json").write_text("{")
    with pytest.raises(DataError, match=r"service\.json cannot be read"):
        Adapters(tmp_path).in_service()
    made(tmp_path, "finetune-2")  # training still ends well
    assert Adapters(tmp_path).card("finetune-2").parent == ""
