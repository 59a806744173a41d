"""Rows one after the other in a single sequence, without padding, and with attention that never leaves its row.

Positions start again with every row and attention is computed row by row, so a packed batch gives each row exactly what
it would get alone: nothing is computed for padding, and no mask of the square of the batch's length is made. Whether
that holds for a model is measured before training (``trainer.verify``); rows are padded where it does not.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.tuning.rows import IGNORED

ATTENTION = "groundtune_rows"
PLAIN = "sdpa"
_KNOWN_LAYERS = {"full_attention", "sliding_attention"}


def packed_attention(
    module: Any,  # noqa: ANN401
    query: Any,  # noqa: ANN401 - (1, heads, tokens, size)
    key: Any,  # noqa: ANN401
    value: Any,  # noqa: ANN401
    attention_mask: Any = None,  # noqa: ANN401
    dropout: float = 0.0,
    scaling: float | None = None,
    row_lengths: Sequence[int] = (),
    **_: Any,  # noqa: ANN401
) -> tuple[Any, None]:
    """Causal attention within each of the rows of ``row_lengths`` tokens; output (1, tokens, heads, size)."""
    import torch

    shared = query.shape[1] // key.shape[1]
    if shared > 1:
        key, value = key.repeat_interleave(shared, dim=1), value.repeat_interleave(shared, dim=1)
    lengths = list(row_lengths) or [query.shape[2]]
    parts = [
        torch.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True, scale=scaling)
        for q, k, v in zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def can_pack(model: Any, longest: int) -> bool:  # noqa: ANN401
    """Whether the model's attention can be exchanged and reaches over its longest row, as far as its settings tell."""
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    return (
        bool(getattr(model, "_supports_attention_backend", False))
        and not getattr(config, "attn_logit_softcapping", None)
        and kinds <= _KNOWN_LAYERS
        and (window is None or longest <= window)
        and keeps_logits(model)
    )


def keeps_logits(model: Any) -> bool:  # noqa: ANN401
    """Whether the model can compute logits at chosen positions only."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters


def use_attention(model: Any, name: str) -> None:  # noqa: ANN401
    """Switch the attention of a model (not wrapped by PEFT) from the next forward pass on."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, packed_attention)
    model.config._attn_implementation = name
    model.config.get_text_config()._attn_implementation = name


def attention_of(model: Any) -> str:  # noqa: ANN401
    """The attention that a model uses."""
    return str(model.config._attn_implementation)


def pack(features: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, Any]:
    """``input_ids``, ``labels`` and ``position_ids`` of shape (1, tokens), and ``row_lengths``."""
    import torch

    lengths = tuple(len(feature["input_ids"]) for feature in features)
    table = {
        name: torch.tensor([[number for feature in features for number in feature[name]]])
        for name in ("input_ids", "labels")
    }
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    return {**table, "position_ids": positions, "row_lengths": lengths}


def pad(features: Sequence[Mapping[str, Sequence[int]]], filler: int) -> dict[str, Any]:
    """``input_ids``, ``labels`` and ``attention_mask`` of shape (rows, longest), filled up on the right."""
    import torch

    longest = max(len(feature["input_ids"]) for feature in features)

    def filled(values: Sequence[int], with_: int) -> list[int]:
        return [*values, *[with_] * (longest - len(values))]

    return {
        "input_ids": torch.tensor([filled(feature["input_ids"], filler) for feature in features]),
        "labels": torch.tensor([filled(feature["labels"], IGNORED) for feature in features]),
        "attention_mask": torch.tensor([filled([1] * len(feature["input_ids"]), 0) for feature in features]),
    }
