"""Files to documents: Markdown, text, HTML, CSV, JSON as text; PDF and DOCX with the extra ``docs``."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from groundtune.errors import DataError
from groundtune.knowledge.decode import declared_charset, decode
from groundtune.knowledge.html import html_to_markdown
from groundtune.knowledge.office import docx_to_markdown, pdf_to_text
from groundtune.types import Document

TEXT_SUFFIXES = (".md", ".markdown", ".txt", ".text", ".rst", ".csv", ".tsv", ".json", ".jsonl")
SUFFIXES = (*TEXT_SUFFIXES, ".html", ".htm", ".pdf", ".docx")
_TITLE = re.compile(r"^ {0,3}#[ \t]+(\S.*?)[ \t]*#*[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be read. ``id`` is its path below ``root`` with forward slashes (its name when given directly)."""

    id: str
    path: Path
    root: Path


def find_sources(paths: Sequence[str | Path]) -> tuple[Source, ...]:
    """All readable files below ``paths``, sorted by id within each path; hidden files and folders are left out.

    Raises ``DataError`` when a path does not exist, a folder holds no readable file, or two files get the same id.
    """
    found: dict[str, Source] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            sources = [Source(p.relative_to(path).as_posix(), p, path) for p in sorted(_walk(path))]
            if not sources:
                raise DataError("knowledge.empty_folder", path=path, types=" ".join(SUFFIXES))
        elif path.exists():
            sources = [Source(path.name, path, path)]
        else:
            raise DataError("core.file_missing", path=path)
        for source in sources:
            other = found.setdefault(source.id, source)
            if other.path.resolve() != source.path.resolve():
                raise DataError("knowledge.same_id", id=source.id, first=other.path, second=source.path)
    return tuple(found.values())


def _walk(folder: Path) -> list[Path]:
    files: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files.extend(Path(parent) / n for n in names if not n.startswith((".", "~$")) and n.lower().endswith(SUFFIXES))
    return files


def file_digest(data: bytes) -> str:
    """SHA-256 of a file's bytes, first 32 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()[:32]


def read_bytes(source: Source) -> bytes:
    """The file's content. Raises ``DataError``."""
    try:
        return source.path.read_bytes()
    except OSError as error:
        raise DataError("knowledge.unreadable", document=source.id, reason=error.strerror or error) from error


def to_document(source: Source, data: bytes) -> Document:
    """Read one file. Raises ``DataError`` for a file without readable text, ``MissingExtra`` for a missing parser."""
    suffix = source.path.suffix.lower()
    title = ""
    if suffix == ".pdf":
        text = pdf_to_text(data, source.id)
    elif suffix == ".docx":
        text = docx_to_markdown(data, source.id)
    elif suffix in (".html", ".htm"):
        page = html_to_markdown(decode(data, source.id, declared=declared_charset(data)))
        text, title = page.text, page.title
    else:
        text = decode(data, source.id)
        if suffix in (".json", ".jsonl"):
            text = _unescaped(text)
    if not text.strip():
        raise DataError("knowledge.no_text", document=source.id)
    title = title or _first_heading(text, suffix) or source.path.stem
    return Document(source.id, text, {"title": title, "path": source.id})


def _first_heading(text: str, suffix: str) -> str:
    if suffix in (".csv", ".tsv", ".json", ".jsonl", ".pdf"):
        return ""
    match = _TITLE.search(text)
    return " ".join(match.group(1).split()) if match else ""


def _unescaped(text: str) -> str:
    r"""JSON with ``\u7f70`` escapes is written out again so that its words can be found and quoted."""
    if "\\u" not in text:
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1) + "\n"
    except ValueError:
        pass
    try:
        return "".join(json.dumps(json.loads(x), ensure_ascii=False) + "\n" for x in text.splitlines() if x.strip())
    except ValueError:
        return text
