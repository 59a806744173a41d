"""Trains ``builtin:reader``. Seeded by step, resumable.

    python recipes/reader_train.py --data DATA --out OUT [--minutes 85]

An answer may stand at several places of its paragraph: every occurrence counts (marginal likelihood). One in six
questions comes with a passage that does not answer it (its answer sentence removed, or another paragraph).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from base_tasks import Tasks
from base_train import Muon
from corpus import LANGUAGES
from reader_model import ReaderNet

from groundtune.measure.scorers import exact_match, token_f1
from groundtune.models.reader_features import IDS, MATCHES, Encoded, cut, encode, matches

WINDOW = 208


@lru_cache(maxsize=60_000)
def encoded(text: str) -> Encoded:
    return encode(text)


def occurrences(passage: Encoded, text: str, answers: tuple[str, ...]) -> list[tuple[int, int]]:
    """Unit spans (first, last) of every occurrence of every answer."""
    starts = {u.start: i for i, u in enumerate(passage.units)}
    ends = {u.end: i for i, u in enumerate(passage.units)}
    found = set()
    for answer in answers:
        answer = answer.strip()
        at = text.find(answer)
        while at >= 0 and answer:
            first, last = starts.get(at), ends.get(at + len(answer))
            if first is not None and last is not None:
                found.add((first, last))
            at = text.find(answer, at + 1)
    return sorted(found)


def draw(tasks: Tasks, rng: random.Random) -> tuple[Encoded, Encoded, list[tuple[int, int]]] | None:
    """(passage, question, answer spans); no spans: unanswerable."""
    lang = rng.choices(LANGUAGES, (0.42, 0.30, 0.28))[0]
    if rng.random() < 0.14:
        fact = tasks.gap(lang, rng)
        sentences = [*rng.sample(list(fact.around), min(len(fact.around), 6)), fact.sentence]
        rng.shuffle(sentences)
        text, question, answers = "\n".join(sentences), fact.question, (fact.answer,)
    else:
        paragraph, asked = rng.choice(tasks.asked[lang])
        text, question, answers = paragraph.text, asked.question, asked.answers
    negative = rng.random() < 0.17
    if negative:
        if rng.random() < 0.6:
            kept = text
            for answer in answers:
                while answer in kept:
                    at = kept.find(answer)
                    low = max(kept.rfind(c, 0, at) for c in "。．.!?！？\n") + 1
                    high = min((kept.find(c, at + len(answer)) for c in "。.!?！？\n" if c in kept[at + len(answer) :]), default=len(kept) - 1)
                    kept = kept[:low] + kept[high + 1 :]
            text = kept
        else:
            text = rng.choice(tasks.asked[lang])[0].text
            if any(a in text for a in answers):
                return None
        answers = ()
    passage, asked_units = encoded(text), encoded(question)
    if len(passage.units) < 8 or not asked_units.units:
        return None
    spans = occurrences(passage, text, answers) if answers else []
    if answers and not spans:
        return None
    if len(passage.units) > WINDOW:
        if spans:
            first, last = rng.choice(spans)
            low, high = max(0, last - WINDOW + 1), min(first, len(passage.units) - WINDOW)
            low = rng.randint(low, high) if low < high else min(low, first)
        else:
            low = rng.randrange(0, len(passage.units) - WINDOW)
        passage = cut(passage, low, low + WINDOW)
        spans = [(a - low, b - low) for a, b in spans if a >= low and b < low + WINDOW]
    return passage, cut(asked_units, 0, 60), [s for s in spans if s[1] - s[0] < 30] if spans else []


def pack(rows: list[tuple[Encoded, Encoded, list[tuple[int, int]]]]) -> tuple[torch.Tensor, ...]:
    n = max(len(p.units) for p, _, _ in rows)
    m = max(len(q.units) for _, q, _ in rows)
    c_ids, q_ids = np.zeros((len(rows), n, IDS), np.int64), np.zeros((len(rows), m, IDS), np.int64)
    c_match, q_match = np.zeros((len(rows), n, MATCHES), np.float32), np.zeros((len(rows), m, MATCHES), np.float32)
    for i, (p, q, _) in enumerate(rows):
        c_ids[i, : len(p.units)], q_ids[i, : len(q.units)] = p.ids, q.ids
        c_match[i, : len(p.units)], q_match[i, : len(q.units)] = matches(p, q), matches(q, p)
    lengths = torch.tensor([len(p.units) for p, _, _ in rows]), torch.tensor([len(q.units) for _, q, _ in rows])
    t = torch.from_numpy
    return t(c_ids), t(c_match), lengths[0], t(q_ids), t(q_match), lengths[1]


def loss_of(logits: torch.Tensor, rows: list[tuple[Encoded, Encoded, list[tuple[int, int]]]]) -> torch.Tensor:
    logs = logits.log_softmax(1)
    losses = []
    for i, (_, _, spans) in enumerate(rows):
        if spans:
            joint = torch.stack([logs[i, a + 1, 0] + logs[i, b + 1, 1] for a, b in spans])
            losses.append(-torch.logsumexp(joint, 0))
        else:
            losses.append(-(logs[i, 0, 0] + logs[i, 0, 1]))
    return torch.stack(losses).mean()


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
def probe(net: ReaderNet, dev: Tasks, count: int) -> dict[str, list[float]]:
    """EM and F1 in % with the gold paragraph given, answer forced."""
    net.eval()
    found = {}
    for lang in LANGUAGES:
        asked = random.Random(3).sample(dev.asked[lang], count)
        em = f1 = 0.0
        for paragraph, q in asked:
            p = encoded(paragraph.text)
            p = cut(p, 0, 600)
            logits = net(*pack([(p, encoded(q.question), [])]))[0].numpy()
            first, last, _ = best_span(logits)
            text = paragraph.text[p.units[first].start : p.units[last].end]
            em += exact_match(text, q.answers)
            f1 += token_f1(text, q.answers)
        found[lang] = [round(100 * em / count, 1), round(100 * f1 / count, 1)]
    net.train()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=85)
    parser.add_argument("--rows", type=int, default=32)
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    tasks, dev = Tasks(args.data), Tasks(args.data, "dev")
    net = ReaderNet()
    print(f"{sum(p.numel() for p in net.parameters()):,} parameters", flush=True)
    named = list(net.named_parameters())
    masters = [p.detach().clone() for _, p in named]
    net.bfloat16()
    matrix = [m for (n, p), m in zip(named, masters, strict=True) if p.ndim == 2 and "embed" not in n and "heads" not in n]
    other = [m for m in masters if not any(m is x for x in matrix) and m.shape[0] != 65536]
    table = [m for m in masters if m.shape[0] == 65536]
    optimizers = [Muon(matrix), torch.optim.AdamW(other, lr=0.002, betas=(0.9, 0.98), weight_decay=0.0), torch.optim.Adam(table, lr=0.004, betas=(0.9, 0.98))]
    base_rates = [[g["lr"] for g in o.param_groups] for o in optimizers]
    state = {"step": 0, "seconds": 0.0}
    checkpoint = args.out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=False)
        state = saved["state"]
        for m, s in zip(masters, saved["masters"], strict=True):
            m.copy_(s)
        for o, s in zip(optimizers, saved["optimizers"], strict=True):
            o.load_state_dict(s)
    named = list(net.named_parameters())
    with torch.no_grad():
        for (_, p), m in zip(named, masters, strict=True):
            p.copy_(m)
    budget, last, losses, last_saved = args.minutes * 60, time.time(), [], state["seconds"]
    log = (args.out / "log.jsonl").open("a")
    while state["seconds"] < budget:
        rng = random.Random(state["step"])
        rows = []
        while len(rows) < args.rows * 4:
            row = draw(tasks, rng)
            if row:
                rows.append(row)
        rows.sort(key=lambda r: len(r[0].units))  # four batches of like lengths: little padding
        for part in range(4):
            chunk = rows[part * args.rows : (part + 1) * args.rows]
            done = state["seconds"] / budget
            scale = min(1.0, (state["step"] * 4 + part + 1) / 150) * min(1.0, (1 - done) / 0.8)
            for o, rates in zip(optimizers, base_rates, strict=True):
                for g, r in zip(o.param_groups, rates, strict=True):
                    g["lr"] = r * max(scale, 0.003)
            loss = loss_of(net(*pack(chunk)), chunk)
            loss.backward()
            with torch.no_grad():
                norm = torch.sqrt(sum(p.grad.float().pow(2).sum() for _, p in named))
                clip = min(1.0, 2.0 / (float(norm) + 1e-6))
                for (_, p), m in zip(named, masters, strict=True):
                    m.grad = p.grad.float() * clip
                    p.grad = None
            for o in optimizers:
                o.step()
            with torch.no_grad():
                for (_, p), m in zip(named, masters, strict=True):
                    p.copy_(m)
            losses.append(float(loss.detach()))
        state["seconds"] += time.time() - last
        last = time.time()
        state["step"] += 1
        if state["step"] % 25 == 0:
            entry = {"questions": state["step"] * 4 * args.rows, "minutes": round(state["seconds"] / 60, 1), "loss": round(sum(losses) / len(losses), 3)}
            losses = []
            if state["step"] % 150 == 0:
                entry["dev"] = probe(net, dev, 120)
            print(json.dumps(entry), flush=True)
            log.write(json.dumps(entry) + "\n")
            log.flush()
        if state["seconds"] - last_saved > 240 or state["seconds"] >= budget:
            last_saved = state["seconds"]
            torch.save({"state": state, "masters": masters, "names": [n for n, _ in named], "optimizers": [o.state_dict() for o in optimizers]}, args.out / "checkpoint.tmp")
            os.replace(args.out / "checkpoint.tmp", checkpoint)


if __name__ == "__main__":
    main()
