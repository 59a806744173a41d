"""Exports ``builtin:reader``: int8 matrices, float16 for the rest, calibration and threshold fitted on development data.

    python recipes/reader_export.py --data DATA [--trained OUT [--resumed]] [--questions 600] [--write]

``--trained`` is the folder that ``reader_train.py`` wrote both checkpoints to; of a kind without a checkpoint the weights that
ship stay. Without it the weights that ship are calibrated and measured again.

A third of the sampled development questions fits the calibration and the no-answer threshold, as ``ask`` reads: over the
five passages that retrieval finds, and for unanswerable ones over the best five that do not hold the answer. The rest is
scored that way and with the gold paragraph alone. Prints the model card; with ``--write`` the weights and ``card.json`` in
``src/groundtune/builtin/reader`` are replaced.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import io
import json
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from corpus import LANGUAGES, Asked, Paragraph, paragraphs
from reader_model import ReaderNet
from reader_train import Row, pack, whole
from scipy.optimize import minimize

from groundtune import Document, KnowledgeBase
from groundtune.knowledge.reading import PRIOR, read_hits
from groundtune.measure.scorers import exact_match, token_f1
from groundtune.models.reader import FOLDER, KINDS, BuiltinReader, of_kind
from groundtune.models.reader_network import stacks_of
from groundtune.models.reader_units import encode
from groundtune.models.shipped import read_weights
from groundtune.text.normalise import contains_answer
from groundtune.types import Hit

REFUSED = 0.12  # share of the answerable calibration questions below the threshold


@dataclass(frozen=True)
class Try:
    score: float
    index: int  # rank of the passage, from 0
    answerable: bool
    right: bool
    em: float
    f1: float
    seconds: float = 0.0  # of processor time

    def value(self, slope: float) -> float:
        """The score less what a lower rank costs (``read_hits``)."""
        return self.score - PRIOR / slope * float(np.log1p(self.index))


def export(checkpoint: Path) -> dict[str, np.ndarray]:
    """Weights of one network as they ship (``reader_network``)."""
    saved = torch.load(checkpoint, weights_only=False)
    return {"keys": saved["keys"]} | as_shipped({"embed.weight": saved["table"], **dict(zip(saved["names"], saved["masters"], strict=True))})


def as_shipped(parameters: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Matrices as int8 codes, the rest as float16."""
    weights = {}
    for name, values in parameters.items():
        if name.endswith(".weight") and values.ndim == 2:
            weights |= coded(name.removesuffix(".weight"), values.numpy())
        else:
            weights[name] = values.numpy().astype(np.float16)
    return weights


def coded(name: str, matrix: np.ndarray) -> dict[str, np.ndarray]:
    """A matrix as int8 codes with a float16 scale per row."""
    scale = np.maximum((np.abs(matrix).max(axis=1) / 127).astype(np.float16), np.finfo(np.float16).smallest_subnormal)
    codes = np.clip(np.round(matrix / scale.astype(np.float32)[:, None]), -127, 127)
    return {f"{name}.codes": codes.astype(np.int8), f"{name}.scale": scale}


def parity(weights: dict[str, np.ndarray], reader: BuiltinReader) -> float:
    """Largest difference of a logit between torch (with the exported weights) and NumPy."""
    texts = {"words": ("The shop opens at nine. The main shop closes on Mondays.", "When does the shop open?"),
             "characters": ("開館は九時。京都の本店は月曜日に休みます。2F的書店", "本店はいつ休みますか。")}  # fmt: skip
    worst = 0.0
    for kind in KINDS:
        own = of_kind(weights, kind)
        net = ReaderNet(len(own["embed.codes"]), len(own["sentinel"]), stacks=stacks_of(own)).eval()
        net.load_state_dict(whole(own))
        passage, question = map(encode, texts[kind])
        with torch.no_grad():
            logits = net(*pack([Row(passage, question, [])], own["keys"]))[0].numpy()
        worst = max(worst, float(np.abs(logits[: len(passage) + 1] - reader.logits([passage], question)[0]).max()))
    return worst


def tries(reader: BuiltinReader, dev: list[Paragraph], count: int, seed: int) -> list[Try]:
    """Questions with their own paragraph, and each again with another paragraph of the same article without the answer."""
    rng = random.Random(seed)
    asked = [(p, q) for p in dev for q in p.questions]
    found = []
    for paragraph, q in rng.sample(asked, min(count, len(asked))):
        begin = time.process_time()
        best = reader.read(q.question, [paragraph.text], k=1)[0]
        seconds = time.process_time() - begin
        found.append(scored(q, paragraph.text[best.start : best.end], best.score, 0, True, seconds))
        near = [p for p in dev if p.title == paragraph.title and not any(a in p.text for a in q.answers)]
        other = rng.choice(near or [p for p in dev if not any(a in p.text for a in q.answers)])
        found.append(Try(reader.read(q.question, [other.text], k=1)[0].score, 0, False, False, 0.0, 0.0))
    return found


def found_tries(reader: BuiltinReader, dev: list[Paragraph], count: int, seed: int) -> list[Try]:
    """Questions (the same as those of ``tries``) over the five passages that retrieval finds among all paragraphs, and again
    over the five best that do not hold the answer."""
    rng = random.Random(seed)
    asked = [(p, q) for p in dev for q in p.questions]
    found = []
    with tempfile.TemporaryDirectory() as folder, KnowledgeBase.open(Path(folder) / "kb") as kb:
        kb.add([Document(str(i), p.text, {"title": p.title}) for i, p in enumerate(dev)])
        for _, q in rng.sample(asked, min(count, len(asked))):
            hits = kb.search(q.question, k=16)
            found.append(read_one(reader, q, hits, True))
            found.append(read_one(reader, q, [h for h in hits if not any(a in h.chunk.text for a in q.answers)], False))
    return found


def read_one(reader: BuiltinReader, q: Asked, hits: list[Hit], answerable: bool) -> Try:
    begin = time.process_time()
    best = next(iter(read_hits(q.question, hits, reader, k=1)), None)
    seconds = time.process_time() - begin
    if best is None:
        return Try(-30.0, 0, answerable, False, 0.0, 0.0, seconds)
    return scored(q, hits[best.index].chunk.text[best.start : best.end], best.score, best.index, answerable, seconds)


def scored(q: Asked, said: str, score: float, index: int, answerable: bool, seconds: float) -> Try:
    em, f1 = exact_match(said, q.answers), token_f1(said, q.answers)
    right = answerable and (any(contains_answer(said, a) for a in q.answers) or f1 >= 0.5)
    return Try(score, index, answerable, right, em, f1, seconds)


def fit(rows: dict[str, list[Try]], slope: float) -> tuple[dict[str, float], float, float]:
    """The score under which the share REFUSED of a language's answerable questions lies, and Platt scaling (slope, offset) of
    "the span is right" on the scores less that; so one threshold, the sigmoid of the offset, serves all languages. The prior of
    ``read_hits`` against lower ranks is part of it, for which the slope has to be known: fit again with what comes out."""
    least = {lang: float(np.quantile([r.value(slope) for r in own if r.answerable], REFUSED)) for lang, own in rows.items()}
    scores = np.concatenate([np.array([r.value(slope) for r in own]) - least[lang] for lang, own in rows.items()])
    right = np.concatenate([np.array([r.right for r in own], dtype=float) for own in rows.values()])

    def loss(p: np.ndarray) -> float:
        z = p[0] * scores + p[1]
        return float(np.mean(np.logaddexp(0, z) - right * z))

    fitted, offset = minimize(loss, np.array([0.3, 0.0]), method="Nelder-Mead").x
    return least, float(fitted), float(offset)


def rates(rows: list[Try], least: float, slope: float) -> dict[str, float]:
    """Scores in % with the threshold at the score ``least``."""

    def share(values: list[float]) -> float:
        return round(100 * float(np.mean(values)), 1)

    own, other = [r for r in rows if r.answerable], [r for r in rows if not r.answerable]
    return {
        "questions": len(own),
        "em": share([r.em for r in own]),
        "f1": share([r.f1 for r in own]),
        "false_answers": share([r.value(slope) >= least for r in other]),
        "over_refusal": share([r.value(slope) < least for r in own]),
        "cpu_ms_p95": round(1000 * float(np.quantile([r.seconds for r in own], 0.95)), 1),
    }


def trained(log: Path, before: dict[str, float] | None) -> dict[str, float]:
    """Questions and minutes of one core, with those of an earlier training."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    last, processes = next(e for e in reversed(lines) if "loss" in e), lines[-1].get("processes", 1)
    questions, minutes = last["questions"], round(last["minutes"] * processes, 1)
    earlier = before or {"questions": 0, "minutes_one_core": 0.0}
    return {"questions": earlier["questions"] + questions, "minutes_one_core": round(earlier["minutes_one_core"] + minutes, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trained", type=Path, default=None, help="folder of the checkpoints")
    parser.add_argument("--resumed", action="store_true", help="the training went on from the weights that ship: count theirs too")
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    shipped = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    weights = read_weights(FOLDER / "weights.npz", shipped["sha256"]["weights.npz"])
    training = shipped["training"]
    for kind in KINDS if args.trained else ():
        checkpoint = args.trained / f"checkpoint-{kind}.pt"
        if checkpoint.exists():
            weights = {n: w for n, w in weights.items() if not n.startswith(f"{kind}/")}
            weights |= {f"{kind}/{n}": w for n, w in export(checkpoint).items()}
            training[kind] = trained(args.trained / f"log-{kind}.jsonl", training.get(kind) if args.resumed else None)
    card = {"name": "builtin:reader", "threshold": 0.0, "calibration": shipped["calibration"] | {"least": {}}}
    reader = BuiltinReader(weights, card)
    dev = {lang: paragraphs(args.data, lang, "dev") for lang in LANGUAGES}
    third = 2 * (args.questions // 3)
    found = {lang: found_tries(reader, dev[lang], args.questions, 1) for lang in LANGUAGES}
    slope = shipped["calibration"]["slope"]
    for _ in range(4):
        least, slope, offset = fit({lang: rows[:third] for lang, rows in found.items()}, slope)
    scores, wide = {}, {}
    for lang in LANGUAGES:
        scores[lang] = rates(tries(reader, dev[lang], args.questions, 1)[third:], least[lang], slope)
        wide[lang] = rates(found[lang][third:], least[lang], slope)
    if args.trained:
        stream = io.BytesIO()
        np.savez_compressed(stream, **weights)
        data = stream.getvalue()
    else:
        data = (FOLDER / "weights.npz").read_bytes()
    card |= {
        "threshold": float(1 / (1 + np.exp(-offset))),
        "calibration": {"slope": slope, "offset": offset, "least": {lang[:2]: value for lang, value in least.items()}},
        "sha256": {"weights.npz": hashlib.sha256(data).hexdigest()},
        "bytes": len(data),
        "parameters": int(sum(w.size for k, w in weights.items() if not k.endswith(("/keys", ".scale")))),
        "training": training,
        "measured": datetime.date.today().isoformat(),
        "dev_with_gold_paragraph": scores,
        "unanswerable": "another paragraph of the same article that does not hold the answer",
        "dev_with_five_retrieved_paragraphs": wide,
        "unanswerable_retrieved": "the five best paragraphs that do not hold the answer",
        "parity_with_training_code": parity(weights, reader),
        "languages": ["en", "zh-TW", "ja"],
        "licence": "CC-BY-SA-4.0 (trained on SQuAD, JaQuAD, DRCD and CMRC 2018 text and on laws)",
        "data": "recipes/README.md",
        "limits": "Short factual answers that stand in the passage. It cannot add, compare, infer or follow instructions.",
    }
    if args.write:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "weights.npz").write_bytes(data)
        (FOLDER / "card.json").write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(card, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
