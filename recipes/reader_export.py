"""Exports ``builtin:reader``: int8 embeddings, float16 weights, calibration and threshold fitted on development data.

    python recipes/reader_export.py --data DATA --checkpoint OUT/checkpoint.pt [--questions 400]

Half of the development questions fit the calibration and the no-answer threshold, the other half is scored; the model
card ``src/groundtune/builtin/reader/card.json`` holds what was measured, with the date.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import random
import time
from pathlib import Path

import numpy as np
import torch
from base_tasks import Tasks
from corpus import LANGUAGES
from reader_model import ReaderNet
from scipy.optimize import minimize

from groundtune.measure.scorers import exact_match, token_f1
from groundtune.models.reader import FOLDER, BuiltinReader
from groundtune.models.reader_features import encode
from groundtune.text.normalise import contains_answer


def export(checkpoint: Path) -> dict[str, np.ndarray]:
    saved = torch.load(checkpoint, weights_only=False)
    weights: dict[str, np.ndarray] = {}
    for name, master in zip(saved["names"], saved["masters"], strict=True):
        array = master.numpy()
        if name == "embed.weight":
            scale = np.maximum(np.abs(array).max(axis=1), 1e-8) / 127
            weights["embed.codes"] = np.round(array / scale[:, None]).astype(np.int8)
            weights["embed.scale"] = scale.astype(np.float16)
        else:
            weights[name] = array.astype(np.float16)
    return weights


def parity(weights: dict[str, np.ndarray], reader: BuiltinReader) -> float:
    """Largest difference of a logit between torch (with the exported weights) and NumPy."""
    from reader_train import pack

    net = ReaderNet().eval()
    state = {k: torch.tensor(v.astype(np.float32)) for k, v in weights.items() if not k.startswith("embed.")}
    state["embed.weight"] = torch.tensor(weights["embed.codes"].astype(np.float32) * weights["embed.scale"].astype(np.float32)[:, None])
    net.load_state_dict(state)
    passage, question = encode("The shop opens at nine. 京都の本店は月曜日に休みます。"), encode("When does the shop open?")
    with torch.no_grad():
        torch_logits = net(*pack([(passage, question, [])]))[0].numpy()
    return float(np.abs(torch_logits - reader.logits(passage, question)).max())


def readings(reader: BuiltinReader, dev: Tasks, lang: str, count: int, seed: int) -> list[tuple[float, bool, bool, float, float]]:
    """(score, answerable, right, em, f1) for questions with their own paragraph and with another one."""
    rng = random.Random(seed)
    found = []
    for paragraph, asked in rng.sample(dev.asked[lang], count):
        best = reader.read(asked.question, [paragraph.text], k=1)[0]
        text = paragraph.text[best.start : best.end]
        em, f1 = exact_match(text, asked.answers), token_f1(text, asked.answers)
        found.append((best.score, True, any(contains_answer(text, a) for a in asked.answers) or f1 >= 0.5, em, f1))
        near = [p for p in dev.paragraphs[lang] if p.title == paragraph.title and not any(a in p.text for a in asked.answers)]
        other = rng.choice(near or dev.paragraphs[lang])
        if not any(a in other.text for a in asked.answers):
            found.append((reader.read(asked.question, [other.text], k=1)[0].score, False, False, 0.0, 0.0))
    return found


def fit(rows: list[tuple[float, bool, bool, float, float]]) -> tuple[float, float, float]:
    """Platt scaling of "the span is right", and the threshold that refuses at most 15 % of answerable questions."""
    scores, right = np.array([r[0] for r in rows]), np.array([r[2] for r in rows], dtype=float)

    def loss(p: np.ndarray) -> float:
        z = p[0] * scores + p[1]
        return float(np.mean(np.logaddexp(0, z) - right * z))

    slope, offset = minimize(loss, np.array([0.3, 0.0]), method="Nelder-Mead").x
    cut = float(np.quantile([r[0] for r in rows if r[1]], 0.13))
    return float(slope), float(offset), float(1 / (1 + np.exp(-(slope * cut + offset))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=400)
    args = parser.parse_args()
    weights = export(args.checkpoint)
    dev = Tasks(args.data, "dev")
    card = {"name": "builtin:reader", "threshold": 0.0, "calibration": {"slope": 1.0, "offset": 0.0}}
    reader = BuiltinReader(weights, card)
    difference = parity(weights, reader)
    half = args.questions // 2
    rows = [r for lang in LANGUAGES for r in readings(reader, dev, lang, half, 1)]
    slope, offset, threshold = fit(rows)
    scores = {}
    seconds: list[float] = []
    for lang in LANGUAGES:
        tested = readings(reader, dev, lang, half, 2)
        chance = [1 / (1 + np.exp(-(slope * r[0] + offset))) for r in tested]
        own = [(r, c) for r, c in zip(tested, chance, strict=True) if r[1]]
        none = [c for r, c in zip(tested, chance, strict=True) if not r[1]]
        for paragraph, asked in random.Random(5).sample(dev.asked[lang], 40):
            begin = time.perf_counter()
            reader.read(asked.question, [paragraph.text])
            seconds.append(time.perf_counter() - begin)
        scores[lang] = {
            "questions": len(own),
            "em": round(100 * float(np.mean([r[3] for r, _ in own])), 1),
            "f1": round(100 * float(np.mean([r[4] for r, _ in own])), 1),
            "false_answers": round(100 * float(np.mean([c >= threshold for c in none])), 1),
            "over_refusal": round(100 * float(np.mean([c < threshold for _, c in own])), 1),
        }
    FOLDER.mkdir(parents=True, exist_ok=True)
    np.savez(FOLDER / "weights.npz", **weights)
    data = (FOLDER / "weights.npz").read_bytes()
    card |= {
        "threshold": threshold,
        "calibration": {"slope": slope, "offset": offset},
        "sha256": {"weights.npz": hashlib.sha256(data).hexdigest()},
        "bytes": len(data),
        "parameters": int(sum(w.size for k, w in weights.items() if k != "embed.scale")),
        "measured": datetime.date.today().isoformat(),
        "dev_with_gold_paragraph": scores,
        "seconds_per_paragraph_p95": round(float(np.quantile(seconds, 0.95)), 4),
        "parity_with_training_code": difference,
        "languages": ["en", "zh-TW", "ja"],
        "licence": "CC-BY-SA-4.0 (trained on SQuAD, JaQuAD, DRCD and CMRC 2018 text and on laws)",
        "data": "recipes/README.md",
        "limits": "Short factual answers that stand in the passage. It cannot add, compare, infer or follow instructions.",
    }
    (FOLDER / "card.json").write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(card, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
