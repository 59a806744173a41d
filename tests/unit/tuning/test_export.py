import json
from dataclasses import replace

import pytest

from groundtune import registry
from groundtune.errors import DataError, TrainingError
from groundtune.messages import LANGUAGES, use
from groundtune.tuning import export as exporting
from groundtune.tuning import gguf
from groundtune.tuning.export import FORMS, Order, PromptForm, chats_of, export
from groundtune.tuning.export_card import verdict
from groundtune.tuning.export_check import Unlike, Verified, verify
from groundtune.types import Adapter, Message

pytestmark = pytest.mark.tune
SYSTEM = "Answer with JSON."
TEXTS = [
    "The warranty lasts two years.",
    "保固期為兩年，2024年起。",
    "従業員の休暇は12日です。",
    "Don't  you've 45.6\n\n tabs\t x",
]
FORM = PromptForm("rag+finetune", SYSTEM, "[1] {title}\n{passage}\n\n{question}")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """The spec of a tiny base, and a random adapter over it as training leaves one."""
    import tiny_models
    from transformers import AutoTokenizer

    root = tmp_path_factory.mktemp("tuned")
    base = tiny_models.llama(root / "base")
    folder = tiny_models.adapter(base, root / "adapters" / "rag-finetune-1")
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 6]}')
    return f"hf:{base}", Adapter(str(folder), f"hf:{base}", "d1")


@pytest.fixture
def order(tuned, tmp_path, monkeypatch):
    """An order that is run by groundtune itself, with or without llama.cpp on this computer."""
    monkeypatch.setattr(exporting, "open_gguf", lambda path: exporting_own(path))
    base, adapter = tuned
    return Order("gguf", base, tmp_path / "out", "house", chats_of(TEXTS, SYSTEM), adapter, form=FORM)


def exporting_own(path):
    from groundtune.tuning.export_llama import OWN, open_gguf

    return open_gguf(path, OWN)


@pytest.mark.parametrize("to", FORMS)
def test_every_form_answers_as_the_source(order, to):
    steps = []
    made = export(replace(order, to=to, scores={"success": 0.25}), steps.append)
    assert steps == ["open", "write", "verify"]
    how = {"safetensors": "transformers", "vllm": "peft"}.get(to, "own-forward")
    template = 4 if to == "ollama" else None
    assert made.verified == Verified(how, 4, 4, 4, template=template) and made.verified.good
    assert made.stops[0] == "<|end|>" and "</s>" in made.stops  # of the template first, of both settings after it
    note = json.loads((order.out / "export.json").read_text())
    assert (
        note["approach"] == "rag+finetune"
        and note["adapter"] == "rag-finetune-1"
        and note["scores"] == {"success": 0.25}
    )
    assert note["prompt"]["whole"].startswith(f"<|system|>{SYSTEM}<|end|><|user|>[1] {{title}}")
    text = (order.out / "README.md").read_text()
    for part in (SYSTEM, "give it passages with every question", "`<|end|>`", "success: 0.250", "4 of 4 held-out"):
        assert part in text
    assert sorted(made.files) == sorted(
        p.relative_to(order.out).as_posix() for p in order.out.rglob("*") if p.is_file()
    )
    assert [path.name for path in order.out.parent.iterdir()] == ["out"]  # nothing half done is left beside it


def test_the_adapter_is_in_the_export(order):
    plain = export(replace(order, to="safetensors", adapter=None, out=order.out / "plain"))
    tuned = export(replace(order, to="safetensors", out=order.out / "tuned"))
    chat = order.chats[0]
    said = [registry.load("model", f"hf:{made.path}").generate(chat, max_tokens=24).text for made in (plain, tuned)]
    assert said[0] != said[1] and plain.adapter == "" and plain.verified.good


def test_a_merged_folder_says_everything_that_older_readers_look_for(order):
    export(replace(order, to="safetensors"))
    config = json.loads((order.out / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] and config["torch_dtype"] == config["dtype"]
    assert json.loads((order.out / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert set(json.loads((order.out / "generation_config.json").read_text())["eos_token_id"]) == {2, 6}


def test_an_adapter_for_vllm_names_its_base_and_its_rank(order):
    export(replace(order, to="vllm"))
    config = json.loads((order.out / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == order.base.partition(":")[2]
    text = (order.out / "README.md").read_text()
    assert "--max-lora-rank 8" in text and "--chat-template ./adapter/chat_template.jinja" in text
    assert "<|assistant|>" in (order.out / "adapter" / "chat_template.jinja").read_text()


@pytest.mark.parametrize("key", ["use_dora", "modules_to_save"])
def test_what_vllm_cannot_load_is_refused_before_anything_is_left(order, tmp_path, key):
    import shutil

    copy = tmp_path / "adapter"
    shutil.copytree(order.adapter.path, copy)
    config = json.loads((copy / "adapter_config.json").read_text())
    from groundtune.tuning.export_folders import write_adapter
    from groundtune.tuning.export_source import open_source

    source = open_source(order.base, order.adapter.path)
    (copy / "adapter_config.json").write_text(json.dumps({**config, key: ["lm_head"]}))
    with pytest.raises(TrainingError, match="safetensors") as caught:
        write_adapter(source, copy, order.base, tmp_path)
    assert all(caught.value.sentence(lang) for lang in LANGUAGES)


def test_an_export_is_replaced_and_other_files_are_not(order):
    export(order)
    first = (order.out / "export.json").read_text()
    export(replace(order, to="ollama"))
    assert (order.out / "Modelfile").is_file() and (order.out / "export.json").read_text() != first
    other = order.out.parent / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="would be lost"):
        export(replace(order, out=other))
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


def test_a_failed_export_leaves_the_earlier_one(order, monkeypatch):
    export(order)
    before = sorted((p.name, p.read_bytes()) for p in order.out.iterdir())
    monkeypatch.setattr(exporting, "verify", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(replace(order, kind="f16"))
    assert sorted((p.name, p.read_bytes()) for p in order.out.iterdir()) == before
    assert [path.name for path in order.out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"to": "onnx"}, "no form of export"), ({"kind": "q3"}, "no type of weights"),
        ({"to": "safetensors", "kind": "q8_0"}, "has no weights"), ({"to": "vllm", "adapter": None}, "there is none"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(order, change, match):
    with pytest.raises(DataError, match=match) as caught:
        export(replace(order, **change))
    assert len({caught.value.sentence(lang) for lang in LANGUAGES}) == 3


@pytest.mark.parametrize("kind", ["f16", "bf16", "q8_0"])
def test_smaller_weights_make_smaller_files(order, kind):
    whole = export(order)
    small = export(replace(order, kind=kind))
    assert small.kind == kind and small.bytes < 0.8 * whole.bytes and small.verified.tokens == 4


def test_a_wrong_order_of_the_rows_does_not_pass(order, monkeypatch):
    monkeypatch.setattr(gguf, "interleave", lambda array, heads: array)
    made = export(order)
    assert not made.verified.good and made.verified.same < 4 and made.verified.unlike
    assert "Only" in verdict(made.verified)


def test_other_tokens_do_not_pass(order, monkeypatch):
    real = gguf.read_words
    monkeypatch.setattr(gguf, "read_words", lambda *given: replace(real(*given), merges=real(*given).merges[:-20]))
    made = export(order)
    assert made.verified.tokens < 4 and not made.verified.good
    assert "read as other tokens" in verdict(made.verified)


def test_verification_counts_what_it_could_not_ask():
    class Small:
        name = "small"

        def __init__(self, said):
            self.said = said

        def generate(self, chat, **_):
            from groundtune.errors import ModelRefused
            from groundtune.types import Generation, Usage

            if len(chat[-1].content) > 20:
                raise ModelRefused("models.too_long", tokens=1, model="small", limit=1)
            return Generation(self.said, Usage(), 0.0)

    chats = [(Message("user", "short"),), (Message("user", "a" * 30),)]
    found = verify(Small("a"), Small("b"), chats, "peft")
    assert found == Verified("peft", 1, 0, None, 1, (Unlike("short", "a", "b"),)) and not found.good
    assert not verify(Small("a"), Small("a"), chats[1:], "peft").good  # nothing was compared
    assert "left out" in verdict(found)


def test_the_card_is_written_in_the_language_in_use(order):
    try:
        for lang in LANGUAGES:
            use(lang)
            export(order)
            text = (order.out / "README.md").read_text()
            assert {"en": "How to ask", "zh-TW": "提問方式", "ja": "質問のしかた"}[lang] in text
    finally:
        use("en")


@pytest.mark.parametrize(("approach", "part"), [("finetune", "examples alone"), ("", "does not say which approach")])
def test_the_card_keeps_the_approach(order, approach, part):
    export(replace(order, form=replace(FORM, approach=approach)))
    assert part in (order.out / "README.md").read_text()


def test_a_damaged_or_foreign_adapter_is_a_sentence(order, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "wide"
    import shutil

    shutil.copytree(order.adapter.path, folder)
    weights = load_file(folder / "adapter_model.safetensors")
    save_file({name: array[:, :-1].copy() for name, array in weights.items()}, folder / "adapter_model.safetensors")
    with pytest.raises(TrainingError, match="Cannot load|cannot be loaded|Check"):
        export(replace(order, adapter=replace(order.adapter, path=str(folder))))
