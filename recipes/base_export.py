"""Exports ``builtin:base`` into the package and measures it on development questions.

    python recipes/base_export.py --data DATA --model OUT/model [--questions 100]

Measured with greedy decoding: the gold sentence and two other sentences of the paragraph are in the prompt; the share of
outputs that contain a gold answer, per language, and decoding speed on one thread.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import random
import shutil
import time
from pathlib import Path

import torch
from base_tasks import SHORT, Tasks
from corpus import LANGUAGES

from groundtune.text.normalise import contains_answer
from groundtune.text.prompts import Shown, render
from groundtune.types import Message

FOLDER = Path(__file__).parent.parent / "src" / "groundtune" / "builtin" / "base"
FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=100)
    args = parser.parse_args()
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (args.model / name).exists():
            shutil.copy(args.model / name, FOLDER / name)
    log = [json.loads(line) for line in (args.model.parent / "log.jsonl").read_text().splitlines()]
    card = {
        "name": "builtin:base",
        "sha256": {n: hashlib.sha256((FOLDER / n).read_bytes()).hexdigest() for n in ("model.safetensors", "tokenizer.json")},
        "bytes": sum((FOLDER / n).stat().st_size for n in FILES if (FOLDER / n).exists()),
        "training_tokens": log[-1]["tokens"],
        "training_minutes_one_core": log[-1]["minutes"],
        "languages": ["en", "zh-TW", "ja"],
        "licence": "CC-BY-SA-4.0 (trained on SQuAD, JaQuAD, DRCD and CMRC 2018 text and on laws)",
        "data": "recipes/README.md",
        "limits": "Knows next to nothing by itself. Reads short contexts and copies from them. Not for free writing.",
    }
    (FOLDER / "card.json").write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    from groundtune.models.builtin import open_model

    begin = time.perf_counter()
    model = open_model("base")
    loading = time.perf_counter() - begin
    dev = Tasks(args.data, "dev")
    card["parameters"] = model.model.num_parameters()
    scores, tokens, seconds = {}, 0, 0.0
    for lang in LANGUAGES:
        rng = random.Random(11)
        found = 0
        for _ in range(args.questions):
            fact = dev.fact(lang, rng)
            passages = [Shown(fact.title, s) for s in [fact.sentence, *rng.sample(list(fact.around), min(2, len(fact.around)))]]
            rng.shuffle(passages)
            out = model.generate([Message("system", SHORT[lang][0]), Message("user", render(fact.question, passages))], max_tokens=40)
            found += contains_answer(out.text, fact.answer)
            tokens += out.usage.output_tokens
            seconds += out.seconds
        scores[lang] = round(found / args.questions, 3)
    card |= {
        "measured": datetime.date.today().isoformat(),
        "answer_in_output_gold_sentence_and_two_others": scores,
        "questions_per_language": args.questions,
        "output_tokens_per_second_one_thread": round(tokens / seconds, 1),
        "loading_seconds": round(loading, 2),
    }
    (FOLDER / "card.json").write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(card, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
