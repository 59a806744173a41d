"""Trains ``builtin:embed``. Seeded, resumable.

    python recipes/embed_train.py --data DATA --out OUT [--steps 2400]

A question and the paragraph that answers it are pulled together, all other paragraphs of the batch pushed away (InfoNCE,
both directions). Each batch also holds hard negatives: a paragraph that BM25 ranks high for the question and that does
not contain the answer. The table starts as random vectors scaled by inverse document frequency, so that training begins
at lexical matching. Only touched rows are updated.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from pathlib import Path

import numpy as np
import torch
from corpus import LANGUAGES, articles, paragraphs
from torch.nn import functional as F  # noqa: N812

from groundtune.models.static_features import BUCKETS, features

SHARES = {"en": 0.5, "ja": 0.28, "zh-Hant": 0.22}
WIDTH = 96


class Bags:
    """Feature buckets of many texts as one flat array."""

    def __init__(self, texts: list[str]) -> None:
        pieces: list[np.ndarray] = []
        for low in range(0, len(texts), 256):
            part = texts[low : low + 256]
            found = features(part)
            rows = np.concatenate([f.rows for f in found])
            buckets = np.concatenate([f.buckets for f in found])[np.argsort(rows, kind="stable")]
            counts = np.bincount(rows, minlength=len(part))
            pieces += np.split(buckets.astype(np.int32), np.cumsum(counts)[:-1])
        self.at = np.concatenate([[0], np.cumsum([len(p) for p in pieces])])
        self.flat = np.concatenate(pieces)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.flat[self.at[index] : self.at[index + 1]]


class Pairs:
    """Questions, their paragraphs and hard negatives of one language."""

    def __init__(self, data: Path, lang: str, out: Path) -> None:
        kept = paragraphs(data, lang, "train")
        self.texts = [p.text for p in kept]
        self.asked = [(q.question, q.answers, i) for i, p in enumerate(kept) for q in p.questions]
        self.of = np.array([i for *_, i in self.asked])
        self.passages, self.questions = Bags(self.texts), Bags([q for q, *_ in self.asked])
        path = out / f"hard-{lang}.npy"
        if not path.exists():
            np.save(path, self._hard())
        self.hard = np.load(path)

    def _hard(self, keep: int = 4) -> np.ndarray:
        """(questions, keep) paragraphs that BM25 over the same features ranks highest among those without the answer."""
        from scipy.sparse import csr_array

        n = len(self.texts)
        rows = np.repeat(np.arange(n), np.diff(self.passages.at))
        counts = csr_array((np.ones(len(rows), np.float32), (rows, self.passages.flat)), shape=(n, BUCKETS)).tocsr()
        counts.sum_duplicates()
        df = np.bincount(counts.indices, minlength=BUCKETS)
        idf = np.log(1 + (n - df + 0.5) / (df + 0.5)).astype(np.float32)
        length = np.asarray(counts.sum(1)).ravel()
        rows = np.repeat(np.arange(n), np.diff(counts.indptr))
        counts.data = idf[counts.indices] * counts.data * 2.2 / (counts.data + 1.2 * (0.25 + 0.75 * length[rows] / length.mean()))
        by_feature = counts.tocsc()
        hard = np.zeros((len(self.asked), keep), np.int32)
        for i, (_, answers, own) in enumerate(self.asked):
            scores = np.zeros(n, np.float32)
            for bucket in np.unique(self.questions[i]):
                low, high = by_feature.indptr[bucket], by_feature.indptr[bucket + 1]
                if high - low < n // 8:
                    scores[by_feature.indices[low:high]] += by_feature.data[low:high]
            scores[own] = -1
            best = np.argpartition(-scores, 12)[:12]
            best = best[np.argsort(-scores[best])]
            good = [int(b) for b in best if not any(a in self.texts[b] for a in answers)][:keep]
            hard[i] = (good + [random.Random(i).randrange(n)] * keep)[:keep]
        return hard


def bag(table: torch.nn.EmbeddingBag, parts: list[np.ndarray]) -> torch.Tensor:
    flat = torch.from_numpy(np.concatenate(parts).astype(np.int64))
    offsets = torch.from_numpy(np.concatenate([[0], np.cumsum([len(p) for p in parts])[:-1]]))
    return F.normalize(table(flat, offsets), dim=-1)


def thinned(part: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Some features left out, so that no pair is told by one rare word alone."""
    kept = part[rng.random(len(part)) >= share]
    return kept if len(kept) else part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch", type=int, default=384)
    parser.add_argument("--rate", type=float, default=0.01)
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    pairs = {lang: Pairs(args.data, lang, args.out) for lang in LANGUAGES}
    counts = np.zeros(BUCKETS)
    total = 0
    for lang, p in pairs.items():
        extra = Bags([a.text for a in articles(args.data, lang)])
        for bags in (p.passages, extra):
            for i in range(len(bags.at) - 1):
                counts[np.unique(bags[i])] += 1
            total += len(bags.at) - 1
    table = torch.nn.EmbeddingBag(BUCKETS, WIDTH, mode="sum", sparse=True)
    idf = np.log(1 + total / (counts + 0.5))
    with torch.no_grad():
        table.weight.normal_(std=0.02).mul_(torch.from_numpy((idf / idf.mean()).astype(np.float32))[:, None])
    temperature = torch.nn.Parameter(torch.tensor(math.log(20.0)))
    optimizer = torch.optim.SparseAdam([table.weight], lr=args.rate, betas=(0.9, 0.99))
    other = torch.optim.Adam([temperature], lr=0.01)
    begin = 0
    checkpoint = args.out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=False)
        begin = saved["step"]
        table.load_state_dict(saved["table"])
        temperature.data.copy_(saved["temperature"])
        optimizer.load_state_dict(saved["optimizer"])
        other.load_state_dict(saved["other"])
    log = (args.out / "log.jsonl").open("a")
    losses: list[float] = []
    started = time.time()
    for step in range(begin, args.steps):
        rng, draw = np.random.default_rng(step), random.Random(step)
        lang = draw.choices(list(SHARES), list(SHARES.values()))[0]
        p = pairs[lang]
        asked = rng.choice(len(p.asked), size=min(args.batch, len(p.asked)), replace=False)
        _, first = np.unique(p.of[asked], return_index=True)
        asked = asked[first]  # a paragraph once: its other questions would be false negatives
        questions = bag(table, [thinned(p.questions[i], 0.1, rng) for i in asked])
        own = bag(table, [thinned(p.passages[p.of[i]], 0.2, rng) for i in asked])
        hard = bag(table, [thinned(p.passages[p.hard[i, rng.integers(p.hard.shape[1])]], 0.2, rng) for i in asked])
        scale = temperature.exp().clamp(5, 60)
        forward = scale * questions @ torch.cat([own, hard]).T
        gold = torch.arange(len(asked))
        loss = F.cross_entropy(forward, gold) + 0.3 * F.cross_entropy(scale * own @ questions.T, gold)
        rate = args.rate * min(1, (step + 1) / 50) * max(0.02, 1 - step / args.steps)
        optimizer.param_groups[0]["lr"] = rate
        table.weight.grad = temperature.grad = None
        loss.backward()
        optimizer.step()
        other.step()
        losses.append(float(loss.detach()))
        if (step + 1) % 100 == 0:
            entry = {"step": step + 1, "minutes": round((time.time() - started) / 60, 1), "loss": round(float(np.mean(losses)), 4), "scale": round(float(scale), 1)}
            losses = []
            print(json.dumps(entry), flush=True)
            log.write(json.dumps(entry) + "\n")
            log.flush()
        if (step + 1) % 400 == 0 or step + 1 == args.steps:
            torch.save({"step": step + 1, "table": table.state_dict(), "temperature": temperature.data, "seen": counts > 0,
                        "optimizer": optimizer.state_dict(), "other": other.state_dict()}, checkpoint.with_suffix(".tmp"))  # fmt: skip
            os.replace(checkpoint.with_suffix(".tmp"), checkpoint)


if __name__ == "__main__":
    main()
