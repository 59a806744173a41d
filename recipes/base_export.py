"""Exports ``builtin:base`` into the package and measures it on development questions.

    python recipes/base_export.py --data DATA --model OUT/model [--questions 100]

Measured with greedy decoding, per language: the share of outputs that contain the gold answer with the gold paragraph in the
prompt, with the gold sentence and two others, with the answer marked by a reader in the latter; and decoding speed on one
thread.
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
from base_tasks import PLAIN, SHORT, Fact, Tasks
from corpus import LANGUAGES
from safetensors.torch import load_file, save_file

from groundtune.models.bare import TEMPLATE
from groundtune.text.normalise import contains_answer
from groundtune.text.prompts import Shown, render
from groundtune.types import Message

FOLDER = Path(__file__).parent.parent / "src" / "groundtune" / "builtin" / "base"
COPIED = ("generation_config.json", "tokenizer.json", "tokenizer_config.json")
FILES = (*COPIED, "config.json", "model.safetensors", "chat_template.jinja")


def prompts(fact: Fact, lang: str, rng: random.Random) -> dict[str, tuple[str, list[Shown]]]:
    """System prompt and passages of each kind of measurement."""
    whole = (" " if lang == "en" else "").join(s.strip() for s in (*fact.before, fact.sentence, *fact.after))
    three = [Shown(fact.title, s) for s in [fact.sentence, *rng.sample(list(fact.around), min(2, len(fact.around)))]]
    rng.shuffle(three)
    marked = [Shown(p.label, p.text.replace(fact.answer, f"**{fact.answer}**", 1)) if p.text == fact.sentence else p for p in three]
    return {
        "paragraph": (PLAIN[lang], [Shown(fact.title, whole[: 2000 if lang == "en" else 700])]),
        "three_sentences": (PLAIN[lang], three),
        "marked": (SHORT[lang][0], marked),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=0, help="training tokens of all runs, when there were several")
    parser.add_argument("--minutes", type=float, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copy(args.model / name, FOLDER / name)
    weights = {n: t.bfloat16() for n, t in load_file(args.model / "model.safetensors").items()}
    save_file(weights, FOLDER / "model.safetensors", {"format": "pt"})
    config = json.loads((args.model / "config.json").read_text()) | {"dtype": "bfloat16"}
    (FOLDER / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (FOLDER / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    log = [json.loads(line) for line in (args.model.parent / "log.jsonl").read_text().splitlines()]
    card = {
        "name": "builtin:base",
        "sha256": {n: hashlib.sha256((FOLDER / n).read_bytes()).hexdigest() for n in ("model.safetensors", "tokenizer.json")},
        "bytes": sum((FOLDER / n).stat().st_size for n in FILES),
        "training_tokens": args.tokens or log[-1]["tokens"],
        "training_minutes_one_core": args.minutes or log[-1]["minutes"],
        "languages": ["en", "zh-TW", "ja"],
        "licence": "CC-BY-SA-4.0 (trained on SQuAD, JaQuAD, DRCD and CMRC 2018 text and on laws)",
        "data": "recipes/README.md",
        "limits": "Knows next to nothing by itself. Quotes a sentence of the passages, the wrong one in about every second paragraph; copies what a reader marks. Never refuses by itself. Not for free writing.",
    }
    (FOLDER / "card.json").write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    from groundtune.models.builtin import open_model

    begin = time.perf_counter()
    model = open_model("base")
    loading = time.perf_counter() - begin
    dev = Tasks(args.data, "dev")
    card["parameters"] = model.model.num_parameters()
    scores: dict[str, dict[str, float]] = {}
    tokens, seconds = 0, 0.0
    for lang in LANGUAGES:
        rng = random.Random(11)
        found = {"paragraph": 0, "three_sentences": 0, "marked": 0}
        for _ in range(args.questions):
            fact = dev.fact(lang, rng)
            for kind, (system, passages) in prompts(fact, lang, rng).items():
                out = model.generate([Message("system", system), Message("user", render(fact.question, passages))], max_tokens=80)
                found[kind] += contains_answer(out.text, fact.answer)
                tokens += out.usage.output_tokens
                seconds += out.seconds
        scores[lang] = {kind: round(count / args.questions, 3) for kind, count in found.items()}
    card |= {
        "measured": datetime.date.today().isoformat(),
        "answer_in_output": scores,
        "questions_per_language": args.questions,
        "output_tokens_per_second_one_thread": round(tokens / seconds, 1),
        "loading_seconds": round(loading, 2),
    }
    (FOLDER / "card.json").write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(card, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
