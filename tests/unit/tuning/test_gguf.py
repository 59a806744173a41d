"""GGUF files of small random models: what they hold, and that llama.cpp and groundtune's own reading agree with transformers."""

import json

import numpy as np
import pytest

from groundtune import registry
from groundtune.errors import TrainingError
from groundtune.messages import LANGUAGES
from groundtune.tuning.export_llama import LLAMA, OWN, open_gguf
from groundtune.tuning.export_source import open_source, plain_template
from groundtune.tuning.gguf import interleave, write_gguf
from groundtune.tuning.gguf_words import CONTROL, PATTERNS, build_tokenizer, pre_of, read_words
from groundtune.types import Message

pytestmark = pytest.mark.tune
CHATS = [
    (Message("system", "Answer."), Message("user", "The warranty lasts two years. 2024年の休暇は12日です。")),
    (Message("user", "保固期為兩年。Don't  you've 45.6\n\n tabs\t x"),),
]
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}  # fmt: skip
ENGINES = [OWN, pytest.param(LLAMA, marks=pytest.mark.llama)]


def saved(folder, kind, *, rope=None, digits=False, pattern="", tied=True):
    """A random model of an architecture with a tokenizer of its own; every matrix is large enough that tokens differ."""
    import tiny_models
    import torch
    import transformers
    from tokenizers import Regex, pre_tokenizers

    words = tiny_models.tokenizer()
    steps = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    steps += [pre_tokenizers.Split(Regex(pattern), "isolated")] if pattern else []
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not pattern))
    words.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    if kind == "Qwen2":  # its tokenizer class adds this one by itself
        words.add_special_tokens({"additional_special_tokens": ["<|endoftext|>"]}, replace_extra_special_tokens=False)
    torch.manual_seed(3)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(words), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16 if kind == "Qwen2" else 32, max_position_embeddings=256, tie_word_embeddings=tied,
        bos_token_id=1, eos_token_id=2, pad_token_id=0, initializer_range=0.3,
        rope_parameters=rope or {"rope_type": "default", "rope_theta": 20000.0},
    )  # fmt: skip
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "norm" in name:
            torch.nn.init.normal_(parameter, 0.0 if name.endswith("bias") else 1.0, 0.2)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return f"hf:{folder}"


def control_tokens(words):
    return [token for token, kind in zip(words.tokens, words.types, strict=True) if kind == CONTROL]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("Llama", {"tied": False}), ("Llama", {"rope": LLAMA3, "digits": True}),
        ("Llama", {"rope": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}),
        ("Qwen2", {"pattern": next(p for p, name in PATTERNS.items() if name == "qwen2")}), ("Qwen3", {}), ("Mistral", {}),
    ],
)  # fmt: skip
def test_a_file_gives_the_tokens_and_answers_of_its_source(tmp_path, kind, options, engine):
    spec = saved(tmp_path / "base", kind, **options)
    write_gguf(open_source(spec), tmp_path / "m.gguf", name="m")
    source = registry.load("model", spec)
    loaded, how = open_gguf(tmp_path / "m.gguf", engine)
    assert how == engine
    for chat in CHATS:
        assert loaded.encode(chat) == source.encode(chat)
        expected, found = source.generate(chat, max_tokens=24), loaded.generate(chat, max_tokens=24)
        assert found.text.rstrip("\ufffd ") == expected.text.rstrip("\ufffd ")  # a character that was cut in two
        assert found.usage.input_tokens == expected.usage.input_tokens


def test_what_stands_in_a_file(tmp_path):
    spec = saved(tmp_path / "base", "Llama", digits=True)
    kind = write_gguf(open_source(spec), tmp_path / "m.gguf", name="house", facts={"approach": "finetune"})
    facts = open_gguf(tmp_path / "m.gguf", OWN)[0].facts
    assert kind == "f32" and facts["general.name"] == "house" and facts["groundtune.approach"] == "finetune"
    assert facts["tokenizer.ggml.pre"] == "smollm" and facts["tokenizer.ggml.model"] == "gpt2"
    tokens = facts["tokenizer.ggml.tokens"]
    assert tokens[facts["tokenizer.ggml.eos_token_id"]] == "<|end|>"  # what ends an answer, not the end of text
    assert tokens[facts["tokenizer.ggml.eot_token_id"]] == "</s>" and not facts["tokenizer.ggml.add_bos_token"]
    assert facts["tokenizer.ggml.token_type"][tokens.index("<|user|>")] == CONTROL
    assert not (tmp_path / ".m.gguf.part").exists()


def test_rows_are_interleaved_within_each_head():
    rows = np.arange(8).reshape(8, 1)
    assert interleave(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert interleave(np.arange(4), 1).tolist() == [0, 2, 1, 3]  # a bias


def test_marks_that_only_training_needs_are_taken_out():
    marked = "{% if a %}{%- generation -%}x{% endgeneration %}{% endif %}"
    assert plain_template(marked) == "{% if a %}x{% endif %}"


SPLIT = {"type": "Split", "pattern": {"Regex": next(iter(PATTERNS))}, "behavior": "Isolated", "invert": False}
LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([{**LEVEL, "use_regex": True}], "gpt-2"), ([SPLIT, LEVEL], "llama-bpe"),
        ([{"type": "Digits", "individual_digits": True}, {**LEVEL, "use_regex": True}], "smollm"),
        ([{"type": "Digits", "individual_digits": False}, {**LEVEL, "use_regex": True}], None), ([LEVEL], None),
        ([{**SPLIT, "pattern": {"Regex": r"\w+"}}, LEVEL], None), ([{**SPLIT, "behavior": "Removed"}, LEVEL], None),
        ([{"type": "Metaspace"}], None), ([{**LEVEL, "use_regex": True, "add_prefix_space": True}], None), ([], None),
    ],
)  # fmt: skip
def test_the_cut_of_a_text_is_decided_by_the_tokenizer_and_never_guessed(steps, expected):
    table = {"model": {"type": "BPE"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps} if steps else None}
    if expected:
        assert pre_of(table) == expected
        return
    with pytest.raises(TrainingError, match=r"llama\.cpp") as caught:
        pre_of(table)
    assert all(caught.value.sentence(lang) for lang in LANGUAGES)


def test_the_tokenizer_of_the_built_in_model_survives(tmp_path):
    source = open_source("builtin:base")
    words = read_words(source.tokenizer, source.model.config.vocab_size)
    rebuilt = build_tokenizer(words)
    texts = [
        "a  b\n\nc 2024年12月",
        "罰鍰最高新臺幣10萬元（第3條）",
        "休暇は「12日」です。\t終わり",
        "<|user|>don't<|end|>",
        "🙂 ¼ ٣",
    ]
    for text in texts:
        expected = source.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert rebuilt.encode(text, add_special_tokens=False).ids == expected
        assert rebuilt.decode(expected, skip_special_tokens=False) == text
    assert "<|end|>" in control_tokens(words)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model_type": "gpt2"}, "kind “gpt2”"),
        ({"model_type": "qwen2", "head_dim": 32}, "head_dim 32"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}}, "Positions of the kind “yarn”"),
    ],
)
def test_what_is_not_supported_is_refused_and_says_what_to_do(tmp_path, change, match):
    source = open_source(saved(tmp_path / "base", "Llama"))
    for key, value in change.items():
        setattr(source.model.config, key, value)
    with pytest.raises(TrainingError, match=match) as caught:
        write_gguf(source, tmp_path / "m.gguf", name="m")
    assert "safetensors" in str(caught.value) and all(caught.value.sentence(lang) for lang in LANGUAGES)
    assert not list(tmp_path.glob("*gguf*")) and not list(tmp_path.glob(".*gguf*"))


def test_a_tokenizer_that_is_no_byte_level_bpe_is_refused(tmp_path):
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "?": 1}, unk_token="?")))
    with pytest.raises(TrainingError, match="WordLevel"):
        read_words(words, 2)


def test_a_model_without_a_template_is_refused(tmp_path):
    import tiny_models

    tiny_models.llama(tmp_path / "base", chat_template=None)
    with pytest.raises(TrainingError, match="no chat template"):
        open_source(f"hf:{tmp_path / 'base'}")
    table = json.loads((tmp_path / "base" / "config.json").read_text())
    assert table["model_type"] == "llama"
