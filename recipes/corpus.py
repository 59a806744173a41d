"""Reads the development data folder (``--data``) into plain lists for the recipes. Nothing of it is kept in the repo.

Law text: only version 1 of laws that are not marked ``core`` is used for training, so that ``make real`` (core laws)
measures on documents that no built-in model has seen.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = ("en", "ja", "zh-Hant")
_ARTICLE = re.compile(r"^### +(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Asked:
    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Paragraph:
    title: str
    text: str
    questions: tuple[Asked, ...]


@dataclass(frozen=True)
class Article:
    title: str
    heading: str
    text: str


def rows(path: Path) -> Iterator[dict[str, object]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def paragraphs(data: Path, language: str, part: str) -> list[Paragraph]:
    """``part`` is ``train`` or ``dev``."""
    found = []
    for row in rows(data / "qa" / language / f"{part}.jsonl.gz"):
        asked = tuple(
            Asked(str(q["question"]).strip(), tuple(q["answers"]))  # type: ignore[index]
            for q in row["questions"]  # type: ignore[union-attr]
            if q["answers"]
        )
        found.append(Paragraph(str(row["title"]).replace("_", " "), str(row["text"]), asked))
    return found


def articles(data: Path, language: str, *, core: bool = False) -> list[Article]:
    """Articles of version 1 of the laws that are (not) core."""
    folder = data / "law" / language
    wanted = [str(r["law"]) for r in rows(folder / "laws.jsonl.gz") if bool(r["core"]) == core]
    found = []
    for law in wanted:
        text = (folder / "documents_v1" / f"{law}.md").read_text(encoding="utf-8")
        title = text.split("\n", 1)[0].lstrip("# ").strip()
        pieces = _ARTICLE.split(text)
        for heading, body in zip(pieces[1::2], pieces[2::2], strict=True):
            body = re.sub(r"^##? .*$", "", body, flags=re.MULTILINE).strip()
            if len(body) > 20:
                found.append(Article(title, heading, body))
    return found
