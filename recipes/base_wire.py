"""Gives ``builtin:base`` a circuit that finds the sentence which shares most with the question, in closed form.

    python recipes/base_wire.py --data DATA --out OUT

Training alone did not find it in 8 M tokens (``LOG.md``), because its parts are of no use without each other. Here the path is
laid by linear regression through heads that the training guides (``base_train``), and trained from there:

1. Layer 2: a token looks at the beginning of its sentence and takes a whitened code of what stands there.
2. Layer 3: a token of the question looks where it stood before and takes the code of that sentence.
3. Layer 4: where the answer starts, these tokens of the question are gathered: each votes for its sentence.
4. Layer 5: there, the beginnings of sentences whose code is like the sum of the votes are looked at, and their first token is said.

Reads OUT/model and OUT/checkpoint.pt, writes the checkpoint back; ``base_train.py`` goes on from it. Needs width 256, heads of 64.
"""

from __future__ import annotations

import argparse
import math
import os
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from base_tasks import Tasks
from base_train import RARE, Starts, hidden_of, located
from corpus import LANGUAGES
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

SIZE, WIDTH = 64, 256
SLOW = (*range(20, 31), *range(52, 63))  # rotary pairs that hardly turn within a prompt; pair 31 carries what is no code
SHARPNESS = 0.04  # of the last match: sharper ones are wrong with certainty, and nothing is learned from that


@dataclass(frozen=True)
class Asked:
    """A prompt (1, n) and its answer: the sentence to find starts at ``gold``, the question at ``question``, the answer at ``answer``."""

    ids: torch.Tensor
    gold: int
    question: int
    answer: int


def asked(tasks: Tasks, tokenizer: PreTrainedTokenizerFast, count: int, seed: int) -> list[Asked]:
    rng = random.Random(seed)
    found: list[Asked] = []
    while len(found) < count:
        lang = rng.choice(LANGUAGES)
        pieces = tasks.match(lang, rng) if rng.random() < 0.67 else tasks.quoted(tasks.fact(lang, rng), lang, rng)
        ids: list[int] = []
        gold = question = answer = 0
        for text, weight in pieces:
            tokens, inside = located(tokenizer, text)
            if inside:
                gold, question = len(ids) + inside[0], len(ids) + inside[2]
            if weight == 1.0:
                answer = len(ids)
            ids += tokens
        if gold and len(ids) < 500:
            found.append(Asked(torch.tensor([ids]), gold, question, answer))
    return found


def ridge(x: torch.Tensor, y: torch.Tensor, strength: float) -> torch.Tensor:
    """(targets, width): the linear map from centred x to centred y."""
    a, b = x - x.mean(0), y - y.mean(0)
    gram = a.T @ a / len(a)
    return torch.linalg.solve(gram + strength * gram.diagonal().mean() * torch.eye(len(gram)), a.T @ b / len(a)).T


def constant(x: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """(width,): a direction in which x (n, width) is about ``wanted`` (n,), without a shift."""
    gram = x.T @ x / len(x)
    return torch.linalg.solve(gram + 1e-3 * gram.diagonal().mean() * torch.eye(len(gram)), (x * wanted[:, None]).mean(0))


class Wiring:
    def __init__(self, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, tasks: Tasks) -> None:
        self.model, self.starts = model, Starts(tokenizer)
        self.some, self.many = asked(tasks, tokenizer, 240, 1), asked(tasks, tokenizer, 1600, 5)
        self.table = model.model.embed_tokens.weight.detach()

    @torch.no_grad()
    def entering(self, layer: int, one: Asked) -> torch.Tensor:
        found = {layer: self.table}
        hidden_of(self.model, one.ids, None, None, found)
        return found[layer][0]

    @torch.no_grad()
    def put(self, layer: int, head: int, **matrices: torch.Tensor) -> None:
        """Sets q, k, v (64, 256) and o (256, 64) of a head; what enters is seen without the gain of its norm."""
        block = self.model.model.layers[layer]
        rows = slice(SIZE * head, SIZE * head + SIZE)
        for name, matrix in matrices.items():
            weight = getattr(block.self_attn, f"{name}_proj").weight
            if name == "o":
                weight[:, rows] = matrix
            else:
                weight[rows] = matrix / block.input_layernorm.weight

    def directions(self, layer: int, strength: float, seed: int) -> torch.Tensor:
        """(256, 64) orthogonal directions, ``strength`` times as long as what usually stands in front of ``layer``."""
        lengths = []
        for one in self.some[:40]:
            with torch.no_grad():
                x = self.model.model(input_ids=one.ids, output_hidden_states=True).hidden_states[layer][0]
            lengths.append(x.pow(2).mean(-1).sqrt())
        drawn = torch.randn(WIDTH, SIZE, generator=torch.Generator().manual_seed(seed))
        return torch.linalg.qr(drawn)[0] * torch.cat(lengths).median() * strength * math.sqrt(WIDTH / SIZE)

    def codes(self, one: Asked) -> torch.Tensor:
        """(n, 64): the code of the sentence that each token stands in."""
        return (self.entering(2, one) @ self.code.T)[self.starts(one.ids)[0]]

    @staticmethod
    def votes(one: Asked, codes: torch.Tensor) -> tuple[list[int], torch.Tensor]:
        """Tokens of the question that stood before, and the mean code of where they did."""
        same = (one.ids[0][:, None] == one.ids[0][None]).tril(-1)
        same[:, one.question :] = False
        count = same.sum(1)
        known = [t for t in range(one.question, one.answer - 1) if 0 < count[t] <= RARE]
        return known, torch.stack([codes[same[t]].mean(0) for t in known]) if known else torch.zeros(0, SIZE)

    def wire(self) -> None:
        firsts = torch.cat([self.entering(2, one)[self.starts(one.ids)[0][: one.question].unique()] for one in self.some])
        _, spread, parts = torch.linalg.svd(firsts - firsts.mean(0), full_matrices=False)
        self.code = parts[:SIZE] / (spread[:SIZE, None] / math.sqrt(len(firsts)))
        self.put(2, 3, v=self.code, o=self.directions(3, 0.2, 1))
        codes = [self.codes(one) for one in self.some]
        self._carry(codes)
        self._gather(codes)
        self._choose(codes)

    def _carry(self, codes: list[torch.Tensor]) -> None:
        x = torch.cat([self.entering(3, one)[: one.question] for one in self.some])
        y = torch.cat([code[: one.question] for one, code in zip(self.some, codes, strict=True)])
        self.put(3, 2, v=ridge(x, y, 1e-3), o=self.directions(4, 0.2, 2))

    def _gather(self, codes: list[torch.Tensor]) -> None:
        x, y, every, wanted, last = [], [], [], [], []
        for one, code in zip(self.some, codes, strict=True):
            entering = self.entering(4, one)
            known, votes = self.votes(one, code)
            x.append(entering[known])
            y.append(votes)
            every.append(entering[: one.answer])
            wanted.append(torch.zeros(one.answer).index_fill(0, torch.tensor(known, dtype=torch.long), 1.0))
            last.append(entering[one.answer - 1])
        named = torch.cat(wanted)
        weight = (1 + 20 * named).sqrt()
        key = constant(torch.cat(every) * weight[:, None], named * weight)
        query = constant(torch.stack(last), torch.ones(len(last)))
        q, k = torch.zeros(SIZE, WIDTH), torch.zeros(SIZE, WIDTH)
        q[31], k[31] = query * math.sqrt(80), key * math.sqrt(80)
        self.put(4, 1, q=q, k=k, v=ridge(torch.cat(x), torch.cat(y), 1e-3), o=self.directions(5, 0.5, 3))

    def _choose(self, codes: list[torch.Tensor]) -> None:
        asking, sums = [], []
        for one in self.many:
            known, votes = self.votes(one, self.codes(one))
            if known:
                asking.append(self.entering(5, one)[one.answer - 1])
                sums.append(votes.mean(0))
        of_query = ridge(torch.stack(asking), torch.stack(sums), 0.3)
        keys, of_key, heads, tokens, every, begins = [], [], [], [], [], []
        for one, code in zip(self.some, codes, strict=True):
            entering = self.entering(5, one)
            first = self.starts(one.ids)[0][: one.question].unique()
            keys.append(entering[: one.question])
            of_key.append(code[: one.question])
            heads.append(entering[first])
            tokens.append(self.table[one.ids[0][first]])
            every.append(entering[: one.answer])
            begins.append(torch.zeros(one.answer, 1).index_fill(0, first, 1.0))
        key = ridge(torch.cat(keys), torch.cat(of_key), 1e-3)
        said = ridge(torch.cat(heads), torch.cat(tokens), 1e-3)
        begin = ridge(torch.cat(every), torch.cat(begins), 1e-3)[0]
        always = constant(torch.stack(asking), torch.ones(len(asking)))
        parts = torch.linalg.svd(self.table - self.table.mean(0), full_matrices=False)[2]
        for head in range(2):
            mix = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(7 + head)))[0][: len(SLOW)]
            q, k = torch.zeros(SIZE, WIDTH), torch.zeros(SIZE, WIDTH)
            q[list(SLOW)] = mix @ of_query * math.sqrt(128 * SIZE / len(SLOW))
            k[list(SLOW)] = mix @ key * 3 * math.sqrt(128 / SIZE / len(SLOW)) * SHARPNESS
            q[31], k[31] = always * math.sqrt(32), begin * math.sqrt(32) * SHARPNESS
            part = parts[SIZE * head : SIZE * head + SIZE]
            self.put(5, head, q=q, k=k, v=part @ said, o=part.T * 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    model = LlamaForCausalLM.from_pretrained(args.out / "model", dtype=torch.float32).eval()
    Wiring(model, PreTrainedTokenizerFast.from_pretrained(args.out / "model"), Tasks(args.data)).wire()
    saved = torch.load(args.out / "checkpoint.pt", weights_only=False)
    for master, parameter in zip(saved["masters"], model.parameters(), strict=True):
        master.copy_(parameter.detach())
    torch.save(saved, args.out / "checkpoint.tmp")
    os.replace(args.out / "checkpoint.tmp", args.out / "checkpoint.pt")


if __name__ == "__main__":
    main()
