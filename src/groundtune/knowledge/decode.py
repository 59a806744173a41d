"""Bytes to text: byte order marks, UTF-8, then strict decoding by each likely encoding and a look at the result."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter

from groundtune.errors import DataError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Order decides between equal scores.
_CANDIDATES = ("big5hkscs", "cp932", "euc_jp", "gb18030", "utf-16-le", "utf-16-be", "cp1252")
# The most frequent characters of running Chinese and Japanese text (function words first).
_FREQUENT = frozenset(
    "的一是不了人我在有他這为為之大來来以個个中上們们到說说國国和地也子時时道出而要於于就下得可你年生自會会那後后能對对著事其裡里所去行過过家十用"
    "發发天如然作方成者多日都三小軍军二無无同主經经公此工業业學学法定第月分本高新條条規规應应前項项及由各市縣县機机關关部長长日本語"
)
_PUNCTUATION = frozenset("，。、；：？！「」『』（）《》〈〉【】…—・ー　　％／“”‘’")
_PLAUSIBLE = 0.35
_DECLARED = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_\-]+)", re.IGNORECASE)


def decode(data: bytes, name: str, *, declared: str = "") -> str:
    """Text with line ends as single newlines. ``declared`` is an encoding that the file names itself, tried first.

    Raises ``DataError`` when no encoding fits, naming ``name``.
    """
    text = _marked(data)
    if text is None:
        text = _strict(data, declared) if declared else None
    if text is None and b"\0" not in data:
        text = _strict(data, "utf-8")
    if text is None:
        text = _unmarked_utf16(data) or _guess(data)
    if text is None:
        raise DataError("knowledge.encoding", document=name)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def declared_charset(data: bytes) -> str:
    """The charset that an HTML page names in its first 4,096 bytes; empty when it names none that Python knows."""
    match = _DECLARED.search(data[:4096])
    if not match:
        return ""
    try:
        return codecs.lookup(match.group(1).decode("ascii")).name
    except LookupError:
        return ""


def _marked(data: bytes) -> str | None:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strict(data, encoding)
    return None


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


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
        found = plausibility(text, western=encoding == "cp1252")
        if found > best_score + 1e-9:
            best, best_score = text, found
    return best


def plausibility(text: str, *, western: bool = False) -> float:
    """Mean over the characters outside ASCII of how usual they are in running text, at most 1.

    Kana, CJK punctuation and the most frequent Han count 1, other Han 0.4 (0 in rare blocks); half-width katakana,
    private-use and control characters count against: they are what a wrong CJK encoding produces.
    """
    total, count = 0.0, 0
    for character, times in Counter(text[:50000]).items():
        if character.isascii() and (character >= " " or character in "\n\r\t\f"):
            continue
        count += times
        total += times * (_usual_western(character) if western else _usual(character))
    if not count:
        return 1.0
    if western and count > 0.2 * len(text[:50000]):
        return 0.0  # Western text is mostly ASCII
    return total / count


def _usual(character: str) -> float:
    code = ord(character)
    if character in _FREQUENT or character in _PUNCTUATION or 0x3041 <= code <= 0x30FF:
        return 1.0
    if 0x4E00 <= code <= 0x9FFF:
        return 0.4
    if 0xFF01 <= code <= 0xFF5E:
        return 0.6
    if 0xFF61 <= code <= 0xFF9F:
        return -0.6
    if unicodedata.category(character) in ("Co", "Cn", "Cc", "Cs"):
        return -1.5
    return -0.4


def _usual_western(character: str) -> float:
    if character in "’‘“”–—…•€£§©®°·«»" or (character.isalpha() and ord(character) < 0x180):
        return 0.75
    return -1.5 if unicodedata.category(character) == "Cc" else 0.0
