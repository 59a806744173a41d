"""A lean decoder for small Llama-architecture models on one CPU thread.

At a few million parameters the time of ``generate`` goes into Python and into matrix-vector products on row-major
weights. Here the projections are fused and stored transposed, the gains of the norms and the scale of the scores are
folded into them, and the two halves that a rotation mixes lie side by side, so that it is one complex product. One chat
is decoded with vectors and about twelve operations a layer. The tokens are those of the reference implementation, which
a test holds. Prompts are read in blocks at fixed places, so a block that the previous prompt shares is reused and the
result is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Tensor = Any  # torch.Tensor; torch is imported inside functions only
BLOCK = 128  # tokens
LARGEST = 60_000_000  # parameters; above it the arithmetic dominates and the copy of the weights is not worth it


@dataclass(frozen=True)
class _Layer:
    """Transposed, fused weights of one layer: (in, out)."""

    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass
class _Cache:
    """Keys and values by layer, each (rows, kv heads, capacity, head size); the first ``used`` places are filled."""

    keys: list[Tensor]
    values: list[Tensor]
    used: int = 0


def fits(model: Any) -> bool:  # noqa: ANN401 - a transformers model
    """True when ``LeanLlama`` computes exactly this model: plain Llama, float32, on the CPU, small."""
    config = model.config
    rope = getattr(config, "rope_parameters", None) or {}
    return (
        config.model_type == "llama"
        and not getattr(config, "attention_bias", False)
        and not getattr(config, "mlp_bias", False)
        and config.hidden_act == "silu"
        and getattr(config, "quantization_config", None) is None
        and rope.get("rope_type", "default") in ("default", "linear", "llama3")
        and str(model.dtype) == "torch.float32"
        and model.device.type == "cpu"
        and model.num_parameters() <= LARGEST
    )


class LeanLlama:
    """Greedy or sampled decoding of a transformers ``LlamaForCausalLM``. Not thread-safe; the caller holds a lock."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        import torch

        config = model.config
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.size = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.eps = config.rms_norm_eps
        with torch.no_grad():
            self.layers = [self._layer(layer) for layer in model.model.layers]
            self.embedding = model.model.embed_tokens.weight.detach()
            self.head = (model.lm_head.weight * model.model.norm.weight).t().contiguous()
            places = torch.arange(config.max_position_embeddings, dtype=torch.float32)
            angle = torch.outer(places, model.model.rotary_emb.inv_freq.float())
            self.turn = torch.polar(torch.ones_like(angle), angle)  # (places, head size / 2), complex
        self._shared_ids: list[int] = []
        self._shared: _Cache | None = None

    def _layer(self, layer: Any) -> _Layer:  # noqa: ANN401
        import torch

        a, m = layer.self_attn, layer.mlp
        query = self._paired(a.q_proj.weight) * self.size**-0.5
        qkv = torch.cat([query, self._paired(a.k_proj.weight), a.v_proj.weight])
        return _Layer(
            (qkv * layer.input_layernorm.weight).t().contiguous(),
            a.o_proj.weight.t().contiguous(),
            (torch.cat([m.gate_proj.weight, m.up_proj.weight]) * layer.post_attention_layernorm.weight)
            .t()
            .contiguous(),
            m.down_proj.weight.t().contiguous(),
        )

    def _paired(self, weight: Tensor) -> Tensor:
        """Rows of each head in the order 0, n/2, 1, n/2 + 1, …: what ``rotate_half`` mixes lies side by side."""
        return weight.view(-1, 2, self.size // 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)

    def decode(
        self, prompts: Sequence[Sequence[int]], choose: Callable[[Tensor], list[int]], steps: Sequence[int]
    ) -> list[int]:
        """Feed ``prompts`` and call ``choose`` with logits (rows, vocabulary) after each step until it returns an
        empty list or every row has had its ``steps``. Returns how many tokens of each prompt were reused.
        """
        import torch

        with torch.inference_mode():
            read = [self._read(list(prompt)) for prompt in prompts]
            longest = max(cache.used for cache, _, _ in read)
            cache = self._join([cache for cache, _, _ in read], longest + max(steps))
            pad = torch.tensor([longest - one.used for one, _, _ in read])
            chosen = choose(torch.stack([logits for _, logits, _ in read]))
            for _ in range(max(steps) - 1):
                if not chosen:
                    break
                chosen = choose(self._step(chosen, cache, pad))
        return [reused for _, _, reused in read]

    def _read(self, ids: list[int]) -> tuple[_Cache, Tensor, int]:
        """Cache after ``ids``, logits of the next token (vocabulary,) and the number of tokens that were reused."""
        reused = self._common(ids)
        cache = self._empty(len(ids))
        if reused and self._shared:
            for mine, shared in zip(cache.keys + cache.values, self._shared.keys + self._shared.values, strict=True):
                mine[:, :, :reused] = shared[:, :, :reused]
            cache.used = reused
        hidden = None
        for start in range(reused, len(ids), BLOCK):
            hidden = self._block(ids[start : start + BLOCK], cache)
        self._shared_ids, self._shared = ids, cache
        assert hidden is not None
        return cache, self._logits(hidden[-1:])[0], reused

    def _common(self, ids: list[int]) -> int:
        """Tokens of whole blocks shared with the previous prompt; at least one token is always left to read."""
        same = 0
        for ours, theirs in zip(ids[:-1], self._shared_ids, strict=False):
            if ours != theirs:
                break
            same += 1
        return same // BLOCK * BLOCK

    def _empty(self, capacity: int, rows: int = 1) -> _Cache:
        import torch

        shape = (rows, self.groups, capacity, self.size)
        return _Cache([torch.zeros(shape) for _ in self.layers], [torch.zeros(shape) for _ in self.layers])

    def _join(self, caches: list[_Cache], capacity: int) -> _Cache:
        """One cache of many rows, right-aligned so that all rows write at the same place."""
        joined = self._empty(capacity, len(caches))
        joined.used = max(cache.used for cache in caches)
        for row, cache in enumerate(caches):
            for mine, theirs in zip(joined.keys + joined.values, cache.keys + cache.values, strict=True):
                mine[row, :, joined.used - cache.used : joined.used] = theirs[0, :, : cache.used]
        return joined

    def _block(self, ids: list[int], cache: _Cache) -> Tensor:
        """Hidden states (tokens, width) of ``ids``, which follow what ``cache`` holds."""
        import torch

        start, end = cache.used, cache.used + len(ids)
        mask = torch.arange(end)[None, :] <= torch.arange(start, end)[:, None]
        return self._forward(self.embedding[torch.tensor(ids)], 1, self.turn[start:end], cache, mask)

    def _step(self, tokens: list[int], cache: _Cache, pad: Tensor) -> Tensor:
        """Logits (rows, vocabulary) after one more token per row; ``pad`` is the empty space left of each row."""
        import torch

        if len(tokens) == 1:
            return self._one(tokens[0], cache)
        mask = None
        if bool(pad.any()):
            mask = (torch.arange(cache.used + 1)[None, :] >= pad[:, None])[:, None, None, :]
        turn = self.turn[cache.used - pad][:, None, None]
        return self._logits(self._forward(self.embedding[torch.tensor(tokens)], len(tokens), turn, cache, mask))

    def _one(self, token: int, cache: _Cache) -> Tensor:
        """``_step`` of a single row: vectors instead of matrices, no mask, few operations."""
        import torch
        import torch.nn.functional as F  # noqa: N812

        heads, groups, size, at = self.heads, self.groups, self.size, cache.used
        cache.used = at + 1
        x, turn = self.embedding[token], self.turn[at]
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            y = torch.mv(layer.qkv.t(), x).mul_(self._scale(x))
            turned = y[: (heads + groups) * size].view(heads + groups, size // 2, 2)
            turned = torch.view_as_real(torch.view_as_complex(turned) * turn).view(heads + groups, size)
            keys[0, :, at] = turned[heads:]
            values[0, :, at] = y[(heads + groups) * size :].view(groups, size)
            scores = torch.bmm(turned[:heads].view(groups, -1, size), keys[0, :, : at + 1].transpose(1, 2))
            mixed = torch.bmm(scores.softmax(-1), values[0, :, : at + 1])
            x = torch.addmv(x, layer.out.t(), mixed.view(-1))
            gate, up = torch.mv(layer.gate_up.t(), x).mul_(self._scale(x)).chunk(2)
            x = torch.addmv(x, layer.down.t(), F.silu(gate).mul_(up))
        return (torch.mv(self.head.t(), x) * self._scale(x))[None]

    def _scale(self, x: Tensor) -> float:
        """What RMS normalisation multiplies the vector ``x`` with."""
        import torch

        return float((float(torch.dot(x, x)) / len(x) + self.eps) ** -0.5)

    def _logits(self, x: Tensor) -> Tensor:
        return self._normed(x) @ self.head

    def _normed(self, x: Tensor) -> Tensor:
        import torch.nn.functional as F  # noqa: N812 - the name that everyone uses

        return F.rms_norm(x, (x.shape[-1],), None, self.eps)

    def _forward(self, x: Tensor, rows: int, turn: Tensor, cache: _Cache, mask: Tensor) -> Tensor:
        """Hidden states (rows * tokens, width) through all layers; keys and values are appended to ``cache``."""
        import torch
        import torch.nn.functional as F  # noqa: N812

        tokens = x.shape[0] // rows
        heads, both = self.heads, self.heads + self.groups
        start, end = cache.used, cache.used + tokens
        for layer, keys, values in zip(self.layers, cache.keys, cache.values, strict=True):
            y = (self._normed(x) @ layer.qkv).view(rows, tokens, both + self.groups, self.size).transpose(1, 2)
            pairs = torch.view_as_complex(y[:, :both].unflatten(-1, (-1, 2)))
            turned = torch.view_as_real(pairs * turn).flatten(-2)
            keys[:, :, start:end] = turned[:, heads:]
            values[:, :, start:end] = y[:, both:]
            y = F.scaled_dot_product_attention(
                turned[:, :heads], keys[:, :, :end], values[:, :, :end], attn_mask=mask, scale=1.0, enable_gqa=True
            )
            x = x + y.transpose(1, 2).reshape(rows * tokens, heads * self.size) @ layer.out
            gate, up = (self._normed(x) @ layer.gate_up).chunk(2, -1)
            x = x + (F.silu(gate) * up) @ layer.down
        cache.used = end
        return x
