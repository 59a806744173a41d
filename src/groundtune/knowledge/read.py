"""Files, folders, archives and addresses to documents. Each format is read by the module that ``_READERS`` names."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune import registry
from groundtune.errors import DataError, GroundtuneError
from groundtune.knowledge.address import is_address, parse_address
from groundtune.knowledge.archive import Member, members
from groundtune.knowledge.extract import Extract, clean
from groundtune.knowledge.source import Facts, Source, Unreadable
from groundtune.types import Document

if TYPE_CHECKING:
    from groundtune.knowledge.site import Link

_TEXT = (".md", ".markdown", ".txt", ".text", ".rst", ".log")
CODE_SUFFIXES = (
    ".py", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".java", ".kt", ".go", ".rs", ".c", ".h", ".cpp", ".cc", ".hpp", ".cs",
    ".rb", ".php", ".swift", ".scala", ".sh", ".ps1", ".sql", ".lua", ".r", ".pl", ".vb", ".vue", ".svelte",
    ".toml", ".yaml", ".yml", ".ini", ".cfg", ".proto", ".tf",
)  # fmt: skip
# Suffix to ``module:function`` of this room; imported when the first such file is read.
_READERS: dict[str, str] = {
    **dict.fromkeys(_TEXT, "plain:read_text"),
    **dict.fromkeys(CODE_SUFFIXES, "plain:read_code"),
    **dict.fromkeys((".csv", ".tsv"), "table:read_table"),
    **dict.fromkeys((".jsonl", ".ndjson"), "records:read_jsonl"), ".json": "records:read_json",
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html:read_html"), ".pdf": "pdf:read_pdf",
    ".docx": "word:read_word", ".pptx": "slides:read_slides", **dict.fromkeys((".xlsx", ".xlsm"), "sheet:read_sheet"),
}  # fmt: skip
_MAIL, _ARCHIVE = ".eml", ".zip"
# Read by nothing, but named in the report: leaving them out in silence would look like success.
_OLD_OFFICE = (".doc", ".xls", ".ppt")
SUFFIXES = (*_READERS, _MAIL, _ARCHIVE)
_SHOWN = (
    ".md", ".txt", ".html", ".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".tsv", ".json", ".jsonl", ".eml", ".zip", ".py", "…"
)  # fmt: skip
_SKIPPED = {"node_modules", "__pycache__", "__MACOSX"}
_LARGEST = 512 * 1024 * 1024


@dataclass(frozen=True)
class _Packed:
    """A file in an archive."""

    member: Member

    def read(self) -> bytes:
        return self.member.read()

    def facts(self) -> Facts:
        return Facts(Path(self.member.name).suffix.lower())


def find_sources(paths: Sequence[str | Path | Link], cache: Path | None = None) -> tuple[Source, ...]:
    """All readable files below ``paths``, sorted by id within each path; hidden files and folders are left out. The
    files in a ZIP archive are sources of their own, and so are the pages of a sitemap and the entries of a feed behind
    an address. Answers of web servers are kept in ``cache``.

    Raises ``DataError`` when a path does not exist, a folder holds no readable file, or two files get the same id.
    """
    found: dict[str, Source] = {}
    for given in paths:
        for source in _sources(given, cache):
            other = found.setdefault(source.id, source)
            if other is not source and other.path.resolve() != source.path.resolve():
                raise DataError("knowledge.same_id", id=source.id, first=other.path, second=source.path)
    return tuple(found.values())


def root_of(given: str | Path | Link) -> Path | str:
    """``Source.root`` of what comes from a given path or address."""
    url = given if isinstance(given, (str, Path)) else given.url
    if not is_address(url):
        return Path(url)
    try:
        return parse_address(str(url)).url
    except DataError:
        return str(url)


def _sources(given: str | Path | Link, cache: Path | None) -> list[Source]:
    if isinstance(given, (str, Path)) and not is_address(given):
        return _files(Path(given))
    from groundtune.knowledge.site import Link, find_pages

    return find_pages(given if isinstance(given, Link) else Link(str(given)), cache)


def _files(path: Path) -> list[Source]:
    if path.is_dir():
        files = [Source(p.relative_to(path).as_posix(), p, path) for p in sorted(_walk(path))]
        if not files:
            raise DataError("knowledge.empty_folder", path=path, types=" ".join(_SHOWN))
    elif path.exists():
        files = [Source(path.name, path, path)]
    else:
        raise DataError("core.file_missing", path=path)
    return [
        source for file in files for source in (_unpacked(file) if file.path.suffix.lower() == _ARCHIVE else [file])
    ]


def _walk(folder: Path) -> list[Path]:
    files: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        files.extend(Path(parent) / n for n in names if not n.startswith((".", "~$")) and readable(n, *_OLD_OFFICE))
    return files


def readable(name: str, *more: str) -> bool:
    """True when a file of this name is of a type that is read (or one of ``more``)."""
    return name.lower().endswith((*SUFFIXES, *_plugins(), *more))


@cache
def _plugins() -> dict[str, str]:
    """Suffix to ``module:function`` of installed packages (entry points ``groundtune.document``, e.g. ``ics``)."""
    found = registry.providers("document")
    return {"." + name.lower().lstrip("."): name for name in found if "." + name.lower().lstrip(".") not in _READERS}


def _unpacked(file: Source) -> list[Source]:
    try:
        inside = members(file.path, file.id, lambda name: readable(name, *_OLD_OFFICE))
        if not inside:
            raise DataError("knowledge.empty_folder", path=file.id, types=" ".join(_SHOWN))
    except DataError as error:
        keeps = None if error.key == "knowledge.empty_folder" else f"{file.id}/"
        return [Source(file.id, file.path, file.root, Unreadable(error), keeps)]
    return [Source(m.document, file.path / m.name, file.root, _Packed(m)) for m in inside]


def file_digest(data: bytes) -> str:
    """SHA-256 of a file's bytes, first 32 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()[:32]


def read_bytes(source: Source) -> bytes:
    """The content. Raises ``DataError``."""
    if source.origin is not None:
        return source.origin.read()
    try:
        if source.path.stat().st_size > _LARGEST:
            raise DataError("knowledge.too_large", document=source.id, limit=_LARGEST // 1024 // 1024)
        return source.path.read_bytes()
    except OSError as error:
        raise DataError("knowledge.unreadable", document=source.id, reason=error.strerror or error) from error


def to_document(source: Source, data: bytes) -> Document:
    """Read one file. Raises ``DataError`` for a file without readable text, ``MissingExtra`` for a missing parser."""
    facts = source.origin.facts() if source.origin else Facts(source.path.suffix.lower())
    extract = extract_text(data, source.id, facts.suffix, facts.charset)
    text = clean(extract.text)
    if not text.strip():
        raise DataError("knowledge.no_text", document=source.id)
    found = {**extract.metadata, **facts.metadata}
    title = clean(str(facts.metadata.get("title") or extract.title or source.path.stem))
    return Document(source.id, text, {**found, "title": title, "path": source.id})


def extract_text(data: bytes, name: str, suffix: str, charset: str = "") -> Extract:
    """Read bytes as the format of ``suffix`` (with the dot). Raises ``DataError`` and ``MissingExtra``."""
    if suffix == _ARCHIVE:
        raise DataError("knowledge.nested_zip", document=name)
    if suffix in _OLD_OFFICE:
        raise DataError("knowledge.encrypted", document=name)
    try:
        if suffix == _MAIL:
            return _function("mail:read_mail")(data, name, _attachment)
        if suffix in _plugins():
            return _foreign(suffix, data, name)
        return _function(_READERS.get(suffix, "plain:read_text"))(data, name, charset)
    except RecursionError as error:  # parts in parts in parts
        raise DataError("knowledge.damaged", document=name) from error


def _foreign(suffix: str, data: bytes, name: str) -> Extract:
    """A plugin's reader gives an ``Extract`` or the text. Whatever it raises is a file that cannot be read."""
    try:
        made = registry.resolve("document", _plugins()[suffix])(data, name)
    except GroundtuneError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataError("knowledge.unreadable", document=name, reason=reason) from error
    return made if isinstance(made, Extract) else Extract(str(made))


def _attachment(data: bytes, name: str) -> Extract:
    suffix = Path(name).suffix.lower()
    if suffix not in _READERS and suffix not in _plugins():
        raise DataError("knowledge.no_text", document=name)
    return extract_text(data, name, suffix)


def _function(target: str) -> Callable[..., Extract]:
    module, _, name = target.partition(":")
    found: Callable[..., Extract] = getattr(importlib.import_module(f"groundtune.knowledge.{module}"), name)
    return found
