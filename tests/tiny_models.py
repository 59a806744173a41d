"""Tiny random models with their own tokenizer, made in seconds for tests; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPECIAL = ["<pad>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
_TEXT = [
    "The warranty lasts two years. Employees get twelve days of leave.",
    "保固期為兩年，員工每年有十二天特休假。",
    "保証期間は二年です。従業員には年十二日の休暇があります。",
    '{"answer": "two years", "source": "Warranty"}',
]


def tokenizer(chat_template: str | None = CHAT_TEMPLATE) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=_SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(_TEXT * 3, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
        additional_special_tokens=_SPECIAL[3:], model_max_length=2048,
    )  # fmt: skip
    fast.chat_template = chat_template
    return fast


def llama(folder: Path, *, chat_template: str | None = CHAT_TEMPLATE, seed: int = 0, context: int = 512) -> Path:
    """A random three-layer Llama (grouped-query attention, tied embeddings) saved to ``folder``."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer(chat_template)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=context, tie_word_embeddings=True,
        bos_token_id=1, eos_token_id=2, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def adapter(base: Path, folder: Path, *, seed: int = 1) -> Path:
    """A random LoRA adapter over ``base`` that changes its output."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    targets = ["q_proj", "v_proj", "down_proj"]
    settings = LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings).save_pretrained(folder)
    return folder


def encoder(folder: Path, *, scores: bool = False, seed: int = 3) -> Path:
    """A random two-layer BERT saved to ``folder``: an encoder, or a cross-encoder with one output."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    words = tokenizer(None)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=128, num_labels=1, pad_token_id=0, initializer_range=0.5,
    )  # fmt: skip
    (BertForSequenceClassification if scores else BertModel)(config).save_pretrained(folder)
    words.model_max_length = 128
    words.save_pretrained(folder)
    return folder
