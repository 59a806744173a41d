"""How often `kb.ask` with `builtin:reader` is right: `python benchmarks/answers.py --data DATA [--questions 300]`.

All paragraphs of a language's development file are the documents; questions are drawn with a fixed seed. Reported: share
of answers (refusals count as wrong) whose text contains a gold answer, EM and F1 of the span, refusals, share of shown
quotes that stand word for word in the stored source, seconds per question.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from groundtune import Document, KnowledgeBase
from groundtune.measure.scorers import answer_in_output, exact_match, token_f1


def load(path: Path) -> tuple[list[Document], list[tuple[str, list[str], str]]]:
    documents, questions = [], []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            documents.append(Document(row["id"], row["text"], {"title": row["title"]}))
            questions += [(q["question"], q["answers"], row["id"]) for q in row["questions"] if q["answers"]]
    return documents, questions


def measure(data: Path, language: str, count: int) -> dict[str, float]:
    documents, questions = load(data / "qa" / language / "dev.jsonl.gz")
    asked = random.Random(17).sample(questions, min(count, len(questions)))
    contains, em, f1, refused, verbatim, quotes, own, seconds = [], [], [], 0, 0, 0, 0, []
    with tempfile.TemporaryDirectory() as folder, KnowledgeBase.open(folder) as kb:
        kb.add(documents)
        for question, golds, place in asked:
            begin = time.perf_counter()
            answer = kb.ask(question)
            seconds.append(time.perf_counter() - begin)
            refused += answer.abstained
            contains.append(0.0 if answer.abstained else answer_in_output(answer.text, golds))
            em.append(0.0 if answer.abstained else exact_match(answer.span, golds))
            f1.append(0.0 if answer.abstained else token_f1(answer.span, golds))
            own += any(c.document_id == place for c in answer.citations)
            for c in answer.citations:
                quotes += 1
                verbatim += kb.text(c.document_id, c.version)[c.start : c.end] == c.quote
    n = len(asked)
    return {
        "questions": n, "contains_gold": round(float(np.mean(contains)), 3), "span_em": round(float(np.mean(em)), 3),
        "span_f1": round(float(np.mean(f1)), 3), "refused": round(refused / n, 3), "cites_own_paragraph": round(own / n, 3),
        "quotes_verbatim": round(verbatim / max(quotes, 1), 4), "p50_seconds": round(float(np.median(seconds)), 3),
        "p95_seconds": round(float(np.quantile(seconds, 0.95)), 3),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--languages", nargs="*", default=["en", "zh-Hant", "ja"])
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/")
    args = parser.parse_args()
    if not (args.data / "qa").is_dir():
        sys.exit(f"{args.data} does not hold the development data (no folder qa/ in it). Give its path with --data.")
    found = {language: measure(args.data, language, args.questions) for language in args.languages}
    for language, row in found.items():
        print(language, json.dumps(row))
    if args.keep:
        path = Path(__file__).parent / "results" / f"answers-{datetime.date.today().isoformat()}.json"
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
