"""Trains one of the two networks of ``builtin:reader``. Seeded by step, resumable.

    python recipes/reader_train.py --data DATA --out OUT --kind words|characters [--minutes 85]

``words`` is English, ``characters`` Japanese and Traditional Chinese; the two can run beside each other on two cores. (With
``torchrun --nproc-per-node 2`` two processes train one network: each draws its own questions, weights are averaged every few
batches.) An answer may stand at several places of its paragraph: every occurrence counts (marginal likelihood). One in four
questions comes with a passage that does not answer it (its answer sentences removed, another paragraph, most often the one
of the same article that shares most words with the question, or a word of the question replaced). Embeddings start from
what words keep company with (``reader_words``). With ``--half`` (a processor with AVX-512 bf16) network weights are bfloat16
with float32 masters (AdamW); the embedding table is float32 and only the rows that a batch touches are updated. The rates
fall to zero over ``--minutes``. ``--shipped`` goes on from the weights that ship.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from reader_data import Altered, Bank, build, save_whole
from reader_model import ReaderNet
from reader_words import first_keys, first_table

from groundtune.measure.scorers import exact_match, token_f1
from groundtune.models.reader import FOLDER, of_kind
from groundtune.models.reader_network import decoded
from groundtune.models.reader_units import IDS, MATCHES, UNKNOWN, Encoded, cut, matches, rows_of

WINDOW, QUESTION = 416, 60
SHARES = {"words": {"en": 1.0}, "characters": {"ja": 0.5, "zh-Hant": 0.5}}  # of the training questions
ROWS = 65_536  # of the embedding table
WHOLE = {"en": 1.0, "ja": 0.3, "zh-Hant": 0.3}  # share of whole paragraphs (up to WINDOW units); the others are cut: a third of the time
MADE = {"en": (30_000, 0.03), "ja": (40_000, 0.1), "zh-Hant": (150_000, 0.55)}  # made questions, their share per draw
NEGATIVE = 0.25
STD = 0.1  # standard deviation of embeddings that start from word statistics


@dataclass(frozen=True)
class Row:
    passage: Encoded
    question: Encoded
    spans: list[tuple[int, int]]  # empty: the passage does not answer


class Drawer:
    """Draws training rows from the banks; all randomness comes from the generator that is passed in."""

    def __init__(self, banks: dict[str, Bank], altered: dict[str, Altered], shares: dict[str, float]) -> None:
        self.banks, self.altered, self.shares = banks, altered, shares
        self.human = {lang: np.flatnonzero(~b.made) for lang, b in banks.items()}
        self.made = {lang: np.flatnonzero(b.made) for lang, b in banks.items()}

    def draw(self, rng: random.Random) -> Row | None:
        lang = rng.choices(list(self.shares), list(self.shares.values()))[0]
        bank = self.banks[lang]
        pool = self.made[lang] if rng.random() < MADE[lang][1] else self.human[lang]
        index = int(pool[rng.randrange(len(pool))])
        own = int(bank.of[index])
        passage, question = bank.passage(own), cut(bank.question(index), 0, QUESTION)
        spans = [(int(a), int(b)) for a, b in bank.spans[index] if a >= 0]
        if rng.random() < NEGATIVE:
            kind = rng.random()
            if kind < 0.25 and (other := self.altered[lang](bank.question(index), rng)) is not None:
                question = cut(other, 0, QUESTION)
            elif kind < 0.4:
                passage = without(passage, spans)
            else:
                passage = bank.passage(self._other(bank, own, question, rng))
                keys = {int(k) for a, b in spans for k in bank.passage(own).keys[a : b + 1]}
                if keys <= set(passage.keys.tolist()):  # the answer may stand there as well
                    return None
            spans = []
        if len(passage) < 8 or not len(question):
            return None
        size = WINDOW if rng.random() < WHOLE[lang] else rng.randrange(64, 200)
        if len(passage) > size:
            passage, spans = window(passage, spans, size, rng)
        return Row(passage, question, spans)

    @staticmethod
    def _other(bank: Bank, own: int, question: Encoded, rng: random.Random) -> int:
        near = np.flatnonzero(bank.group == bank.group[own]) if rng.random() < 0.85 else np.zeros(0, np.int64)
        if len(near) < 2:
            return rng.randrange(len(bank.passage_at) - 1)
        near = near[near != own]
        if rng.random() < 0.8:  # what retrieval would find
            near = sorted(near, key=lambda i: -shared(bank.passage(i), question))[:3]
        return int(near[rng.randrange(len(near))])


def shared(passage: Encoded, question: Encoded) -> float:
    """Weight of the question's words, or of its bigrams in CJK text, that the passage holds."""
    held = np.where(question.single, np.isin(question.pairs, passage.pairs), np.isin(question.stems, passage.stems))
    return float((question.weights * held).sum())


def without(passage: Encoded, spans: list[tuple[int, int]]) -> Encoded:
    """The passage less the sentences that hold the answer."""
    gone = {int(s) for a, b in spans for s in passage.sentence[a : b + 1]}
    keep = ~np.isin(passage.sentence, list(gone))
    return Encoded(*(getattr(passage, k)[keep] for k in Encoded.__slots__))


def window(passage: Encoded, spans: list[tuple[int, int]], size: int, rng: random.Random) -> tuple[Encoded, list[tuple[int, int]]]:
    n = len(passage)
    if spans:
        first, last = rng.choice(spans)
        least, most = max(0, last - size + 1), min(first, n - size)
        low = rng.randint(min(least, most), max(least, most))
    else:
        low = rng.randrange(0, n - size + 1)
    return cut(passage, low, low + size), [(a - low, b - low) for a, b in spans if a >= low and b < low + size]


def padded(length: int, to: int = 16) -> int:
    """Shapes that come back: the kernels for a new one are compiled first, which took half of the time of a batch."""
    return -(-length // to) * to


def pack(rows: list[Row], keys: np.ndarray) -> tuple[torch.Tensor, ...]:
    n, m = padded(max(len(r.passage) for r in rows)), padded(max(len(r.question) for r in rows), 8)
    c_ids, q_ids = np.zeros((len(rows), n, IDS), np.int64), np.zeros((len(rows), m, IDS), np.int64)
    c_match, q_match = np.zeros((len(rows), n, MATCHES), np.float32), np.zeros((len(rows), m, MATCHES), np.float32)
    for i, r in enumerate(rows):
        p, q = r.passage, r.question
        c_ids[i, : len(p)], q_ids[i, : len(q)] = rows_of(p, keys), rows_of(q, keys)
        c_match[i, : len(p)], q_match[i, : len(q)] = matches(p, q), matches(q, p)
    lengths = torch.tensor([len(r.passage) for r in rows]), torch.tensor([len(r.question) for r in rows])
    t = torch.from_numpy
    return t(c_ids), t(c_match), lengths[0], t(q_ids), t(q_match), lengths[1]


def loss_of(logits: torch.Tensor, rows: list[Row]) -> torch.Tensor:
    """Marginal log-likelihood of the answer's places; (0, 0) is the place of an unanswerable question."""
    logs = logits.log_softmax(1)
    spans = [r.spans or [(-1, -1)] for r in rows]
    most = max(map(len, spans))
    table = torch.zeros(len(rows), most, 2, dtype=torch.long)
    off = torch.full((len(rows), most), -1e4)
    for i, found in enumerate(spans):
        table[i, : len(found)] = torch.tensor(found) + 1
        off[i, : len(found)] = 0
    joint = logs[..., 0].gather(1, table[..., 0]) + logs[..., 1].gather(1, table[..., 1]) + off
    return -joint.logsumexp(1).mean()


def best_span(logits: np.ndarray, longest: int = 30) -> tuple[int, int, float]:
    """Best (first, last, score - no-answer score) with last - first < longest."""
    start, end = logits[1:, 0], logits[1:, 1]
    best = (0, 0, -1e9)
    for width in range(min(longest, len(start))):
        scores = start[: len(start) - width] + end[width:]
        at = int(scores.argmax())
        if scores[at] > best[2]:
            best = (at, at + width, float(scores[at]))
    return best[0], best[1], best[2] - float(logits[0].sum())


@torch.no_grad()
def probe(net: ReaderNet, keys: np.ndarray, dev: dict[str, tuple[Bank, list[tuple[str, tuple[str, ...]]]]], count: int) -> dict[str, list[float]]:
    """EM and F1 in % with the gold paragraph given, answer forced."""
    net.eval()
    found = {}
    for lang, (bank, texts) in dev.items():
        picked = random.Random(3).sample(range(len(texts)), count)
        em = f1 = 0.0
        for index in picked:
            text, answers = texts[index]
            p = cut(bank.passage(int(bank.of[index])), 0, 700)
            first, last, _ = best_span(net(*pack([Row(p, bank.question(index), [])], keys))[0].numpy())
            said = text[int(p.starts[first]) : int(p.ends[last])]
            em += exact_match(said, answers)
            f1 += token_f1(said, answers)
        found[lang] = [round(100 * em / count, 1), round(100 * f1 / count, 1)]
    net.train()
    return found


def banks_of(data: Path, out: Path, langs: Iterable[str]) -> dict[str, Bank]:
    """Training banks, made once and kept in ``out``."""
    banks = {}
    for lang in langs:
        path = out / f"bank-{lang}.npz"
        if not path.exists():
            build(data, lang, "train", MADE[lang][0]).save(path)
        banks[lang] = Bank.load(path)
    return banks


def table_of(banks: dict[str, Bank], out: Path, kind: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(keys, first values of the embeddings), made once and kept in ``out``."""
    path = out / f"table-{kind}-{size}.npz"
    if not path.exists():
        keys = first_keys(banks, ROWS - UNKNOWN)
        save_whole(path, keys=keys, table=first_table(banks, keys, size, STD))
    with np.load(path) as z:
        return z["keys"], z["table"]


def dev_of(data: Path, langs: Iterable[str]) -> dict[str, tuple[Bank, list[tuple[str, tuple[str, ...]]]]]:
    from corpus import paragraphs

    return {
        lang: (build(data, lang, "dev", 0), [(p.text, q.answers) for p in paragraphs(data, lang, "dev") for q in p.questions])
        for lang in langs
    }


class Training:
    """Network, masters, optimizers and the clock; saved and resumed as a whole."""

    def __init__(self, net: ReaderNet, keys: np.ndarray, path: Path, table_rate: float, rate: float, half: bool, earlier: Path | None) -> None:
        self.net, self.keys, self.path = net, keys, path
        named = [(n, p) for n, p in net.named_parameters() if n != "embed.weight"]
        self.masters = [p.detach().clone() for _, p in named]
        self.names = [n for n, _ in named]
        for _, p in named if half else ():
            p.data = p.data.bfloat16()
        self.params = [p for _, p in named]
        self.optimizers = [
            torch.optim.AdamW(self.masters, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
            torch.optim.SparseAdam([net.embed.weight], lr=table_rate, betas=(0.9, 0.99)),
        ]
        self.rates = [[g["lr"] for g in o.param_groups] for o in self.optimizers]
        self.state = {"step": 0, "batch": 0, "questions": 0, "seconds": 0.0}
        if self.path.exists():
            self._load(self.path)
        elif earlier is not None:  # its clock and its count of questions are set back, the seeds of its steps are not used again
            self._load(earlier / path.name)
            self.state = {"step": self.state["step"] + 1, "batch": 0, "questions": 0, "seconds": 0.0}
        self._copy()

    def step(self, loss: torch.Tensor, scale: float) -> None:
        for o, rates in zip(self.optimizers, self.rates, strict=True):
            for g, r in zip(o.param_groups, rates, strict=True):
                g["lr"] = r * max(scale, 0.002)
        loss.backward()
        with torch.no_grad():
            norm = torch.sqrt(sum(p.grad.float().pow(2).sum() for p in self.params))
            clip = min(1.0, 2.0 / (float(norm) + 1e-6))
            for p, m in zip(self.params, self.masters, strict=True):
                m.grad = p.grad.float() * clip
                p.grad = None
        for o in self.optimizers:
            o.step()
        self.net.embed.weight.grad = None
        self._copy()

    @torch.no_grad()
    def _copy(self) -> None:
        for p, m in zip(self.params, self.masters, strict=True):
            p.copy_(m)

    @torch.no_grad()
    def average(self, over: bool) -> bool:
        """Mean of the weights of all processes (local SGD, Stich 2019); True when one of them has used up its time."""
        if not dist.is_initialized():
            return over
        for tensor in (*self.masters, self.net.embed.weight):
            dist.all_reduce(tensor)
            tensor.div_(dist.get_world_size())
        self._copy()
        flag = torch.tensor(float(over))
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag)

    def save(self) -> None:
        torch.save(
            {"state": self.state, "keys": self.keys, "names": self.names, "masters": self.masters, "table": self.net.embed.weight.detach(),
             "optimizers": [o.state_dict() for o in self.optimizers]}, self.path.with_suffix(".tmp"),
        )  # fmt: skip
        os.replace(self.path.with_suffix(".tmp"), self.path)

    @torch.no_grad()
    def _load(self, path: Path) -> None:
        saved = torch.load(path, weights_only=False)
        self.state = saved["state"]
        self.net.embed.weight.copy_(saved["table"])
        for m, s in zip(self.masters, saved["masters"], strict=True):
            m.copy_(s)
        for o, s in zip(self.optimizers, saved["optimizers"], strict=True):
            o.load_state_dict(s)


def whole(weights: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """float32 state of a network from its exported weights (``reader_network``)."""
    state = {}
    for name, array in weights.items():
        if name.endswith(".codes"):
            matrix = name.removesuffix(".codes")
            name, array = f"{matrix}.weight", decoded(weights, matrix)
        if name != "keys" and not name.endswith(".scale"):
            state[name] = torch.from_numpy(array.astype(np.float32))
    return state


def batches(rows: list[Row], units: int) -> list[list[Row]]:
    """Rows of like length together, about ``units`` passage units in each batch."""
    rows = sorted(rows, key=lambda r: len(r.passage))
    found: list[list[Row]] = [[]]
    for row in rows:
        if found[-1] and padded(len(row.passage)) * (len(found[-1]) + 1) > units:
            found.append([])
        found[-1].append(row)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", choices=list(SHARES), required=True)
    parser.add_argument("--minutes", type=float, default=85)
    parser.add_argument("--units", type=int, default=2600, help="passage units in a batch")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--stacks", type=int, default=3)
    parser.add_argument("--drop", type=float, default=0.1)
    parser.add_argument("--rate", type=float, default=0.0015)
    parser.add_argument("--table-rate", type=float, default=0.002)
    parser.add_argument("--shipped", action="store_true", help="go on from the weights that ship")
    parser.add_argument("--earlier", type=Path, help="go on from the checkpoint of a finished run in this folder")
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--every", type=int, default=10, help="batches between two averagings of the processes")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    langs = SHARES[args.kind]
    altered = {lang: Altered(args.data, lang, "train") for lang in langs}
    banks, dev = banks_of(args.data, args.out, langs), dev_of(args.data, langs)
    drawer = Drawer(banks, altered, langs)
    rank, world = 0, int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:  # one process per core: torchrun --nproc-per-node 2 recipes/reader_train.py ...
        dist.init_process_group("gloo")
        rank = dist.get_rank()
    if args.shipped:
        with np.load(FOLDER / "weights.npz") as z:
            stored = of_kind({name: z[name] for name in z.files}, args.kind)
        keys, state = stored["keys"], whole(stored)
    else:
        keys, table = table_of(banks, args.out, args.kind, 64)
        state = {"embed.weight": torch.from_numpy(table)}
    net = ReaderNet(UNKNOWN + len(keys), args.width, stacks=args.stacks, drop=args.drop)
    net.load_state_dict(state, strict=args.shipped)
    print(f"{sum(p.numel() for p in net.parameters()):,} parameters, {len(keys):,} ids with a row", flush=True)
    training = Training(net, keys, args.out / f"checkpoint-{args.kind}.pt", args.table_rate, args.rate, args.half, args.earlier)
    train(training, drawer, args, rank, world)
    if rank == 0:
        note(args, {"processes": world, "probe": probe(net, keys, dev, 300)})


def note(args: argparse.Namespace, entry: dict[str, object]) -> None:
    print(json.dumps(entry), flush=True)
    with (args.out / f"log-{args.kind}.jsonl").open("a") as log:
        log.write(json.dumps(entry) + "\n")


def train(training: Training, drawer: Drawer, args: argparse.Namespace, rank: int, world: int) -> None:
    state, net = training.state, training.net
    budget, last, losses, saved = args.minutes * 60, time.time(), [], training.state["seconds"]
    net.train()
    over = state["seconds"] >= budget
    while not over:
        rng = random.Random(state["step"] * world + rank)
        torch.manual_seed(state["step"] * world + rank)
        groups = batches([r for r in (drawer.draw(rng) for _ in range(800)) if r], args.units)
        rng.shuffle(groups)
        for chunk in groups:
            done = min(1.0, state["seconds"] / budget)
            scale = min(1.0, (state["batch"] + 1) / 200) * (1 - done)
            loss = loss_of(net(*pack(chunk, training.keys)), chunk)
            training.step(loss, scale)
            losses.append(float(loss.detach()))
            state["batch"] += 1
            state["questions"] += len(chunk) * world
            state["seconds"] += time.time() - last
            last = time.time()
            if state["batch"] % args.every == 0:
                over = training.average(state["seconds"] >= budget)
                if over:
                    break
            if state["batch"] % 100 == 0 and rank == 0:
                minutes = round(state["seconds"] / 60, 1)
                note(args, {"batch": state["batch"], "minutes": minutes, "questions": state["questions"], "loss": round(sum(losses) / len(losses), 4)})
                losses = []
        state["step"] += 1
        if rank == 0 and (state["seconds"] - saved > 240 or over):
            saved = state["seconds"]
            training.save()


if __name__ == "__main__":
    main()
