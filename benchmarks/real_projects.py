"""Builds project folders from the development data at run time: law text for knowledge, extraction to JSON for behaviour.

Nothing of the data is kept in the repository; the folders are written below ``--out`` (ignored by git).

Law project of a language: documents are the current versions of the core laws (no built-in model was trained on them) and
of some other laws, which only the examples ask about. Questions ask for segments that an amendment changed and for
unchanged ones; questions about laws that are not among the documents are the unanswerable ones.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]
SHORT = {"en": "en", "zh-Hant": "zh-TW", "ja": "ja"}
FORMAT_TASK = {"en": "snips-json", "zh-Hant": "law-json", "ja": "ner-json"}
INSTRUCTION = {
    "en": "Answer from the laws with one JSON object and nothing else. Keys: answer (in the words of the law), source (title of the law), article (the article's label, such as Article 3). If the laws given do not answer, all three values are null.",
    "zh-Hant": "請依法規條文回答，只輸出一個 JSON 物件。欄位：answer（條文原文中的答案）、source（法規名稱）、article（條號，例如第3條）。所給法規沒有答案時，三個值都填 null。",
    "ja": "法令の条文に基づき、JSON オブジェクト一つだけで答えてください。キー：answer（条文の言葉による答え）、source（法令名）、article（条番号。例：第三条）。与えられた法令に答えがない場合は三つとも null にします。",
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {key: {"type": ["string", "null"], "minLength": 1} for key in ("answer", "source", "article")},
    "required": ["answer", "source", "article"],
    "additionalProperties": False,
}
_HEADING = re.compile(r"^### +(.+?)\s*$", re.MULTILINE)


def rows(path: Path) -> Iterator[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def write_lines(path: Path, items: list[Row]) -> None:
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")


def quote_of(text: str, article: str, answer: str) -> str | None:
    """The line of the article that holds the answer, word for word; None when it is not there exactly once."""
    pieces = _HEADING.split(text)
    for heading, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if heading == article or heading.startswith(article + "（") or heading.startswith(article + " "):
            lines = [line.strip() for line in body.splitlines() if answer in line]
            if len(lines) == 1:
                return lines[0]
    return None


def asked(folder: Path, texts: dict[str, str]) -> dict[str, list[Row]]:
    """Questions by law, with the answer in the current version and its line."""
    found: dict[str, list[Row]] = {}
    for name, key in (("changes", "new_span"), ("unchanged", "answer")):
        for row in rows(folder / f"{name}.jsonl.gz"):
            quote = quote_of(texts.get(row["law"], ""), row["article"], row[key])
            if quote:
                item = {
                    "law": row["law"],
                    "title": row["law_title"],
                    "article": row["article"],
                    "question": row["question"],
                    "answer": row[key],
                    "quote": quote,
                }
                if name == "changes":
                    item["old"] = row["old_span"]
                found.setdefault(row["law"], []).append(item)
    return found


def law_project(
    data: Path, language: str, out: Path, *, questions: int = 90, unanswerable: int = 18, examples: int = 150
) -> Path:
    """Writes the folder and returns it."""
    folder = data / "law" / language
    laws = list(rows(folder / "laws.jsonl.gz"))
    texts = {r["law"]: (folder / "documents_v2" / f"{r['law']}.md").read_text(encoding="utf-8") for r in laws}
    by_law = asked(folder, texts)
    rng = random.Random(0)
    core = [r["law"] for r in laws if r["core"] and r["law"] in by_law]
    other = [r["law"] for r in laws if not r["core"] and r["law"] in by_law]
    rng.shuffle(core)
    rng.shuffle(other)
    missing: list[str] = []
    while sum(len(by_law[law]) for law in missing) < unanswerable and core:
        missing.append(core.pop())
    known = [q for law in core for q in by_law[law]]
    rng.shuffle(known)
    unknown = [q for law in missing for q in by_law[law]][:unanswerable]
    refused: list[Row] = []
    while len(refused) < examples // 7:
        refused.extend(by_law[other.pop()])
    shown = [q for law in other for q in by_law[law]][:examples]
    example_laws = {q["law"] for q in shown}
    kept = [r["law"] for r in laws if r["core"] and r["law"] not in missing] + sorted(example_laws)
    for name, version in (("documents", "documents_v2"), ("documents-old", "documents_v1")):
        (out / name).mkdir(parents=True, exist_ok=True)
        for law in kept:
            (out / name / f"{law}.md").write_bytes((folder / version / f"{law}.md").read_bytes())
    write_lines(out / "questions.jsonl", [question_row(q, i) for i, q in enumerate(known[:questions])] + [
        {"id": f"u-{i:03d}", "question": q["question"], "answers": [], "answerable": False} for i, q in enumerate(unknown)
    ])  # fmt: skip
    write_lines(
        out / "examples.jsonl", [chat(q["question"], q) for q in shown] + [chat(q["question"], None) for q in refused]
    )
    (out / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    toml(out, f"law-{SHORT[language]}", SHORT[language], INSTRUCTION[language], documents=True)
    return out


def question_row(q: Row, index: int) -> Row:
    metadata = {"article": q["article"]} | ({"old_answer": q["old"], "changed": True} if "old" in q else {})
    return {
        "id": f"q-{index:03d}", "question": q["question"], "answers": [q["answer"]], "answerable": True,
        "evidence": {"document": f"{q['law']}.md", "quote": q["quote"]}, "metadata": metadata,
    }  # fmt: skip


def chat(question: str, q: Row | None) -> Row:
    target = (
        {"answer": q["answer"], "source": q["title"], "article": q["article"]}
        if q
        else dict.fromkeys(("answer", "source", "article"))
    )
    metadata = {"document": f"{q['law']}.md", "quote": q["quote"]} if q else {}
    return {
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": json.dumps(target, ensure_ascii=False)}],
        "metadata": metadata,
    }  # fmt: skip


def format_project(data: Path, language: str, out: Path, *, examples: int = 300) -> Path:
    """Extraction to JSON: examples only, no documents."""
    out.mkdir(parents=True, exist_ok=True)
    folder = data / "format" / FORMAT_TASK[language]
    chosen = random.Random(0).sample(list(rows(folder / "train.jsonl.gz")), examples)
    write_lines(out / "examples.jsonl", [{"messages": r["messages"], "metadata": {}} for r in chosen])
    (out / "schema.json").write_bytes((folder / "schema.json").read_bytes())
    toml(out, f"{FORMAT_TASK[language]}", SHORT[language], "", documents=False)
    return out


def toml(out: Path, name: str, language: str, instruction: str, *, documents: bool) -> None:
    fields = 'answer_field = "answer"\nsource_field = "source"\nplace_field = "article"\n' if documents else ""
    held = "" if documents else "[compare]\nheld_out = 0.2\nmax_answer_tokens = 128\n"
    listed = '["documents"]' if documents else "[]"
    needs = (
        "[requirements]\ncitations = true\nfixed_format = true\n"
        if documents
        else '[requirements]\nfixed_format = true\nknowledge_location = "none"\n'
    )
    (out / "groundtune.toml").write_text(
        f'[project]\nname = "{name}"\nlanguage = "{language}"\ndocuments = {listed}\n\n[format]\ninstruction = {json.dumps(instruction, ensure_ascii=False)}\n'
        f'schema = "schema.json"\n{fields}\n{held}[tuning]\nmax_tokens = 900\n\n{needs}',
        encoding="utf-8",
    )
