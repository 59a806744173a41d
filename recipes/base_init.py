"""Starts ``builtin:base`` with a working copying circuit instead of waiting for one to appear.

Small models learn to copy late: after minutes of training on two cores nothing was copied (``LOG.md``). Here layer 0 gets
two heads that look at the previous token (by position alone: a constant embedding dimension feeds queries and keys whose
rotary phases differ by one step) and layer 1 two heads that look where the previous token equals the current one and
bring the token that stands there (induction heads, Olsson et al. 2022). Everything else starts at random; all of it is
trained.
"""

from __future__ import annotations

import torch
from transformers import LlamaForCausalLM

CONTENT = slice(1, 128)  # where token identity lives at the start; dimensions 128 to 254 receive the previous token's
STD, CONSTANT = 0.06, 0.5


@torch.no_grad()
def prime(model: LlamaForCausalLM, seed: int = 0) -> None:
    """Sets embeddings and four heads in place. Needs width 256 and heads of size 64."""
    generator = torch.Generator().manual_seed(seed)
    table = model.model.embed_tokens.weight
    table.zero_()
    table[:, CONTENT] = torch.randn(table.shape[0], 127, generator=generator) * STD
    table[:, 0] = CONSTANT
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.mul_(0.2)
        layer.mlp.down_proj.weight.mul_(0.2)
    theta = 10000 ** (-torch.arange(32) / 32)
    previous, induction = model.model.layers[0].self_attn, model.model.layers[1].self_attn
    for head in range(2):
        rows = slice(64 * head, 64 * head + 64)
        for p in (previous, induction):
            for w in (p.q_proj.weight, p.k_proj.weight, p.v_proj.weight):
                w[rows] = 0
            p.o_proj.weight[:, rows] = 0
        for pair in range(10):  # fast pairs say "one step back"
            at = 64 * head + pair
            previous.k_proj.weight[at, 0] = 0.82
            previous.q_proj.weight[at, 0] = 0.82 * torch.cos(theta[pair])
            previous.q_proj.weight[at + 32, 0] = -0.82 * torch.sin(theta[pair])
        low, count = (1, 64) if head == 0 else (65, 63)
        for i in range(count):
            previous.v_proj.weight[64 * head + i, low + i] = 1.0
            previous.o_proj.weight[127 + low + i, 64 * head + i] = STD
            induction.v_proj.weight[64 * head + i, low + i] = 1.0
            induction.o_proj.weight[low + i, 64 * head + i] = 0.3
        slow = [*range(16, 32), *range(48, 64)]  # slow pairs hardly turn within a prompt: content can be matched in them
        for i, at in enumerate(slow):
            induction.q_proj.weight[64 * head + at, low + i] = 2.6
            induction.k_proj.weight[64 * head + at, 127 + low + i] = 2.6
