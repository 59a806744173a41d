"""Markdown, plain text and source code: the text as it is, and what its first lines say about it."""

from __future__ import annotations

import re

from groundtune.knowledge.decode import decode
from groundtune.knowledge.extract import Extract, Scalar, one_line

_TITLE = re.compile(r"^ {0,3}#[ \t]+(\S.*?)[ \t]*#*[ \t]*$", re.MULTILINE)
_FRONT = re.compile(r"\A---[ \t]*\n(.{0,8000}?)^(?:---|\.\.\.)[ \t]*$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^([A-Za-z_]\w*)[ \t]*:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_TAKEN = {"title": "title", "date": "published", "published": "published", "lang": "language", "language": "language"}
_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")


def read_text(data: bytes, name: str, charset: str = "") -> Extract:
    """Markdown and text. Title, date and language may stand in YAML front matter."""
    text = decode(data, name, declared=charset)
    facts = _front_matter(text)
    title = str(facts.pop("title", "") or "")
    if not title:
        match = _TITLE.search(text)
        title = one_line(match.group(1)) if match else ""
    return Extract(text, title, facts)


def _front_matter(text: str) -> dict[str, Scalar]:
    match = _FRONT.match(text)
    if not match:
        return {}
    found = {key.lower(): value.strip("\"'") for key, value in _FIELD.findall(match.group(1))}
    return {_TAKEN[key]: value for key, value in found.items() if key in _TAKEN and value}


def read_code(data: bytes, name: str, charset: str = "") -> Extract:
    """Source code, marked so that its comments are not taken for headings."""
    match = _CODING.search(data[:400])
    declared = charset or (match.group(1).decode("ascii", "replace") if match else "")
    return Extract(decode(data, name, declared=declared), "", {"format": "code"})
