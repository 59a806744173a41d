"""Does a fine-tune hold the form? `python benchmarks/format.py --data DATA [--tasks snips-json …] [--train 300] [--dev 100]`.

Each task becomes a project folder with no setting of ours: the training file's examples, the development file's examples
marked as held out, the schema where there is one. `compare` of the library then does what it does for any user: prompt,
few-shot, few-shot with decoding that keeps to the schema (llguidance), the LoRA that `groundtune tune` trains, and that
LoRA with constrained decoding. Reported with n and 95 % intervals: schema-valid, field precision, recall and F1, all
fields right; slots said and chrF for descriptions; chrF and level of politeness for rewriting. Differences between the
fine-tune and each of the others are paired by item and Holm-corrected within a task.

Run it again after an interruption: answers and checkpoints are on disk below --out, and a task that is finished is not
measured again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import peers

from groundtune.measure.contrasts import contrast_of, corrected
from groundtune.measure.format import field_scores, parse_lenient, parse_strict
from groundtune.measure.results import ApproachResult, Estimate, ItemResult
from groundtune.measure.stats import estimate
from groundtune.models.builtin import FOLDER
from groundtune.project import Project
from groundtune.text.normalise import fold, squeeze

LANGUAGE = {"snips-json": "en", "e2e-report": "en", "ner-json": "ja", "law-json": "zh-TW", "keigo-style": "ja"}
JSON_TASKS = ("snips-json", "ner-json", "law-json")
FREE, TUNED = ("prompt", "few-shot"), "finetune"
CONSTRAINED = "+constrained"
BASE = FOLDER / "base" / "card.json"
Row = dict[str, Any]
Scores = dict[str, float | None]


def rows(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def make_project(data: Path, task: str, folder: Path, train: int, dev: int, tuning: str = "") -> dict[str, Row]:
    """Writes the folder; returns the development rows by the ids of the items."""
    folder.mkdir(parents=True, exist_ok=True)
    source = data / "format" / task
    shown = rows(source / "train.jsonl.gz")
    random.Random(0).shuffle(shown)
    shown = shown[:train] if train else shown
    held = {f"dev-{i}": row for i, row in enumerate(rows(source / "dev.jsonl.gz"))}
    if dev:
        held = dict(random.Random(1).sample(list(held.items()), len(held))[:dev])  # a smaller sample is part of a larger
    lines = [{"id": f"train-{i}", "messages": row["messages"], "metadata": {}} for i, row in enumerate(shown)]
    lines += [{"id": key, "messages": row["messages"], "metadata": {"split": "dev"}} for key, row in held.items()]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "examples.jsonl").write_text(text, encoding="utf-8")
    schema = source / "schema.json"
    house = ""
    if schema.is_file():
        (folder / "schema.json").write_bytes(schema.read_bytes())
        house = '[format]\nschema = "schema.json"\n\n'
    head = f'[project]\nname = "{task}"\nlanguage = "{LANGUAGE[task]}"\ndocuments = []\n\n'
    needs = '[requirements]\nfixed_format = true\nknowledge_location = "none"\n'
    (folder / "groundtune.toml").write_text(head + house + needs + tuning, encoding="utf-8")
    return held


# ---- what a description says: E2E slots


_YES = r"(?:child|children|kid|kids|family|families)"
_NOT = r"(?:not|n't|no|non|isn't|aren't|without|adult)"


def slots_said(slots: Mapping[str, str], text: str) -> list[bool]:
    """For each slot whether the text says its value; words of yes/no and of ratings by the usual ways to say them."""
    plain = fold(text).replace("-", " ").replace("centre", "center")
    return [_said(name, fold(value).replace("-", " ").replace("centre", "center"), plain) for name, value in slots.items()]


def _said(name: str, value: str, text: str) -> bool:
    if name == "familyFriendly":
        about = re.search(_YES, text) is not None
        denied = re.search(rf"{_NOT}[^.]{{0,25}}{_YES}|{_YES}[^.]{{0,25}}{_NOT}", text) is not None
        return about and denied == (value == "no")
    if name in ("rating", "priceRange"):
        words = re.escape(value).replace(r"\ ", r"[ ]?")
        if found := re.search(r"(\d) out of 5", value):
            words += rf"|{found[1]} ?(?:/ ?5|star)|{['', 'one', 'two', 'three', 'four', 'five'][int(found[1])]} star"
        if name == "priceRange" and value in ("cheap", "moderate", "high"):
            words += {"cheap": "|low|inexpensive", "moderate": "|average|mid", "high": "|expensive"}[value]
        return re.search(words, text) is not None
    if name == "area":
        return ("river" if value == "riverside" else value.rpartition(" ")[2]) in text
    if name == "eatType":
        return value in text or (value == "coffee shop" and re.search(r"caf[eé]|coffee", text) is not None)
    return value in text


# ---- how near a text is: chrF (Popović 2015; character n-grams 1 to 6, beta 2, white space left out)


def chrf(text: str, references: Sequence[str]) -> float:
    """The best over the references, in [0, 1]."""
    return max((_chrf(text, reference) for reference in references), default=0.0)


def _chrf(text: str, reference: str) -> float:
    ours, gold = "".join(text.split()), "".join(reference.split())
    precision = recall = 0.0
    orders = 0
    for n in range(1, 7):
        a, b = (Counter(s[i : i + n] for i in range(len(s) - n + 1)) for s in (ours, gold))
        if not a or not b:
            continue
        same = (a & b).total()
        precision, recall, orders = precision + same / a.total(), recall + same / b.total(), orders + 1
    if not orders or precision + recall == 0.0:
        return 0.0
    p, r = precision / orders, recall / orders
    return 5.0 * p * r / (4.0 * p + r)


# ---- politeness of a Japanese sentence, by its forms: honorific or humble verbs, です/ます, neither


_HIGH = re.compile(
    r"ござい|いらっしゃ|なさ[いっりるれ]|ください|下さ|いただ|頂[きくけい]|頂戴|申し|存じ|伺[いうえ]|拝|召し|おっしゃ|仰"
    r"|くださ|いたし|致し|おります|おられ|参り|まいり|賜|お[^、。]{1,6}に(?:な[らりるっ])|ご[^、。]{1,6}に(?:な[らりるっ])|でしょうか"
)
_POLITE = re.compile(r"です|ます|ませ|ました|でしょ")


def level(text: str) -> str:
    """``high``, ``polite`` or ``casual``."""
    return "high" if _HIGH.search(text) else "polite" if _POLITE.search(text) else "casual"


# ---- scores of one item


def extra_scores(task: str, row: Row, item: ItemResult) -> Scores:
    """What the product does not score: precision and recall of the fields, slots, chrF, politeness."""
    target, output = row["messages"][-1]["content"], item.output
    if task in JSON_TASKS:
        given = parse_lenient(output)
        if not given.found:
            return {"field_precision": 0.0, "field_recall": 0.0}
        found = field_scores(parse_strict(target).value, given.value)
        return {"field_precision": found.precision, "field_recall": found.recall}
    if task == "e2e-report":
        meta = row["metadata"]
        said = slots_said(meta["slots"], output)
        return {"slot_coverage": sum(said) / len(said), "all_slots": float(all(said)),
                "chrf": chrf(output, meta["references"])}  # fmt: skip
    source = row["metadata"]["source"]
    same = squeeze(fold(output)) == squeeze(fold(source))
    return {"chrf": chrf(output, [target]), "level_right": float(bool(output) and level(output) == level(target)),
            "copied": float(same), "word_for_word": float(squeeze(fold(output)) == squeeze(fold(target)))}  # fmt: skip


OURS = ("example_format_valid", "field_f1", "example_success", "format_lenient")


def told(found: Estimate) -> dict[str, float | int | None]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(found).items()}


def with_extra(task: str, result: ApproachResult, by_id: Mapping[str, Row]) -> ApproachResult:
    """The result with our scores in its items, so that the product's paired tests see them."""
    items = tuple(
        item if item.error else replace(item, scores={**item.scores, **extra_scores(task, by_id[item.id], item)})
        for item in result.items
    )
    return replace(result, items=items)


def table_of(result: ApproachResult) -> dict[str, Any]:
    """One approach as it is written to the results file."""
    scored = [item for item in result.items if not item.error]
    names = [name for item in scored[:1] for name in item.scores if name in OURS or name in EXTRA]
    metrics = {
        name: told(estimate([item.scores.get(name) for item in scored], [item.group for item in scored]))
        for name in names
    }
    return {
        "n": len(scored), "errors": result.errors, "skipped": result.skipped,
        "error": next((item.error for item in result.items if item.error), ""),
        "metrics": {name: value for name, value in metrics.items() if value["n"]},
        "fit_seconds": round(result.fit_seconds, 1), "p50_seconds": round(result.latency_p50 or 0.0, 3),
        "output_tokens": round(result.output_tokens, 1), "cut": cut(scored),
    }  # fmt: skip


EXTRA = ("field_precision", "field_recall", "slot_coverage", "all_slots", "chrf", "level_right", "copied", "word_for_word")
TESTED = ("example_format_valid", "field_f1", "example_success", "slot_coverage", "chrf", "level_right")


def cut(items: Sequence[ItemResult]) -> int:
    """Answers that ended at the limit of tokens: as long as the longest of all, twice or more often."""
    longest = max((item.output_tokens for item in items), default=0)
    at = sum(item.output_tokens >= longest for item in items)
    return at if at > 1 else 0


def tests_of(results: Mapping[str, ApproachResult]) -> list[dict[str, Any]]:
    """The fine-tune against each other approach, on every measure that both have."""
    tuned = results.get(TUNED)
    found = [] if tuned is None else [
        contrast_of(tuned, other, metric)
        for metric in TESTED
        for name, other in results.items()
        if name != TUNED and other.items and any(item.scores.get(metric) is not None for item in tuned.items)
    ]  # fmt: skip
    return [
        {key: round(value, 5) if isinstance(value, float) else value for key, value in asdict(contrast).items()}
        for contrast in corrected(found)
    ]


def approaches_of(task: str, wanted: Sequence[str]) -> list[str]:
    names = [*FREE, TUNED]
    if task in JSON_TASKS:
        names = ["prompt", "few-shot", "few-shot" + CONSTRAINED, TUNED, TUNED + CONSTRAINED]
    return [name for name in names if not wanted or name in wanted]


def listener(task: str) -> Callable[[Any], None]:
    last = [0.0]

    def hear(at: Any) -> None:
        if time.monotonic() - last[0] > 30 or (at.total and at.done == at.total):
            last[0] = time.monotonic()
            left = "" if at.seconds_left is None else f", {at.seconds_left:.0f} s left"
            print(f"{time.strftime('%H:%M:%S')} {task} {at.stage} {at.approach} {at.done}/{at.total}{left}", flush=True)

    return hear


def measure(data: Path, task: str, options: argparse.Namespace) -> dict[str, Any]:
    name = f"{task}-{options.train or 'all'}"  # answers that are there are taken when more items are asked
    results: dict[str, ApproachResult] = {}
    wanted = approaches_of(task, options.approaches)
    tuning = "".join(f"{line}\n" for line in ["", "[tuning]", *options.tuning]) if options.tuning else ""
    for trained, dev in ((False, options.untrained_dev or options.dev), (True, options.dev)):
        names = [found for found in wanted if found.startswith(TUNED) is trained]
        if not names:
            continue
        held = make_project(data, task, options.out / name, options.train, dev, tuning)
        report = Project.open(options.out / name).compare(names, progress=listener(task))
        results |= {result.name: with_extra(task, result, held) for result in report.approaches}
    adapter = next(iter(sorted((options.out / name / ".groundtune" / "adapters").glob("finetune-*/adapter.json"))), None)
    training = json.loads(adapter.read_text(encoding="utf-8")) if adapter else {}
    settings = training.get("settings", {})
    shown = ("rows", "checked", "passes", "steps", "best_step", "rank", "validation_score", "score_form", "packed")
    return {
        "task": task, "language": LANGUAGE[task], "trained_on": report.examples_trained,
        "training": {key: settings[key] for key in shown if key in settings} | {"seconds": training.get("seconds")},
        "approaches": {key: table_of(result) for key, result in results.items()}, "tests": tests_of(results),
    }  # fmt: skip


def machine() -> dict[str, Any]:
    return {
        "python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count(),
        "groundtune": peers.version("groundtune"), "torch": peers.version("torch"),
        "base": json.loads(BASE.read_text(encoding="utf-8"))["sha256"]["model.safetensors"][:12],
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", choices=sorted(LANGUAGE), default=list(LANGUAGE))
    parser.add_argument("--train", type=int, default=0, help="training examples, 0: all")
    parser.add_argument("--dev", type=int, default=0, help="development examples, 0: all")
    parser.add_argument("--untrained-dev", type=int, default=0, help="fewer items for what is not trained, 0: as --dev")
    parser.add_argument("--approaches", nargs="+", default=[])
    parser.add_argument("--tuning", nargs="+", default=[], metavar="NAME=VALUE", help="settings of [tuning], such as rank=64; use another --out")
    parser.add_argument("--out", type=Path, default=Path("out/format"))
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / f"format-{date.today()}.json")
    options = parser.parse_args()
    for task in options.tasks:
        found = measure(options.data, task, options)
        kept = json.loads(options.results.read_text(encoding="utf-8")) if options.results.is_file() else {}
        key = f"{task} {found['trained_on']}"
        table = {"date": date.today().isoformat(), "machine": machine(), "tasks": {**kept.get("tasks", {}), key: found}}
        options.results.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        for name, result in found["approaches"].items():
            said = ", ".join(
                f"{metric} {value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
                for metric, value in result["metrics"].items()
            )
            print(f"{key} {name} n={result['n']}: {said or result['skipped'] or result['error']}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
