import json
from pathlib import Path

import pytest
import tiny_models
from jsonschema import Draft202012Validator

from groundtune.errors import MissingExtra, ModelError, ModelRefused, ModelUnreachable, SpecError
from groundtune.models import hf
from groundtune.registry import load
from groundtune.types import Message

pytestmark = pytest.mark.tune

CHATS = [
    [Message("user", "How long is the warranty?")],
    [Message("system", "Answer in JSON."), Message("user", "員工每年有幾天特休假？" * 20)],
    [Message("user", "休暇は何日ですか。"), Message("assistant", "十二日です。"), Message("user", "保証は？" * 40)],
    [Message("user", "a")],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.llama(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def model(folder: Path) -> hf.HuggingFaceModel:
    return hf.open_model(str(folder))


def reference(folder: Path, messages: list[Message], max_tokens: int, adapter: Path | None = None) -> list[int]:
    """Greedy tokens straight from transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(folder)
    plain = AutoModelForCausalLM.from_pretrained(folder)
    if adapter:
        from peft import PeftModel

        plain = PeftModel.from_pretrained(plain, str(adapter))
    text = words.apply_chat_template([m.as_dict() for m in messages], add_generation_prompt=True, tokenize=False)
    ids = torch.tensor([words(text, add_special_tokens=False)["input_ids"]])
    out = plain.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens, do_sample=False, eos_token_id=[2]
    )[0]
    tokens = out[ids.shape[1] :].tolist()
    ends = [i for i, token in enumerate(tokens) if token in (2, 6)]
    return tokens[: ends[0]] if ends else tokens


@pytest.mark.parametrize("lean", [True, False])
def test_greedy_is_what_transformers_gives(folder: Path, lean: bool) -> None:
    made = hf.HuggingFaceModel("hf:tiny", hf.load(str(folder)), lean=lean)
    assert (made._lean is not None) == lean
    for chat in CHATS:
        expected = made.tokenizer.decode(reference(folder, chat, 24), skip_special_tokens=True).strip()
        assert made.generate(chat, max_tokens=24).text == expected


@pytest.mark.parametrize("lean", [True, False])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_batch_gives_what_single_calls_give(folder: Path, lean: bool, temperature: float) -> None:
    made = hf.HuggingFaceModel("hf:tiny", hf.load(str(folder)), lean=lean)
    together = made.generate_many(CHATS, max_tokens=20, temperature=temperature, seed=5)
    alone = [made.generate(chat, max_tokens=20, temperature=temperature, seed=5) for chat in CHATS]
    assert [g.text for g in together] == [g.text for g in alone]
    assert [g.usage.output_tokens for g in together] == [g.usage.output_tokens for g in alone]
    assert [g.finished for g in together] == [g.finished for g in alone]
    assert made.generate_many([]) == []


def test_sampling_follows_the_seed(model: hf.HuggingFaceModel) -> None:
    def sample(seed: int) -> str:
        return model.generate(CHATS[0], max_tokens=16, temperature=1.5, seed=seed).text

    assert sample(1) == sample(1)
    assert len({sample(seed) for seed in range(5)}) > 1


def test_a_shared_beginning_is_reused_and_changes_nothing(folder: Path) -> None:
    shots = [Message("system", "保固期為兩年，員工每年有十二天特休假。" * 24)]
    first, second = ([*shots, Message("user", text)] for text in ("How long?", "幾天？"))
    fresh = hf.open_model(str(folder)).generate(second, max_tokens=16)
    made = hf.open_model(str(folder))
    assert made.generate(first, max_tokens=16).usage.cached_tokens == 0
    warm = made.generate(second, max_tokens=16)
    assert warm.usage.cached_tokens > 0
    assert warm.usage.cached_tokens % 128 == 0
    assert (warm.text, warm.usage.output_tokens) == (fresh.text, fresh.usage.output_tokens)


def test_usage_and_finish(model: hf.HuggingFaceModel) -> None:
    made = model.generate(CHATS[0], max_tokens=3)
    assert made.usage.input_tokens == len(model.encode(CHATS[0]))
    assert made.usage.output_tokens == 3
    assert not made.finished
    assert made.seconds > 0
    assert made.model == model.name


def test_end_of_turn_stops(folder: Path, tmp_path: Path) -> None:
    """A model whose every logit peaks at the end-of-turn token stops at once, also where only the template names it."""
    import torch

    made = hf.HuggingFaceModel("hf:tiny", hf.load(str(folder)), lean=False)
    end = made.tokenizer.convert_tokens_to_ids("<|end|>")
    assert made.stop == {2, end}
    with torch.no_grad():
        made.model.lm_head.weight = torch.nn.Parameter(torch.zeros_like(made.model.lm_head.weight))
        made.model.lm_head.bias = torch.nn.Parameter(
            torch.zeros(len(made.tokenizer)).index_fill(0, torch.tensor([end]), 9)
        )
    said = made.generate(CHATS[0], max_tokens=5)
    assert (said.text, said.finished, said.usage.output_tokens) == ("", True, 1)


@pytest.mark.parametrize("own_tokenizer", [False, True])
def test_adapter_is_applied(folder: Path, tmp_path: Path, own_tokenizer: bool) -> None:
    path = tiny_models.adapter(folder, tmp_path / "adapter")
    if own_tokenizer:
        tiny_models.tokenizer("{{ messages[-1]['content'] }}<|assistant|>").save_pretrained(path)
    made = hf.open_model(str(folder), adapter=path)
    base = hf.open_model(str(folder))
    if own_tokenizer:
        assert len(made.encode(CHATS[0])) < len(base.encode(CHATS[0]))
        return
    expected = made.tokenizer.decode(reference(folder, CHATS[0], 24, path), skip_special_tokens=True).strip()
    assert made.generate(CHATS[0], max_tokens=24).text == expected
    assert base.generate(CHATS[0], max_tokens=24).text != expected


def test_schema_is_enforced_in_single_and_batch(model: hf.HuggingFaceModel) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "maximum": 99}},
        "required": ["answer", "days"],
        "additionalProperties": False,
    }
    pytest.importorskip("llguidance")
    single = [model.generate(chat, max_tokens=120, schema=schema) for chat in CHATS]
    for made in single:
        parsed = json.loads(made.text)
        assert set(parsed) == {"answer", "days"}
        assert made.finished
    assert [g.text for g in model.generate_many(CHATS, max_tokens=120, schema=schema)] == [g.text for g in single]
    with pytest.raises(ModelRefused, match="JSON Schema"):
        model.generate(CHATS[0], schema={"type": "no such type"})


@pytest.mark.parametrize("lean", [True, False])
def test_near_the_limit_an_answer_within_a_schema_is_closed_not_cut(folder: Path, lean: bool) -> None:
    pytest.importorskip("llguidance")
    schema = {
        "type": "object",
        "properties": {
            "intent": {"enum": ["SearchPlace", "BookTable"]},
            "names": {"type": "array", "items": {"type": "string", "minLength": 40}},
            "note": {"type": "string"},
        },
        "required": ["intent", "names", "note"],
        "additionalProperties": False,
    }
    model = hf.open_model(str(folder))
    if not lean:
        model._lean = None
    whole = model.generate(CHATS[0], max_tokens=300, schema=schema)
    limits = range(20, 120, 4)
    made = {limit: model.generate(CHATS[0], max_tokens=limit, schema=schema) for limit in limits}
    need = next(limit for limit in limits if _valid(made[limit].text, schema))
    assert all(_valid(made[limit].text, schema) for limit in limits if limit >= need)
    closed = [g for limit, g in made.items() if limit >= need and g.text != whole.text]
    assert closed
    assert not any(g.finished for g in closed)  # closed because of the limit: reported as answers that met it
    assert all(_valid(g.text, schema) for g in model.generate_many(CHATS, max_tokens=need + 2, schema=schema))


def _valid(text: str, schema: dict[str, object]) -> bool:
    try:
        return Draft202012Validator(schema).is_valid(json.loads(text))
    except json.JSONDecodeError:
        return False


def test_alternatives_that_exclude_each_other_are_enforced(model: hf.HuggingFaceModel) -> None:
    pytest.importorskip("llguidance")
    kinds = {"day": {"type": "integer", "maximum": 31}, "word": {"type": "string", "maxLength": 5}}
    schema = {
        "oneOf": [
            {"type": "object", "properties": {"kind": {"const": kind}, "value": value}, "required": ["kind", "value"],
             "additionalProperties": False}
            for kind, value in kinds.items()
        ],
    }  # fmt: skip
    for chat in CHATS:
        parsed = json.loads(model.generate(chat, max_tokens=120, schema=schema).text)
        assert sum(Draft202012Validator(one).is_valid(parsed) for one in schema["oneOf"]) == 1


def test_schema_without_llguidance_names_the_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "llguidance", None)
    with pytest.raises(MissingExtra, match="llguidance"):
        hf.open_model(str(folder)).generate(CHATS[0], schema={"type": "object"})


@pytest.mark.parametrize("lean", [True, False])
def test_long_prompts_are_refused_or_cut(folder: Path, lean: bool) -> None:
    long = [Message("user", "保固期為兩年。" * 200)]
    loaded = hf.load(str(folder))
    made = hf.HuggingFaceModel("hf:tiny", loaded, lean=lean)
    with pytest.raises(ModelRefused, match="at most 512"):
        made.generate(long)
    assert str(len(made.encode(long))) in str(pytest.raises(ModelRefused, made.generate, long).value)
    cut = hf.HuggingFaceModel("hf:tiny", loaded, lean=lean, truncate=True).generate(long, max_tokens=10)
    assert cut.usage.input_tokens == 502
    nearly = [Message("user", "a" * 505)]
    assert len(made.encode(nearly)) == 508
    assert made.generate(nearly, max_tokens=50).usage.output_tokens <= 4


def test_without_chat_template(tmp_path: Path) -> None:
    made = hf.open_model(str(tiny_models.llama(tmp_path, chat_template=None)))
    ids = made.encode([Message("system", "Be brief."), Message("user", "How long?")])
    assert made.tokenizer.decode(ids) == "System: Be brief.\n\nUser: How long?\n\nAssistant:"
    assert made.generate(CHATS[0], max_tokens=4).usage.output_tokens > 0


def test_template_that_refuses_a_system_turn(tmp_path: Path) -> None:
    template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ messages[0]['content'] }}"
    )
    made = hf.open_model(str(tiny_models.llama(tmp_path, chat_template=template)))
    ids = made.encode([Message("system", "Be brief."), Message("user", "Why?")])
    assert made.tokenizer.decode(ids) == "Be brief.\n\nWhy?"


def test_threads_are_put_back(folder: Path) -> None:
    import torch

    before = torch.get_num_threads()
    hf.open_model(str(folder), threads=before + 1).generate(CHATS[0], max_tokens=2)
    assert torch.get_num_threads() == before


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnreachable, match="not on this computer"):
        hf.open_model("nobody/no-such-model")
    with pytest.raises(ModelUnreachable, match="no adapter"):
        hf.open_model(str(folder), adapter=tmp_path)
    with pytest.raises(SpecError, match="hf:Qwen"):
        load("model", "hf:")
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be loaded"):
        hf.open_model(str(tmp_path))


def test_adapter_of_another_model(folder: Path, tmp_path: Path) -> None:
    path = tiny_models.adapter(folder, tmp_path / "adapter")
    settings = json.loads((path / "adapter_config.json").read_text())
    (path / "adapter_config.json").write_text(json.dumps({**settings, "target_modules": ["no_such_layer"]}))
    with pytest.raises(ModelError, match="does not fit"):
        hf.open_model(str(folder), adapter=path)


def test_embedder_pools_real_tokens_only(folder: Path) -> None:
    import numpy as np

    embedder = load("embedder", f"hf:{folder}")
    texts = ["warranty", "保固期為兩年，員工每年有十二天特休假。", "leave"]
    together = embedder.embed(texts, kind="document")
    assert together.shape == (3, embedder.dimension) == (3, 48)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.concatenate([embedder.embed([text], kind="query") for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert embedder.embed([], kind="query").shape == (0, 48)
    prefixed = hf.open_embedder(str(folder), query="query: ")
    assert not np.allclose(prefixed.embed(texts, kind="query"), together)
    np.testing.assert_allclose(prefixed.embed(texts, kind="document"), together, atol=1e-5)


def test_embedder_prefers_sentence_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.machinery
    import sys
    import types

    import numpy as np

    class SentenceTransformer:
        def __init__(self, path: str, *, device: str | None, local_files_only: bool) -> None:
            assert (path, device, local_files_only) == ("owner/name", "cpu", True)

        def encode(self, texts: list[str], **options: object) -> object:
            assert options["show_progress_bar"] is False
            return np.array([[len(text), 0.0, 0.0] for text in texts])

    module = types.ModuleType("sentence_transformers")
    module.__spec__ = importlib.machinery.ModuleSpec("sentence_transformers", None)
    module.SentenceTransformer = SentenceTransformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    rows = hf.open_embedder("owner/name", device="cpu").embed(["a", "bbb"], kind="query")
    np.testing.assert_array_equal(rows, [[1, 0, 0], [1, 0, 0]])
