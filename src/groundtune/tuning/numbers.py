"""Numbers in a text by value, so that 三萬元, 30,000 and thirty thousand are the same number.

For looking facts up only: a number that a prompt states in another way is not knowledge that the prompt lacks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from groundtune.text.scripts import CJK
from groundtune.text.tokenise import STOP_WORDS

_DIGITS = {c: i for i, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "兩": 2, "両": 2}
_SMALL = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "萬": 10**4, "億": 10**8, "兆": 10**12}
_CJK = "".join([*_DIGITS, *_SMALL, *_LARGE])
_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_WORDS = {word: value for value, word in enumerate(_UNITS)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_WORD = "|".join([*_WORDS, *_SCALES])
_PART = "|".join(_PARTS)
_NUMBER = re.compile(
    rf"(?P<fraction>[{_CJK}\d]+分之[{_CJK}\d]+)"
    rf"|(?P<part>\b(?:{_WORD})[-\s](?:{_PART})s?\b)"
    rf"|(?P<words>\b(?:{_WORD})(?:(?:[-\s]|\s+and\s+)(?:{_WORD}))*\b)"
    rf"|(?P<mixed>\d[\d,]*(?:\.\d+)?(?:[{_CJK}][{_CJK}\d,]*)?|[{_CJK}]+(?:\d[{_CJK}\d]*)?)",
    re.IGNORECASE,
)

# A parenthesis that repeats a number, "fifteen (15) days", does not part it from its unit.
_UNIT = re.compile(rf"\s?%|(?:\s?\(\d+\))?[\s-]?[A-Za-z]+|\s?[{CJK}]{{1,2}}")


@dataclass(frozen=True)
class Number:
    """A number at ``[start, end)`` of the NFKC text; ``value`` is canonical: ``30000``, ``0.5`` or ``2/3``. ``unit``
    is what it counts (``year`` for "years", 日, ``%``; may be empty); with it the number ends at ``unit_end``.
    """

    text: str
    value: str
    start: int
    end: int
    unit: str
    unit_end: int


def numbers(text: str) -> Iterator[Number]:
    """All numbers, in order. ``text`` should be NFKC; offsets are into it."""
    for match in _NUMBER.finditer(text):
        value = _value(match)
        if value is not None:
            after = _UNIT.match(text, match.end())
            unit = _unit(match.group(), after.group() if after else "")
            end = after.end() if after and unit else match.end()
            yield Number(match.group(), value, match.start(), match.end(), unit, end)


def values(text: str) -> set[str]:
    """Canonical values of all numbers in ``text``."""
    return {number.value for number in numbers(unicodedata.normalize("NFKC", text))}


def counted(text: str) -> set[str]:
    """Values, and ``value unit`` for those with a unit: ``{"30", "30 day"}`` for "thirty days"."""
    found = set()
    for number in numbers(unicodedata.normalize("NFKC", text)):
        found.add(number.value)
        if number.unit:
            found.add(f"{number.value} {number.unit}")
    return found


def _unit(number: str, after: str) -> str:
    if number.startswith(("百分之", "100分之")) or after.strip().lower() in ("%", "percent", "パー"):
        return "%"
    word = after.strip(" -").lower()
    if word.isascii():
        return "" if word in STOP_WORDS else word.removesuffix("s")
    return "月" if word in ("箇月", "個月", "か月", "ヶ月", "カ月", "ケ月") else word[:1]


def _value(match: re.Match[str]) -> str | None:
    text = match.group()
    if match.group("fraction"):
        below, _, above = text.partition("分之")
        bottom, top = _cjk(below), _cjk(above)
        if bottom is None or top is None:
            return None
        return _plain(top) if bottom == 100 else f"{_plain(top)}/{_plain(bottom)}"  # 百分之五 is 5 percent
    if match.group("part"):
        count, _, part = re.sub(r"\s+", "-", text.lower()).rpartition("-")
        top = _spoken(count)
        bottom = _PARTS.get(part) or _PARTS.get(part.removesuffix("s"))
        return f"{top}/{bottom}" if bottom else None
    if match.group("words"):
        return str(_spoken(text))
    if re.fullmatch(r"[\d,.]+", text):
        digits = text.replace(",", "").rstrip(".")
        return _decimal(digits) if digits else None
    found = _cjk(text.replace(",", ""))
    return None if found is None else _plain(found)


def _plain(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) and not value.is_integer() else str(int(value))


def _decimal(digits: str) -> str:
    whole, _, rest = digits.partition(".")
    rest = rest.rstrip("0")
    whole = whole.lstrip("0") or "0"
    return f"{whole}.{rest}" if rest else whole


def _spoken(text: str) -> int:
    total = section = 0
    for word in re.split(r"[-\s]+", text.lower()):
        if word in _WORDS:
            section += _WORDS[word]
        elif word == "hundred":
            section = (section or 1) * 100
        elif word in _SCALES:
            total += (section or 1) * _SCALES[word]
            section = 0
    return total + section


def _cjk(text: str) -> float | None:
    """Value of CJK numerals, digits or both: 三百二十, 二〇二六, 1万5千, 1.5億."""
    if not any(c in _SMALL or c in _LARGE for c in text):
        digits = "".join(str(_DIGITS.get(c, c)) for c in text)
        return float(digits) if re.fullmatch(r"\d+(\.\d+)?", digits) else None
    total: float = 0
    section: float = 0
    pending = ""
    for character in text:
        if character in _DIGITS:
            pending += str(_DIGITS[character])
        elif character.isdecimal() or character == ".":
            pending += character
        elif character in _SMALL:
            section += float(pending or 1) * _SMALL[character]
            pending = ""
        else:
            total += (section + float(pending or 0) or 1) * _LARGE[character]
            section, pending = 0, ""
    return total + section + float(pending or 0)
