"""A GGUF file read back and run by this file alone, to check what was written where llama.cpp is not installed.

Everything comes from the file: settings, tokens, chat template, weights (dequantised). The arithmetic is llama.cpp's as
its graphs state it (pairs rotated for ``llama``, halves for ``qwen2`` and ``qwen3``), so a wrong permutation, base of
rotation or token id shows in the answers. Slow and plain; not for serving.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.registry import missing
from groundtune.tuning.gguf_words import Words, build_tokenizer
from groundtune.types import Generation, Message, Usage

Tensor = Any


@dataclass(frozen=True)
class _Shape:
    """Settings of the file by their GGUF names."""

    layers: int
    heads: int
    groups: int
    size: int
    eps: float
    pairs: bool


class GgufModel:
    """Fills ``ports.Model`` (greedy only). Raises ``MissingExtra`` without the export extra."""

    def __init__(self, path: Path) -> None:
        try:
            from gguf import GGUFReader
        except ModuleNotFoundError as error:
            raise missing(error, "groundtune export --to gguf") from error
        self.name = f"gguf:{path.name}"
        reader = GGUFReader(str(path))
        self.facts: dict[str, Any] = {key: field.contents() for key, field in reader.fields.items()}
        self._weights = _weights(reader)
        arch = str(self.facts["general.architecture"])
        get = {key.removeprefix(f"{arch}."): value for key, value in self.facts.items()}
        self._shape = _Shape(
            layers=int(get["block_count"]),
            heads=int(get["attention.head_count"]),
            groups=int(get["attention.head_count_kv"]),
            size=int(get["attention.key_length"]),
            eps=float(get["attention.layer_norm_rms_epsilon"]),
            pairs=arch == "llama",
        )
        self.context = int(get["context_length"])
        self._turn = self._rotations(float(get["rope.freq_base"]), float(get.get("rope.scaling.factor", 1.0)))
        self._words = _words(self.facts)
        self._tokenizer = build_tokenizer(self._words)
        known = [self.facts.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot")]
        self.ends = frozenset(int(end) for end in known if end is not None)

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the chat, ready for the assistant's turn."""
        return list(self._tokenizer.encode(self._templated(messages), add_special_tokens=False).ids)

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """The greedy answer; the other settings are not used."""
        import torch

        started = time.perf_counter()
        prompt = self.encode(messages)
        keys: list[Tensor] = [None] * self._shape.layers
        values: list[Tensor] = [None] * self._shape.layers
        wrote: list[int] = []
        finished = False
        with torch.inference_mode():
            ids, place = prompt, 0
            for _ in range(min(max_tokens, self.context - len(prompt))):
                chosen = int(self._forward(ids, place, keys, values).argmax())
                place += len(ids)
                if chosen in self.ends:
                    finished = True
                    break
                wrote.append(chosen)
                ids = [chosen]
        text = self._tokenizer.decode(wrote, skip_special_tokens=True)
        usage = Usage(len(prompt), len(wrote) + finished)
        return Generation(text.strip(), usage, time.perf_counter() - started, self.name, finished)

    def _templated(self, messages: Sequence[Message]) -> str:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _refuse
        tokens = self._words.tokens
        marks = {"bos_token": self._words.bos, "eos_token": self._words.eos}
        options = {name: tokens[number] if number is not None else "" for name, number in marks.items()}
        template = environment.from_string(str(self.facts["tokenizer.chat_template"]))
        return str(template.render(messages=[m.as_dict() for m in messages], add_generation_prompt=True, **options))

    def _rotations(self, base: float, factor: float) -> Tensor:
        """Angle per position step of each rotated pair, (size / 2,)."""
        import torch

        half = torch.arange(0, self._shape.size, 2).float() / self._shape.size
        slow = self._weights.get("rope_freqs.weight")
        return base**-half / (slow if slow is not None else 1.0) / factor

    def _rotate(self, x: Tensor, place: int) -> Tensor:
        """Positions into queries or keys of shape (heads, tokens, size)."""
        import torch

        angle = torch.outer(torch.arange(place, place + x.shape[1]).float(), self._turn)
        cosine, sine = angle.cos(), angle.sin()
        if self._shape.pairs:
            a, b = x[..., 0::2], x[..., 1::2]
            return torch.stack([a * cosine - b * sine, a * sine + b * cosine], -1).flatten(-2)
        a, b = x.chunk(2, -1)
        return torch.cat([a * cosine - b * sine, a * sine + b * cosine], -1)

    def _forward(self, ids: Sequence[int], place: int, keys: list[Tensor], values: list[Tensor]) -> Tensor:
        """Logits (vocabulary,) after ``ids``, which stand at ``place``; appends to keys and values."""
        import torch
        import torch.nn.functional as F  # noqa: N812 - the name that everyone uses

        w, shape = self._weights, self._shape
        x = w["token_embd.weight"][torch.tensor(list(ids))]
        ends = torch.arange(place, place + len(ids))
        mask = torch.arange(place + len(ids))[None, :] <= ends[:, None]
        for layer in range(shape.layers):
            at = f"blk.{layer}."
            y = self._norm(x, w[at + "attn_norm.weight"])
            q, k, v = (self._heads(y, f"{at}attn_{part}") for part in "qkv")
            k, v = self._rotate(k, place), v
            keys[layer] = k if keys[layer] is None else torch.cat([keys[layer], k], 1)
            values[layer] = v if values[layer] is None else torch.cat([values[layer], v], 1)
            z = F.scaled_dot_product_attention(
                self._rotate(q, place)[None], keys[layer][None], values[layer][None], attn_mask=mask, enable_gqa=True
            )
            x = x + z[0].transpose(0, 1).flatten(1) @ w[at + "attn_output.weight"].T
            y = self._norm(x, w[at + "ffn_norm.weight"])
            x = (
                x
                + (F.silu(y @ w[at + "ffn_gate.weight"].T) * (y @ w[at + "ffn_up.weight"].T))
                @ w[at + "ffn_down.weight"].T
            )
        last = self._norm(x[-1:], w["output_norm.weight"])[0]
        logits: Tensor = w.get("output.weight", w["token_embd.weight"]) @ last
        return logits

    def _heads(self, y: Tensor, name: str) -> Tensor:
        """One projection with its bias and norm, when the file has them, as (heads, tokens, size)."""
        x = y @ self._weights[f"{name}.weight"].T
        bias = self._weights.get(f"{name}.bias")
        x = x if bias is None else x + bias
        x = x.view(len(y), -1, self._shape.size).transpose(0, 1)
        norm = self._weights.get(f"{name}_norm.weight")
        return x if norm is None else self._norm(x, norm)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        import torch

        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self._shape.eps) * weight


def _weights(reader: Any) -> dict[str, Tensor]:  # noqa: ANN401
    import numpy as np
    import torch
    from gguf.quants import dequantize

    found: dict[str, Tensor] = {}
    for tensor in reader.tensors:
        array = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        found[tensor.name] = torch.from_numpy(array.reshape(tuple(int(n) for n in reversed(tensor.shape))))
    return found


def _words(facts: Mapping[str, Any]) -> Words:
    def number(name: str) -> int | None:
        value = facts.get(f"tokenizer.ggml.{name}_token_id")
        return None if value is None else int(value)

    return Words(
        tokens=tuple(facts["tokenizer.ggml.tokens"]),
        types=tuple(int(kind) for kind in facts["tokenizer.ggml.token_type"]),
        merges=tuple(facts["tokenizer.ggml.merges"]),
        pre=str(facts["tokenizer.ggml.pre"]),
        bos=number("bos"),
        eos=number("eos"),
        pad=number("padding"),
        adds_bos=bool(facts.get("tokenizer.ggml.add_bos_token", False)),
    )


def _refuse(message: str) -> str:
    raise ValueError(message)
