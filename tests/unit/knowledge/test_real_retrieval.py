"""The development questions: what the issue asks of retrieval and of the passages made from it."""

import gzip
import json
import math
import os
import random
from pathlib import Path

import pytest

from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.context import select_passages
from groundtune.types import Document

FOLDER = os.environ.get("GROUNDTUNE_DATA", "")
pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="GROUNDTUNE_DATA does not name the development data"),
]
# A fixed sample keeps the run short; the bounds leave room for its noise (benchmarks/retrieval.py measures all).
QUESTIONS = 600


@pytest.mark.parametrize(
    ("language", "recall", "ndcg"), [("en", 0.945, 0.86), ("zh-Hant", 0.985, 0.96), ("ja", 0.97, 0.915)]
)
def test_the_own_paragraph_is_found(tmp_path, language, recall, ndcg):
    with gzip.open(Path(FOLDER) / "qa" / language / "dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        paragraphs = [json.loads(line) for line in lines]
    asked = [(q["question"], q["answers"], p["id"]) for p in paragraphs for q in p["questions"] if q["answers"]]
    asked = random.Random(1).sample(asked, min(QUESTIONS, len(asked)))
    hits = shown = 0
    gain = 0.0
    with KnowledgeBase.open(tmp_path) as kb:
        kb.add([Document(p["id"], p["text"]) for p in paragraphs])
        for question, answers, own in asked:
            found = kb.search(question, k=10)
            ids = [hit.chunk.document_id for hit in found]
            if own in ids:
                hits += 1
                gain += 1 / math.log2(2 + ids.index(own))
            passages = select_passages(question, found, sentences=3)
            assert all(kb.text(p.hit.chunk.document_id)[p.start : p.end] == p.text for p in passages)
            shown += any(answer in p.text for p in passages for answer in answers)
    print(
        f"{language}: recall@10 {hits / len(asked):.4f} nDCG@10 {gain / len(asked):.4f} shown {shown / len(asked):.3f}"
    )
    assert hits / len(asked) >= recall
    assert gain / len(asked) >= ndcg
    assert shown / len(asked) >= 0.6
