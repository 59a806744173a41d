"""The network of ``builtin:reader`` in torch, for training. ``groundtune.models.reader`` is the same in NumPy.

Hashed embeddings and match features -> shared convolution encoder -> context-question attention -> convolutions and
self-attention -> start, end and no-answer logits (position 0 is the no-answer sentinel).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from groundtune.models.reader_features import BUCKETS, IDS, MATCHES


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6).to(x.dtype) * self.gain


class Conv(nn.Module):
    """x + relu(W · [x(-2) .. x(+2)]): five shifted copies and one matrix (fast backwards on a CPU)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.mix = nn.Linear(5 * width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        y = self.norm(x) * mask
        padded = F.pad(y, (0, 0, 2, 2))
        n = x.shape[1]
        shifted = torch.cat([padded[:, i : i + n] for i in range(5)], dim=-1)
        return x + F.relu(self.mix(shifted))


class Attend(nn.Module):
    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = Norm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm(x)).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5
        scores = scores.float().masked_fill(mask.squeeze(-1)[:, None, None, :] == 0, -1e4).softmax(-1).to(x.dtype)
        return x + self.out((scores @ v).transpose(1, 2).reshape(b, n, d))


class Feed(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(F.relu(self.up(self.norm(x))))


class ReaderNet(nn.Module):
    def __init__(self, width: int = 128, embed: int = 64, stacks: int = 3) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(BUCKETS, embed, mode="sum")
        nn.init.normal_(self.embed.weight, std=0.1)
        self.into = nn.Linear(embed + MATCHES, width)
        self.sentinel = nn.Parameter(torch.zeros(width))
        self.encoder = nn.ModuleList([Conv(width), Conv(width)])
        self.similar = nn.Linear(width, width, bias=False)
        self.merge = nn.Linear(4 * width, width)
        self.stacks = nn.ModuleList(
            [nn.ModuleList([Conv(width), Conv(width), Attend(width), Feed(width)]) for _ in range(stacks)]
        )
        self.norm = Norm(width)
        self.heads = nn.Linear(width, 2)

    def encode(self, ids: torch.Tensor, match: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        b, n, _ = ids.shape
        e = self.embed(ids.reshape(b * n, IDS)).view(b, n, -1)
        x = self.into(torch.cat([F.dropout(e, 0.1, self.training), match.to(e.dtype)], dim=-1))
        for block in self.encoder:
            x = block(x, mask)
        return x * mask

    def forward(
        self, c_ids: torch.Tensor, c_match: torch.Tensor, c_len: torch.Tensor, q_ids: torch.Tensor, q_match: torch.Tensor, q_len: torch.Tensor
    ) -> torch.Tensor:
        """Logits (batch, 1 + passage units, 2); padding is -1e4."""
        dtype = self.into.weight.dtype
        c_mask = (torch.arange(c_ids.shape[1])[None] < c_len[:, None]).to(dtype)[..., None]
        q_mask = (torch.arange(q_ids.shape[1])[None] < q_len[:, None]).to(dtype)[..., None]
        c = self.encode(c_ids, c_match, c_mask)
        q = self.encode(q_ids, q_match, q_mask)
        scores = self.similar(c) @ q.transpose(1, 2) * c.shape[-1] ** -0.5
        hide_q, hide_c = q_mask.squeeze(-1)[:, None, :] == 0, c_mask.squeeze(-1)[:, :, None] == 0
        to_q = scores.float().masked_fill(hide_q, -1e4).softmax(-1).to(dtype)
        to_c = scores.float().masked_fill(hide_c, -1e4).softmax(1).to(dtype)
        a = to_q @ q
        back = to_q @ (to_c.transpose(1, 2) @ c)
        x = F.relu(self.merge(torch.cat([c, a, c * a, c * back], dim=-1)))
        x = torch.cat([self.sentinel.expand(x.shape[0], 1, -1), x], dim=1)
        mask = torch.cat([torch.ones_like(c_mask[:, :1]), c_mask], dim=1)
        x = x * mask
        for first, second, attend, feed in self.stacks:
            x = feed(attend(second(first(x, mask), mask), mask))
        logits = self.heads(self.norm(x)).float()
        return logits.masked_fill(mask == 0, -1e4)
