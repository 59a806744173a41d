"""The network of ``builtin:reader`` in torch, for training. ``groundtune.models.reader`` is the same in NumPy.

Hashed embeddings and match features -> shared encoder (convolutions, self-attention) -> context-question attention ->
stacks of convolutions, attention to the question, self-attention and a feed-forward layer -> start, end and no-answer
logits (position 0 is the no-answer sentinel).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from groundtune.models.reader_units import BUCKETS, IDS, MATCHES


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, (x.shape[-1],), self.gain)


class Drop(nn.Module):
    """Whole channels of one text are dropped: as good a regulariser here as per-element dropout, and almost free."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.share:
            return x
        kept = torch.rand(x.shape[0], 1, x.shape[2]) >= self.share
        return x * (kept.to(x.dtype) / (1 - self.share))


class Conv(nn.Module):
    """x + relu(W · [x(-2) .. x(+2)]): five shifted copies and one matrix (fast backwards on a CPU)."""

    def __init__(self, width: int, drop: float) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.mix = nn.Linear(5 * width, width)
        self.drop = Drop(drop)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        padded = F.pad(self.norm(x) * mask, (0, 0, 2, 2))
        n = x.shape[1]
        shifted = torch.cat([padded[:, i : i + n] for i in range(5)], dim=-1)
        return x + self.drop(F.relu(self.mix(shifted)))


def heads_of(x: torch.Tensor, heads: int) -> torch.Tensor:
    b, n, d = x.shape
    return x.view(b, n, heads, d // heads).transpose(1, 2)


class Attend(nn.Module):
    """Self-attention, or attention to the question when it is given."""

    def __init__(self, width: int, drop: float, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.norm = Norm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.keyvalue = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.drop = Drop(drop)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
        y = self.norm(x)
        k, v = self.keyvalue(y if other is None else other).chunk(2, dim=-1)
        q, k, v = (heads_of(t, self.heads) for t in (self.query(y), k, v))
        scores = q @ (k * (k.shape[-1] ** -0.5)).transpose(-1, -2)  # the fused kernel is five times slower backwards here
        mixed = (scores + (mask.transpose(1, 2)[:, None] - 1) * 1e4).softmax(-1) @ v
        return x + self.drop(self.out(mixed.transpose(1, 2).reshape(x.shape)))


class Feed(nn.Module):
    def __init__(self, width: int, drop: float) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.drop = Drop(drop)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.drop(self.down(F.relu(self.up(self.norm(x)))))


class ReaderNet(nn.Module):
    def __init__(self, width: int = 128, embed: int = 64, stacks: int = 3, drop: float = 0.1) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(BUCKETS, embed, mode="sum", sparse=True)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.into = nn.Linear(embed + MATCHES, width)
        self.sentinel = nn.Parameter(torch.zeros(width))
        self.encoder = nn.ModuleList([Conv(width, drop), Conv(width, drop)])
        self.look = Attend(width, drop)
        self.similar = nn.Linear(width, width, bias=False)
        self.merge = nn.Linear(4 * width, width)
        self.stacks = nn.ModuleList(
            [
                nn.ModuleList([Conv(width, drop), Conv(width, drop), Attend(width, drop), Attend(width, drop), Feed(width, drop)])
                for _ in range(stacks)
            ]
        )
        self.norm = Norm(width)
        self.heads = nn.Linear(width, 2)
        self.drop = Drop(drop)

    def encode(self, ids: torch.Tensor, match: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        b, n, _ = ids.shape
        e = self.embed(ids.reshape(b * n, IDS)).view(b, n, -1).to(self.into.weight.dtype)
        if self.training:  # a unit now and then is seen by its match features alone
            e = e * (torch.rand(b, n, 1) >= 0.04)
        x = self.into(torch.cat([self.drop(e), match.to(e.dtype)], dim=-1))
        for block in self.encoder:
            x = block(x, mask)
        return self.look(x, mask) * mask

    def forward(
        self, c_ids: torch.Tensor, c_match: torch.Tensor, c_len: torch.Tensor, q_ids: torch.Tensor, q_match: torch.Tensor, q_len: torch.Tensor
    ) -> torch.Tensor:
        """Logits (batch, 1 + passage units, 2); padding is -1e4."""
        dtype = self.into.weight.dtype
        c_mask = (torch.arange(c_ids.shape[1])[None] < c_len[:, None]).to(dtype)[..., None]
        q_mask = (torch.arange(q_ids.shape[1])[None] < q_len[:, None]).to(dtype)[..., None]
        c = self.encode(c_ids, c_match, c_mask)
        q = self.encode(q_ids, q_match, q_mask)
        scores = (self.similar(c) @ q.transpose(1, 2)).float() * c.shape[-1] ** -0.5
        to_q = (scores + (q_mask.transpose(1, 2).float() - 1) * 1e4).softmax(-1).to(dtype)
        to_c = (scores + (c_mask.float() - 1) * 1e4).softmax(1).to(dtype)
        a = to_q @ q
        back = to_q @ (to_c.transpose(1, 2) @ c)
        x = F.relu(self.merge(torch.cat([c, a, c * a, c * back], dim=-1)))
        x = torch.cat([self.sentinel.expand(x.shape[0], 1, -1), x], dim=1)
        mask = torch.cat([torch.ones_like(c_mask[:, :1]), c_mask], dim=1)
        x = x * mask
        for first, second, ask, attend, feed in self.stacks:
            x = second(first(x, mask), mask)
            x = ask(x, q_mask, q)
            x = feed(attend(x, mask))
        logits = self.heads(self.norm(x)).float()
        return logits + (mask.float() - 1) * 1e4
