"""Bytes to text: byte order marks, UTF-8, then strict decoding by each likely encoding and a look at the result."""

from __future__ import annotations

import codecs
import re

from groundtune.errors import DataError
from groundtune.knowledge.plausible import plausibility

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
# Order decides between equal scores.
_CANDIDATES = ("big5hkscs", "cp932", "euc_jp", "gb18030", "cp949", "utf-16-le", "utf-16-be", "cp1252")
_PLAUSIBLE = 0.35
_ESCAPES = (b"\x1b$", b"\x1b(")
_JIS = ("iso2022_jp", "iso2022_jp_2004", "iso2022_jp_ext")
# What a page calls itself and what is meant, as browsers read it.
_MEANT = {
    "big5": ("big5hkscs", "cp950"), "cp950": ("cp950", "big5hkscs"), "gb2312": ("gb18030",), "gbk": ("gb18030",),
    "shift_jis": ("cp932",), "euc_kr": ("cp949",), "iso2022_jp": _JIS,
}  # fmt: skip
# Names that servers and programs give without looking: no bytes contradict them.
_WEAK = {"iso8859-1", "latin_1", "ascii", "cp1252"}
_DECLARED = re.compile(rb"(?:charset|encoding)\s*=\s*[\"']?\s*([A-Za-z0-9_\-]+)", re.IGNORECASE)
# A file of this many bytes may hold a few broken characters: one in a thousand.
_TOLERANT_FROM = 2000
_BROKEN_SHARE = 0.001


def decode(data: bytes, name: str, *, declared: str = "") -> str:
    """Text with line ends as single newlines. ``declared`` is an encoding that the file names itself, tried first.

    In a longer file one broken character in a thousand becomes U+FFFD. Raises ``DataError`` when no encoding fits,
    naming ``name``.
    """
    text = decoded(data, declared)
    if text is None:
        raise DataError("knowledge.encoding", document=name)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def decoded(data: bytes, declared: str = "") -> str | None:
    """The text, None when no encoding fits."""
    text = _marked(data)
    if text is None:
        text = _as_declared(data, declared)
    if text is None and any(mark in data for mark in _ESCAPES):
        text = _first(data, _JIS)
    if text is None and b"\0" not in data:
        text = _strict(data, "utf-8")
    if text is None:
        text = _unmarked_utf16(data) or _guess(data)
    if text is None and len(data) >= _TOLERANT_FROM and b"\0" not in data:
        text = _tolerant(data)
    return text


def declared_charset(data: bytes) -> str:
    """The charset that an HTML or XML file names in its first 4,096 bytes; empty when it names none that Python knows."""
    match = _DECLARED.search(data[:4096])
    return known_charset(match.group(1).decode("ascii")) if match else ""


def known_charset(name: str) -> str:
    """Python's name of a charset, empty for one that it does not know."""
    try:
        return codecs.lookup(name.strip()).name if name.strip() else ""
    except (LookupError, ValueError):
        return ""


def _marked(data: bytes) -> str | None:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = _strict(data, encoding)
            return None if text is None else text.lstrip("\ufeff")
    return None


def _as_declared(data: bytes, declared: str) -> str | None:
    name = known_charset(declared)
    if not name or name in _WEAK:
        return None
    if name.startswith("utf-16") and b"\0" not in data and _strict(data, "utf-8") is not None:
        return None  # a page that was saved as UTF-8 and kept its declaration
    return _first(data, _MEANT.get(name, (name,)))


def _first(data: bytes, encodings: tuple[str, ...]) -> str | None:
    return next((text for text in (_strict(data, encoding) for encoding in encodings) if text is not None), None)


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError, ValueError):
        return None
    return text if isinstance(text, str) else None


def _unmarked_utf16(data: bytes) -> str | None:
    """UTF-16 of mostly ASCII text shows by its zero bytes: every second one, on one side."""
    if data.count(b"\0", 1) < len(data) * 0.3 or len(data) % 2:
        return None
    little = data[1::2].count(0) > data[0::2].count(0)
    text = _strict(data, "utf-16-le" if little else "utf-16-be")
    return None if text is None or "\0" in text else text


def _guess(data: bytes) -> str | None:
    best, best_score = None, _PLAUSIBLE
    for encoding in _CANDIDATES:
        text = _strict(data, encoding)
        if text is None:
            continue
        found = plausibility(text, encoding)
        if found > best_score + 1e-9:
            best, best_score = text, found
    return best


def _tolerant(data: bytes) -> str | None:
    """The best reading of a file with a few broken characters, such as one that was cut in the middle of one."""
    best, best_score = None, _PLAUSIBLE
    for encoding in ("utf-8", *_CANDIDATES[:5]):
        text = data.decode(encoding, "replace")
        if text.count("\ufffd") > max(3, len(text) * _BROKEN_SHARE):
            continue
        found = plausibility(text.replace("\ufffd", ""), encoding)
        if found > best_score + 1e-9:
            best, best_score = text, found
    return best
