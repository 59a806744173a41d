"""The network of ``builtin:reader`` in torch, for training. ``groundtune.models.reader_network`` is the same in NumPy.

Hashed embeddings and match features -> shared encoder (convolution, gated recurrence both ways, self-attention) ->
context-question attention -> stacks of convolution, recurrence, attention to the question, self-attention and a feed-forward
layer -> start, end and no-answer logits (position 0 is the no-answer sentinel).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from groundtune.models.reader_network import FAR
from groundtune.models.reader_units import IDS, MATCHES


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, (x.shape[-1],), self.gain)


class Drop(nn.Module):
    """Dropout of single values. The masks are parts of a pool drawn once per share: drawing them anew takes longer than what
    is done with them."""

    pools: dict[float, torch.Tensor] = {}  # noqa: RUF012

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.share:
            return x
        pool = self.pools.get(self.share)
        if pool is None or len(pool) < 2 * x.numel():
            pool = self.pools[self.share] = (torch.rand(max(1 << 23, 4 * x.numel())) >= self.share).float() / (1 - self.share)
        at = int(torch.randint(len(pool) - x.numel(), ()))
        return x * pool[at : at + x.numel()].view(x.shape).to(x.dtype)


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


class Gated(torch.autograd.Function):
    """gate · tanh(c), c[t] = keep c[t - 1] + (1 - keep) new (n, b, 2 d) of ``z`` (n, b, 6 d): new, and keep and gate before their
    sigmoid; of each the half that runs forward first, then the one that runs from the end. ``inside`` (n, b, 1) is 0 in padding.
    Written out, because autograd would keep a graph of every step and a dozen copies.
    """

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        new, keep, gate = z.chunk(3, dim=-1)
        new, keep, gate = new * inside, torch.sigmoid(keep), torch.sigmoid(gate)
        state = torch.addcmul(new, keep, new, value=-1)
        scan(keep, state)
        said = torch.tanh(state)
        ctx.save_for_backward(inside, new, keep, gate, state, said)
        return gate * said

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        inside, new, keep, gate, state, said = ctx.saved_tensors
        d = state.shape[-1] // 2
        to_z = state.new_empty(*state.shape[:2], 6 * d)
        to_new, to_keep, to_gate = to_z.chunk(3, dim=-1)
        torch.ops.aten.sigmoid_backward.grad_input(gradient * said, gate, grad_input=to_gate)
        to_state = torch.ops.aten.tanh_backward(gradient * gate, said)
        later = torch.zeros_like(keep)  # what the next step keeps of this one
        later[:-1, :, :d], later[1:, :, d:] = keep[1:, :, :d], keep[:-1, :, d:]
        scan(later, to_state, back=True)
        before = new.neg()
        before[1:, :, :d] += state[:-1, :, :d]
        before[:-1, :, d:] += state[1:, :, d:]
        torch.ops.aten.sigmoid_backward.grad_input(before.mul_(to_state), keep, grad_input=to_keep)
        torch.mul(torch.addcmul(to_state, to_state, keep, value=-1), inside, out=to_new)
        return to_z, None


def scan(keep: torch.Tensor, state: torch.Tensor, back: bool = False) -> None:
    """In place, over the first axis: state[t] += keep[t] state[t - 1] in the first half of the channels and
    keep[t] state[t + 1] in the second; ``back`` swaps the directions.
    """
    halves = [list(zip(k.unbind(), s.unbind(), strict=True)) for k, s in zip(keep.chunk(2, -1), state.chunk(2, -1), strict=True)]
    halves[0 if back else 1].reverse()
    for steps in halves:
        before = steps[0][1]
        for k, s in steps[1:]:
            before = s.addcmul_(k, before)


class Recur(nn.Module):
    """x + W · (gate · tanh(c)), where c runs over the text in both directions (``Gated``), and gate, keep and new depend on x[t]
    alone (Lei et al. 2018, Simple Recurrent Units, without their recurrent weights)."""

    def __init__(self, width: int, drop: float) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.into = nn.Linear(width, 6 * width)  # new, keep, gate; of each the forward half first
        self.into.bias.data[2 * width : 4 * width] = torch.linspace(-1, 3, width).repeat(2)  # from short to long memory
        self.out = nn.Linear(2 * width, width)
        self.drop = Drop(drop)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        z = self.into(self.norm(x).transpose(0, 1).contiguous())
        said = self.out(Gated.apply(z, mask.transpose(0, 1).contiguous()))
        return x + self.drop(said.transpose(0, 1))


def heads_of(x: torch.Tensor, heads: int) -> torch.Tensor:
    b, n, d = x.shape
    return x.view(b, n, heads, d // heads).transpose(1, 2)


class Toeplitz(torch.autograd.Function):
    """(heads, n, n): ``near`` (heads, 2 n - 1) at the place n - 1 + column - row. Backwards the diagonals are summed by writing
    rows of n zeros and n values under each other, one column to the left each time; ``unfold`` does it value by value."""

    @staticmethod
    def forward(ctx: object, near: torch.Tensor) -> torch.Tensor:
        n = (near.shape[1] + 1) // 2
        return near.unfold(1, n, 1).flip(1)

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
        heads, n, _ = gradient.shape
        skewed = F.pad(gradient.flip(1), (0, n)).reshape(heads, 2 * n * n)[:, : n * (2 * n - 1)]
        return skewed.view(heads, n, 2 * n - 1).sum(1)


def distances(near: torch.Tensor, n: int) -> torch.Tensor:
    """(heads, n, n): ``near`` at the distance column - row, which counts as FAR beyond that."""
    if n > FAR + 1:
        more = n - 1 - FAR
        near = torch.cat([near[:, :1].expand(-1, more), near, near[:, -1:].expand(-1, more)], dim=1)
    middle = near.shape[1] // 2
    found: torch.Tensor = Toeplitz.apply(near[:, middle - n + 1 : middle + n])
    return found


class Attend(nn.Module):
    """Self-attention with a learned bias for every distance (``near``), or attention to the question when it is given."""

    def __init__(self, width: int, drop: float, near: bool = True, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.norm = Norm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.keyvalue = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.drop = Drop(drop)
        self.near = nn.Parameter(torch.zeros(heads, 2 * FAR + 1)) if near else None

    def forward(self, x: torch.Tensor, mask: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
        y = self.norm(x)
        k, v = self.keyvalue(y if other is None else other).chunk(2, dim=-1)
        q, k, v = (heads_of(t, self.heads) for t in (self.query(y), k, v))
        scores = q @ (k * (k.shape[-1] ** -0.5)).transpose(-1, -2)  # the fused kernel is five times slower backwards here
        if self.near is not None:
            scores = scores + distances(self.near, x.shape[1])
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
    """``rows`` is the number of rows of the embedding table (``reader_units.rows_of``)."""

    def __init__(self, rows: int, width: int = 128, embed: int = 64, stacks: int = 3, drop: float = 0.1) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(rows, embed, mode="sum", sparse=True)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.into = nn.Linear(embed + MATCHES, width)
        self.sentinel = nn.Parameter(torch.zeros(width))
        self.encoder = nn.ModuleList([Conv(width, drop), Recur(width, drop)])
        self.look = Attend(width, drop)
        self.similar = nn.Linear(width, width, bias=False)
        self.merge = nn.Linear(4 * width, width)
        self.stacks = nn.ModuleList(
            [
                nn.ModuleList([Conv(width, drop), Recur(width, drop), Attend(width, drop, near=False), Attend(width, drop), Feed(width, drop)])
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
