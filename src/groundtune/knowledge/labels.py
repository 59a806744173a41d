"""Access labels and validity dates of a document: what its front matter and the project's folders say.

A document is for everybody unless it carries labels; then a reader needs one of them. Labels compare without regard to
case, width and white space.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from groundtune.errors import ConfigError, DataError
from groundtune.text.dates import parse_period
from groundtune.types import Document

DATES = ("valid_from", "valid_to")
# What is not taken from front matter: readers set these, and they decide how a text is cut.
_RESERVED = frozenset({"format", "path", "document_id"})
_LONGEST = 500
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_LINE = re.compile(r"^([A-Za-z_][\w -]*?)[ \t]*:[ \t]*(.*?)[ \t]*$")
_ITEM = re.compile(r"^[ \t]*-[ \t]+(.*?)[ \t]*$")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_SEPARATOR = re.compile(r"[,;、，；|]")


@dataclass(frozen=True, slots=True)
class FolderRule:
    """Documents whose id is ``folder``, or stands below it when it ends in ``/`` (``""``: all), need one of ``labels``."""

    folder: str
    labels: tuple[str, ...]

    def covers(self, document_id: str) -> bool:
        """True when the rule is about this document."""
        below = self.folder == "" or (self.folder.endswith("/") and document_id.startswith(self.folder))
        return below or document_id == self.folder


def parse_labels(text: str | Iterable[str]) -> tuple[str, ...]:
    """``HR, 法務`` -> ``("hr", "法務")``: sorted, without repeats."""
    parts = _SEPARATOR.split(text) if isinstance(text, str) else [p for one in text for p in _SEPARATOR.split(one)]
    folded = (unicodedata.normalize("NFKC", part).translate(_LOWER) for part in parts)
    return tuple(sorted({"".join(part.split()) for part in folded} - {""}))


def parse_rules(lines: Sequence[str]) -> tuple[FolderRule, ...]:
    """``folder = label, label`` each. Raises ``ConfigError`` for a line without folder or labels."""
    rules: list[FolderRule] = []
    for line in lines:
        folder, mark, names = line.partition("=")
        labels = parse_labels(names)
        if not mark or not folder.strip() or not labels:
            raise ConfigError("knowledge.bad_rule", rule=line)
        rules.append(FolderRule(folder.strip(), labels))
    return tuple(rules)


def rules_json(rules: Sequence[FolderRule]) -> str:
    """The form in which a store keeps them."""
    return json.dumps([{"folder": r.folder, "labels": list(r.labels)} for r in rules], ensure_ascii=False)


def annotated(document: Document) -> Document:
    """The document with its front matter in its metadata (what the metadata says already wins) and its labels in one
    form. The text stays as it is.

    Raises ``DataError`` for a date that cannot be read: a document must not be valid at the wrong time by mistake.
    """
    if not document.metadata and not document.text.startswith(("---", "\ufeff")):
        return document
    found = {k: v for k, v in front_matter(document.text).items() if k not in _RESERVED and len(v) <= _LONGEST}
    metadata = {**found, **{k: v for k, v in document.metadata.items() if v is not None or k not in found}}
    access = metadata.get("access")
    if isinstance(access, str):
        metadata["access"] = ",".join(parse_labels(access))
    for key in DATES:
        value = metadata.get(key)
        if value is not None and parse_period(str(value)) is None:
            raise DataError("knowledge.bad_validity", document=document.id, key=key, value=value)
    return document if metadata == dict(document.metadata) else replace(document, metadata=metadata)


def front_matter(text: str) -> dict[str, str]:
    """``key: value`` lines between ``---`` at the top of a text, keys in lower case; lists become ``a, b``. Keys without
    a value are left out. Only this much of YAML is read.
    """
    match = _FRONT.match(text[:20_000])
    if not match:
        return {}
    found: dict[str, list[str]] = {}
    key = ""
    for line in match.group(1).splitlines():
        item = _ITEM.match(line)
        entry = _LINE.match(line)
        if item and key:
            found[key].append(_plain(item.group(1)))
        elif entry:
            key = entry.group(1).casefold().replace("-", "_").replace(" ", "_")
            value = _plain(entry.group(2))
            found[key] = [value] if value else []
    return {key: ", ".join(values) for key, values in found.items() if values}


def _plain(value: str) -> str:
    """Without quotation marks, brackets of a list and a comment."""
    value = re.sub(r"(?:^|[ \t])#.*$", "", value).strip()
    if value[:1] == "[" and value[-1:] == "]":
        return ", ".join(filter(None, (_plain(part) for part in value[1:-1].split(","))))
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
