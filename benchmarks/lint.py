"""Does lint tell knowledge from behaviour? `python benchmarks/lint.py --data DATA [--keep]`.

A labelled set is built at run time for each language, with the laws of that language as the user's documents.
Knowledge (must be found): questions about the laws with closed-book answers, written bare, as a sentence and as JSON.
Behaviour (must not be found): extraction and rewriting tasks, and the same law questions with their article in the
prompt, where the answer follows from what is shown. `qa` does the same with natural questions about encyclopedia
articles, which name no document; thresholds were chosen with `--parts qa-train law`, and the
misses of an early version on `law` and `qa` were read while the rules were written, so no part is blind. Questions that state their answer
are left out. Numbers go to `benchmarks/results/lint-<date>.json` with `--keep`.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import platform
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from groundtune.measure.stats import wilson
from groundtune.text.normalise import contains_answer, fold
from groundtune.text.prompts import Shown, render
from groundtune.tuning.facts import known_facts
from groundtune.tuning.lint import lint
from groundtune.types import Document, Example, Message

LANGUAGES = ("en", "zh-Hant", "ja")
TASKS = {"en": ("snips-json", "e2e-report"), "zh-Hant": ("law-json",), "ja": ("ner-json", "keigo-style")}
OPENING = {"en": "The answer is {answer}.", "zh-Hant": "答案是{answer}。", "ja": "答えは{answer}です。"}
SENTENCE = {
    "en": "According to the {law}, it is {answer}.",
    "zh-Hant": "依《{law}》規定，是{answer}。",
    "ja": "{law}によると、{answer}です。",
}


@dataclass(frozen=True)
class Labelled:
    """One example, whether its answer is knowledge, and the kind of set it comes from."""

    example: Example
    knowledge: bool
    kind: str
    document: str = ""


def lines(path: Path) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def documents_of(data: Path, language: str) -> list[Document]:
    folder = data / "law" / language / "documents_v2"
    return [Document(path.name, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.md"))]


def law_questions(data: Path, language: str) -> list[dict]:
    folder = data / "law" / language
    rows = [{**row, "file": f"{row['law']}.md"} for row in lines(folder / "unchanged.jsonl.gz")]
    return rows + [
        {**row, "answer": row["new_span"], "file": f"{row['law']}.md"} for row in lines(folder / "changes.jsonl.gz")
    ]


def passage(text: str, row: dict) -> str | None:
    """The article of the law that holds the answer."""
    parts = re.split(r"(?m)^(?=#{2,4} )", text)
    holding = [part for part in parts if fold(row["answer"]) in fold(part)]
    named = [part for part in holding if fold(row["article"]).replace(" ", "") in fold(part[:60]).replace(" ", "")]
    return (named or holding or [None])[0]


def articles(data: Path, language: str, split: str, most: int) -> tuple[list[Document], list[dict]]:
    """Articles of the development (or training) set as documents, and questions spread over them."""
    texts: dict[str, list[str]] = {}
    rows = []
    for row in lines(data / "qa" / language / f"{split}.jsonl.gz"):
        if row["title"] not in texts and len(texts) == 80:
            break
        texts.setdefault(row["title"], [f"# {row['title']}"]).append(row["text"])
        rows += [
            {"question": q["question"], "answer": q["answers"][0], "law_title": row["title"], "file": row["title"],
             "passage": row["text"]}
            for q in row["questions"] if q["answers"] and not contains_answer(q["question"], q["answers"][0])
        ]  # fmt: skip
    chosen = rows[:: max(1, len(rows) // most)][:most]
    return [Document(title, "\n\n".join(parts)) for title, parts in texts.items()], chosen


def closed_book(rows: list[dict], language: str) -> list[Labelled]:
    found = []
    for number, row in enumerate(rows):
        forms = (
            row["answer"],
            (OPENING if "passage" in row else SENTENCE)[language].format(law=row["law_title"], answer=row["answer"]),
            json.dumps({"answer": row["answer"], "source": row["law_title"]}, ensure_ascii=False),
        )
        example = chat(row["question"], forms[number % 3], f"closed-{number}")
        found.append(Labelled(example, True, f"closed-book {('bare', 'sentence', 'json')[number % 3]}", row["file"]))
    return found


def open_book(rows: list[dict], texts: dict[str, str], language: str) -> list[Labelled]:
    found = []
    for number, row in enumerate(rows):
        shown = row.get("passage") or passage(texts[row["file"]], row)
        if shown is None:
            continue
        target = SENTENCE[language].format(law=row["law_title"], answer=row["answer"]) if number % 2 else row["answer"]
        prompt = render(row["question"], [Shown(row["law_title"], shown)])
        found.append(Labelled(chat(prompt, target, f"open-{number}"), False, "open-book"))
    return found


def tasks(data: Path, language: str, each: int) -> list[Labelled]:
    found = []
    for task in TASKS[language]:
        for number, row in enumerate(lines(data / "format" / task / "dev.jsonl.gz")[:each]):
            turns = tuple(Message(turn["role"], turn["content"]) for turn in row["messages"])
            found.append(Labelled(Example(turns, id=f"{task}-{number}"), False, task))
    return found


def chat(prompt: str, answer: str, name: str) -> Example:
    return Example((Message("user", prompt), Message("assistant", answer)), id=name)


def share(part: int, whole: int) -> dict[str, object]:
    low, high = wilson(part, whole) if whole else (0.0, 1.0)
    return {"value": round(part / whole, 4) if whole else None, "n": whole, "interval": [round(low, 4), round(high, 4)]}


def measure(data: Path, language: str, part: str, each: int, show: int) -> dict[str, object]:
    if part == "law":
        documents, rows = documents_of(data, language), law_questions(data, language)
    else:
        documents, rows = articles(data, language, part.partition("-")[2] or "dev", 2 * each)
    texts = {document.id: document.text for document in documents}
    items = [*closed_book(rows, language), *open_book(rows, texts, language), *tasks(data, language, each)]
    began = time.perf_counter()
    flagged = {known.example.id: known for known in known_facts([item.example for item in items], texts)}
    seconds = time.perf_counter() - began
    hits = [item for item in items if item.example.id in flagged]
    right = sum(item.knowledge for item in hits)
    wanted = [item for item in items if item.knowledge]
    named = sum(flagged[item.example.id].document == item.document for item in hits if item.knowledge)
    kinds = {
        kind: share(sum(i.example.id in flagged for i in items if i.kind == kind), count)
        for kind, count in Counter(item.kind for item in items).items()
    }
    if show:
        print_errors(items, flagged, show)
    advice = {}
    for kind, chosen in (("knowledge", wanted), ("behaviour", [i for i in items if not i.knowledge])):
        report = lint([item.example for item in chosen], (), documents)
        advice[kind] = {"advice": report.advice, "knowledge_share": round(report.knowledge_share, 4), "n": len(chosen)}
    return {
        "documents": len(documents), "characters": sum(map(len, texts.values())), "examples": len(items),
        "precision": share(right, len(hits)), "recall": share(right, len(wanted)),
        "right_document_named": share(named, right), "flagged_by_kind": kinds, "advice": advice,
        "seconds": round(seconds, 2),
    }  # fmt: skip


def print_errors(items: list[Labelled], flagged: dict, show: int) -> None:
    for title, wrong in (
        ("missed", [i for i in items if i.knowledge and i.example.id not in flagged]),
        ("false alarms", [i for i in items if not i.knowledge and i.example.id in flagged]),
    ):
        print(f"--- {title}: {len(wrong)}")
        for item in wrong[:show]:
            known = flagged.get(item.example.id)
            print(f"  {item.kind} | {item.example.input[-160:]!r} -> {item.example.target[:120]!r}")
            if known is not None:
                print(f"      {known.fact!r} in {known.document}: {known.quote[:120]!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--languages", nargs="*", default=list(LANGUAGES))
    parser.add_argument("--parts", nargs="*", default=["law", "qa"])
    parser.add_argument("--each", type=int, default=150, help="examples of each behaviour task")
    parser.add_argument("--show", type=int, default=0, help="print so many misses and false alarms")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    results: dict[str, dict] = {}
    for part in arguments.parts:
        for language in arguments.languages:
            found = measure(arguments.data, language, part, arguments.each, arguments.show)
            results.setdefault(part, {})[language] = found
            print(part, language, json.dumps(found, ensure_ascii=False), flush=True)
    if arguments.keep:
        today = datetime.date.today().isoformat()
        table = {"date": today, "machine": f"{platform.machine()}, one thread", "results": results}
        path = Path(__file__).parent / "results" / f"lint-{today}.json"
        path.write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
