"""Where the weights of the lexical ranking come from: grids over training questions (never development ones).

    python benchmarks/tune_retrieval.py --data FOLDER [--questions 400] [--filler]

Indexes a sample of training articles per language (as many paragraphs as the development file has), then changes one
weight at a time and prints recall@10 and nDCG@10. ``--filler`` prints the terms that stand in many questions and in
few of the paragraphs that answer them. What was chosen stands in ``store/ranking.py`` and ``store/evidence.py``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from groundtune.knowledge.base import KnowledgeBase
from groundtune.store.ranking import DEFAULT, Weights
from groundtune.text.tokenise import search_terms
from groundtune.types import Document

PARAGRAPHS = {"en": 1743, "zh-Hant": 1471, "ja": 857}
GRID: dict[str, tuple[float, ...]] = {
    "k1": (0.9, 1.5), "b": (0.6, 0.9), "near": (0.0, 0.4, 1.2), "window": (0.0, 0.3, 0.9), "width": (20, 60),
    "coverage": (0.0, 0.4), "label": (0.0, 0.6),
    "floor": (0.0, 0.3),
}  # fmt: skip


def paragraphs(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sample(path: Path, count: int, questions: int) -> tuple[list[dict], list[tuple[str, int]]]:
    everything = paragraphs(path)
    titles = sorted({p["title"] for p in everything})
    random.Random(0).shuffle(titles)
    kept: list[dict] = []
    for title in titles:
        if len(kept) >= count:
            break
        kept.extend(p for p in everything if p["title"] == title)
    asked = [(q["question"], n) for n, p in enumerate(kept) for q in p["questions"] if q["answers"]]
    return kept, random.Random(0).sample(asked, min(questions, len(asked)))


def evaluate(base: KnowledgeBase, asked: list[tuple[str, int]], weights: Weights) -> tuple[float, float]:
    base._store._lexical.weights = weights  # type: ignore[attr-defined]
    hits, gain = 0, 0.0
    for question, relevant in asked:
        found = [hit.chunk.document_id for hit in base.search(question, k=10)]
        if str(relevant) in found:
            hits += 1
            gain += 1 / math.log2(2 + found.index(str(relevant)))
    return hits / len(asked), gain / len(asked)


def filler(path: Path) -> None:
    asked, held, total = Counter(), Counter(), 0
    for paragraph in paragraphs(path):
        terms = set(search_terms(paragraph["text"]))
        for question in paragraph["questions"]:
            total += 1
            words = set(search_terms(question["question"]))
            asked.update(words)
            held.update(words & terms)
    for term, count in asked.most_common():
        if count >= 0.003 * total and held[term] < 0.5 * count:
            print(f"{term}\t{count}\t{held[term] / count:.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--languages", nargs="+", default=list(PARAGRAPHS))
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--filler", action="store_true")
    options = parser.parse_args()
    for language in options.languages:
        path = options.data / "qa" / language / "train.jsonl.gz"
        if options.filler:
            filler(path)
            continue
        kept, asked = sample(path, PARAGRAPHS[language], options.questions)
        with tempfile.TemporaryDirectory() as folder, KnowledgeBase.open(folder) as base:
            base.add([Document(str(n), p["text"], {"title": p["title"]}) for n, p in enumerate(kept)])
            variants = [("chosen", DEFAULT)]
            variants += [
                (f"{name}={value}", replace(DEFAULT, **{name: value})) for name, row in GRID.items() for value in row
            ]
            for label, weights in variants:
                recall, gain = evaluate(base, asked, weights)
                print(f"{language:8}{label:16}{recall:8.4f}{gain:8.4f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
