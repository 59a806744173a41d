"""Exports ``builtin:embed`` (int8 rows with a scale each) and measures it on development data.

    python recipes/embed_export.py --data DATA --checkpoint OUT/checkpoint.pt [--write]

For each language all paragraphs of the development file are ranked for all of its questions: lexical alone (the store's
own ranking), dense alone, and both fused with the weight that was best on half of the questions, tested on the other half
with a paired randomisation test. Prints the card; with ``--write`` the files of ``src/groundtune/builtin/embed`` are replaced.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import io
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from corpus import LANGUAGES, paragraphs
from embed_train import WIDTH

from groundtune import KnowledgeBase
from groundtune.models.static import FOLDER, StaticEmbedder
from groundtune.types import Document

DEPTH = 50
WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


def export(checkpoint: Path) -> dict[str, np.ndarray]:
    saved = torch.load(checkpoint, weights_only=False)
    table = saved["table"]["weight"].numpy()
    scale = np.maximum(np.abs(table).max(axis=1), 1e-8) / 127
    return {
        "codes": np.round(table / scale[:, None]).astype(np.int8), "scale": scale.astype(np.float16),
        "seen": np.packbits(saved["seen"]),
    }  # fmt: skip


def ndcg(ranking: np.ndarray, gold: int, k: int = 10) -> float:
    """Binary relevance, one relevant paragraph."""
    at = np.flatnonzero(ranking[:k] == gold)
    return float(1 / np.log2(at[0] + 2)) if len(at) else 0.0


def fused(lexical: list[tuple[int, float]], dense: np.ndarray, weight: float, rank: float = 60.0) -> np.ndarray:
    """Reciprocal ranks of both orders; ``weight`` is that of the dense order against 1 for the lexical one."""
    scores: dict[int, float] = {}
    for place, (index, _) in enumerate(lexical):
        scores[index] = scores.get(index, 0.0) + 1 / (rank + place)
    if weight:
        for place, index in enumerate(dense[:DEPTH].tolist()):
            scores[index] = scores.get(index, 0.0) + weight / (rank + place)
    return np.array(sorted(scores, key=lambda i: -scores[i])[:10])


def measure(data: Path, lang: str, embedder: StaticEmbedder) -> dict[str, float]:
    dev = paragraphs(data, lang, "dev")
    asked = [(q.question, i) for i, p in enumerate(dev) for q in p.questions]
    with tempfile.TemporaryDirectory() as folder, KnowledgeBase.open(folder, chunk_characters=10**6) as base:
        base.add([Document(str(i), p.text, {"title": p.title}) for i, p in enumerate(dev)])
        lexical = [[(int(h.chunk.document_id), h.score) for h in base.search(q, DEPTH)] for q, _ in asked]
    passages = embedder.embed([f"{p.title}\n{p.text}" for p in dev], kind="document")
    questions = embedder.embed([q for q, _ in asked], kind="query")
    dense = np.argsort(-(questions @ passages.T), axis=1)[:, :DEPTH]
    gold = [g for _, g in asked]
    by_weight = {w: np.array([ndcg(fused(le, d, w), g) for le, d, g in zip(lexical, dense, gold, strict=True)]) for w in WEIGHTS}
    alone = np.array([ndcg(d, g) for d, g in zip(dense, gold, strict=True)])
    half = np.random.default_rng(0).random(len(asked)) < 0.5
    best = max(WEIGHTS, key=lambda w: by_weight[w][half].mean())
    gain = (by_weight[best] - by_weight[0.0])[~half]
    signs = np.random.default_rng(1).choice((-1.0, 1.0), size=(10_000, len(gain)))
    p = float(((signs @ gain) / len(gain) >= gain.mean()).mean()) if best else 1.0
    return {
        "questions_tested": int((~half).sum()), "lexical_ndcg10": round(float(by_weight[0.0][~half].mean()), 4),
        "dense_ndcg10": round(float(alone[~half].mean()), 4), "fused_ndcg10": round(float(by_weight[best][~half].mean()), 4),
        "dense_weight": best, "p_one_sided": round(p, 4),
    }  # fmt: skip


def rate(data: Path, embedder: StaticEmbedder) -> dict[str, int]:
    """Paragraphs per second of CPU time on one thread."""
    found = {}
    for lang in LANGUAGES:
        texts = [p.text for p in paragraphs(data, lang, "dev")] * 3
        embedder.embed(texts[:300], kind="document")
        begin = time.process_time()
        embedder.embed(texts, kind="document")
        found[lang] = round(len(texts) / (time.process_time() - begin))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    weights = export(args.checkpoint)
    stream = io.BytesIO()
    np.savez_compressed(stream, **weights)
    stored = stream.getvalue()
    embedder = StaticEmbedder(weights)
    ranking = {lang: measure(args.data, lang, embedder) for lang in LANGUAGES}
    card = {
        "name": "builtin:embed", "sha256": {"weights.npz": hashlib.sha256(stored).hexdigest()}, "bytes": len(stored),
        "dimension": WIDTH, "buckets": len(weights["codes"]), "measured": datetime.date.today().isoformat(),
        "dev_ranking": ranking,
        "in_the_default": all(r["dense_weight"] > 0 and r["p_one_sided"] < 0.05 for r in ranking.values()),
        "paragraphs_per_second_one_thread": rate(args.data, embedder),
        "languages": ["en", "zh-TW", "ja"],
        "licence": "CC-BY-SA-4.0 (trained on SQuAD, JaQuAD, DRCD and CMRC 2018 text and on laws)",
        "data": "recipes/README.md",
        "limits": "A bag of words with learned meaning: it knows no word order, synonyms only as far as its training text does, and nothing about words in hiragana alone.",
    }  # fmt: skip
    if args.write:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "weights.npz").write_bytes(stored)
        (FOLDER / "card.json").write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(card, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
