"""Rows one after the other in a single sequence, without padding, and with attention that never leaves its row.

Positions start again with every row and attention is computed row by row, so a packed batch gives each row exactly what
it would get alone: nothing is computed for padding, and no mask of the square of the batch's length is made. Whether
that holds for a model is measured before training (``trainer.verify``); rows are padded where it does not.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from groundtune.tuning.rows import IGNORED

ATTENTION = "groundtune_rows"
PLAIN = "sdpa"
INPUTS = ("attention_mask", "position_ids", "row_lengths", "shared")  # of a batch, beside its tokens
_WORTH = 8  # shared tokens; fewer save nothing
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
    shared: int = 0,
    **_: Any,  # noqa: ANN401
) -> tuple[Any, None]:
    """Causal attention within each of the rows of ``row_lengths`` tokens, which stand behind ``shared`` tokens that all of
    them begin with; output (1, tokens, heads, size).
    """
    import torch

    times = query.shape[1] // key.shape[1]
    if times > 1:
        key, value = key.repeat_interleave(times, dim=1), value.repeat_interleave(times, dim=1)
    lengths = [*([shared] if shared else []), *(row_lengths or [query.shape[2] - shared])]
    queries, keys, values = (tensor.split(lengths, 2) for tensor in (query, key, value))
    attend = torch.nn.functional.scaled_dot_product_attention
    parts = []
    for number, (q, k, v) in enumerate(zip(queries, keys, values, strict=True)):
        if not shared or not number:
            parts.append(attend(q, k, v, dropout_p=dropout, is_causal=True, scale=scaling))
            continue
        k, v = torch.cat([keys[0], k], dim=2), torch.cat([values[0], v], dim=2)
        seen = _behind(q.shape[2], shared, q.device)
        parts.append(attend(q, k, v, attn_mask=seen, dropout_p=dropout, scale=scaling))
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


def _behind(own: int, shared: int, device: Any) -> Any:  # noqa: ANN401
    """Which of ``shared`` + ``own`` tokens each of the ``own`` ones sees: (own, shared + own)."""
    import torch

    return torch.ones(own, shared + own, dtype=torch.bool, device=device).tril(diagonal=shared)


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
    """``input_ids``, ``labels`` and ``position_ids`` of shape (1, tokens), and ``row_lengths``: how many tokens each row
    has behind the first ``shared`` ones, which stand there once for all rows.
    """
    import torch

    shared = shared_tokens(features)
    lengths = tuple(len(feature["input_ids"]) - shared for feature in features)
    first = features[0]
    table = {
        name: torch.tensor(
            [[*first[name][:shared], *(number for feature in features for number in feature[name][shared:])]]
        )
        for name in ("input_ids", "labels")
    }
    places = [torch.arange(shared), *(torch.arange(shared, shared + length) for length in lengths)]
    return {**table, "position_ids": torch.cat(places)[None], "row_lengths": lengths, "shared": shared}


def shared_tokens(features: Sequence[Mapping[str, Sequence[int]]]) -> int:
    """How many tokens all rows begin with; each keeps a token of its own before the first trained one. 0 when there are
    too few to be worth it.
    """
    if len(features) < 2:
        return 0
    free = min(sum(1 for _ in takewhile(lambda label: label == IGNORED, f["labels"])) for f in features) - 1
    columns = zip(*(feature["input_ids"] for feature in features), strict=False)
    same = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    shared = min(free, same)
    return shared if shared >= _WORTH else 0


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
