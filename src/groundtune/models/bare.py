"""A small Llama checkpoint opened without ``transformers``, whose import alone takes longer than the model's first answer.

``open_bare`` gives what ``HuggingFaceModel`` and ``LeanLlama`` look at: weights by their usual names, the configuration
and a tokenizer with the chat template of ``builtin:base``. A plain LoRA adapter is merged. Whatever else is asked for
(another template, DoRA, saved modules) returns None, and the caller loads the model in the ordinary way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from groundtune.models.hub import Loaded
from groundtune.models.shipped import read_json

# The chat template that ``BareTokenizer`` writes by hand; a folder with another one is not opened here. ``documents`` (title
# and text each) stand before the last question, in the form of ``text.prompts.render``.
TEMPLATE = (
    "{% set ns = namespace(shown='', last=-1) %}"
    "{% for document in (documents or []) %}{% set ns.shown = ns.shown + '[' + loop.index|string + '] '"
    " + (document['title'] or '')|trim|replace('<|', '< |') + '\\n'"
    " + document['text']|trim|replace('<|', '< |') + '\\n\\n' %}{% endfor %}"
    "{% for message in messages %}{% if message['role'] == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for message in messages %}{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}{{ '<|' + message['role'] + '|>' + (ns.shown if loop.index0 == ns.last else '')"
    " + message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
_PLAIN = {"use_dora": False, "bias": "none", "modules_to_save": None, "rank_pattern": {}, "alpha_pattern": {},
          "fan_in_fan_out": False, "trainable_token_indices": None, "target_parameters": None}  # fmt: skip


def open_bare(folder: Path, adapter: Path | None = None) -> Loaded | None:
    """Weights in float32 with the adapter merged, and the tokenizer; None when this is not a case for it."""
    if not all((folder / name).is_file() for name in _FILES) or _template(folder) != TEMPLATE:
        return None
    config = read_json(folder / "config.json")
    rope = config.get("rope_parameters") or {}
    if config.get("model_type") != "llama" or rope.get("rope_type", "default") != "default":
        return None
    lora = None if adapter is None else _lora(adapter)
    if adapter is not None and lora is None:
        return None
    import torch
    from safetensors.torch import load_file

    weights = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    if adapter is not None and lora is not None:
        _merge(weights, load_file(adapter / "adapter_model.safetensors"), lora)
    if config.get("tie_word_embeddings"):
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    theta = float(rope.get("rope_theta", 10000.0))
    weights["model.rotary_emb.inv_freq"] = theta ** (-torch.arange(0, size, 2).float() / size)
    model = _tree(weights)
    settings = SimpleNamespace(**{"head_dim": size, "rope_parameters": rope, "quantization_config": None, **config})
    settings.get_text_config = lambda: settings
    ends = read_json(folder / "generation_config.json").get("eos_token_id")
    model.config, model.generation_config = settings, SimpleNamespace(eos_token_id=ends)
    model.dtype, model.device = torch.float32, torch.device("cpu")
    count = sum(t.numel() for n, t in weights.items() if n not in ("lm_head.weight", "model.rotary_emb.inv_freq"))
    model.num_parameters = lambda: count
    return Loaded(model, BareTokenizer(folder))


class BareTokenizer:
    """The part of a transformers tokenizer that generation needs, over the ``tokenizers`` package."""

    chat_template = TEMPLATE

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self.folder = folder
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        settings = read_json(folder / "tokenizer_config.json")
        self.eos_token_id: int | None = self._tokenizer.token_to_id(settings.get("eos_token") or "")
        self.pad_token_id: int | None = self._tokenizer.token_to_id(settings.get("pad_token") or "")
        self.model_max_length = int(settings.get("model_max_length") or 10**9)

    @property
    def all_special_tokens(self) -> list[str]:
        return [token.content for token in self._tokenizer.get_added_tokens_decoder().values() if token.special]

    def get_added_vocab(self) -> dict[str, int]:
        return {token.content: number for number, token in self._tokenizer.get_added_tokens_decoder().items()}

    def apply_chat_template(
        self,
        chat: Sequence[Mapping[str, str]],
        *,
        documents: Sequence[Mapping[str, str]] | None = None,
        add_generation_prompt: bool = False,
        tokenize: bool = False,
    ) -> str:
        """What ``TEMPLATE`` gives."""
        last = max((at for at, turn in enumerate(chat) if turn["role"] == "user"), default=-1)
        shown = "".join(
            f"[{n}] {_plain(d['title'])}\n{_plain(d['text'])}\n\n" for n, d in enumerate(documents or [], 1)
        )
        turns = "".join(
            f"<|{turn['role']}|>{shown if at == last else ''}{turn['content']}<|end|>" for at, turn in enumerate(chat)
        )
        return turns + ("<|assistant|>" if add_generation_prompt else "")

    def __call__(self, text: str, *, add_special_tokens: bool = False) -> dict[str, list[int]]:
        return {"input_ids": list(self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)}

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=skip_special_tokens))

    def full(self) -> Any:  # noqa: ANN401
        """The transformers tokenizer of the same folder, for a library that wants one."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(str(self.folder), local_files_only=True)


def _plain(text: str) -> str:
    return text.strip().replace("<|", "< |")


def _template(folder: Path) -> str:
    path = folder / "chat_template.jinja"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _lora(adapter: Path) -> dict[str, Any] | None:
    """The settings of a plain LoRA adapter in safetensors with the template of the base; None for any other."""
    config = read_json(adapter / "adapter_config.json")
    plain = config.get("peft_type") == "LORA" and all(config.get(k, v) in (v, None) for k, v in _PLAIN.items())
    weights = (adapter / "adapter_model.safetensors").is_file()
    return config if plain and weights and _template(adapter) in ("", TEMPLATE) else None


def _merge(weights: dict[str, Any], lora: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """W + scale * B A for every pair of the adapter, in float32 (Hu et al. 2021)."""
    rank, alpha = config["r"], config["lora_alpha"]
    scale = alpha / rank**0.5 if config.get("use_rslora") else alpha / rank
    for name, down in lora.items():
        if name.endswith(".lora_A.weight"):
            up = lora[name.replace(".lora_A.", ".lora_B.")]
            target = name.removeprefix("base_model.model.").replace(".lora_A.weight", ".weight")
            weights[target] = weights[target] + scale * (up.float() @ down.float())


def _tree(weights: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """``{"a.0.b": t}`` as objects: ``tree.a[0].b``; numbered children become lists."""
    root: dict[str, Any] = {}
    for name, tensor in weights.items():
        *path, last = name.split(".")
        node = root
        for part in path:
            node = node.setdefault(part, {})
        node[last] = tensor

    def build(node: Any) -> Any:  # noqa: ANN401
        if not isinstance(node, dict):
            return node
        if all(key.isdigit() for key in node):
            return [build(node[key]) for key in sorted(node, key=int)]
        return SimpleNamespace(**{key: build(value) for key, value in node.items()})

    return build(root)
