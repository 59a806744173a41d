"""Numbers that Word computes for paragraphs: ``1.2``, ``(a)``, ``第三條``. They are not in the text of a file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PLACE = re.compile(r"%(\d)")
_DIGITS = "〇一二三四五六七八九"
_IDEOGRAPHS = {
    "chineseCounting", "chineseCountingThousand", "taiwaneseCounting", "taiwaneseCountingThousand", "japaneseCounting",
    "ideographDigital", "taiwaneseDigital", "japaneseDigitalTenThousand",
}  # fmt: skip
_SERIES = {
    "ideographTraditional": "甲乙丙丁戊己庚辛壬癸", "ideographZodiac": "子丑寅卯辰巳午未申酉戌亥",
    "iroha": "ｲﾛﾊﾆﾎﾍﾄﾁﾘﾇﾙｦ", "irohaFullWidth": "イロハニホヘトチリヌルヲ", "aiueo": "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿ",
    "aiueoFullWidth": "アイウエオカキクケコサシスセソ", "decimalEnclosedCircle": "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳",
}  # fmt: skip
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """The mark before a paragraph (may be empty) and its list level, from 0."""

    text: str
    level: int = 0
    bullet: bool = False


@dataclass(frozen=True, slots=True)
class _Level:
    style: str
    pattern: str
    start: int


class Numbering:
    """Counts through one document, from its ``numbering.xml``."""

    def __init__(self, root: Iterable[Any]) -> None:
        nodes = list(root)
        abstract = {node.get(f"{_W}abstractNumId"): _levels(node) for node in nodes if node.tag == f"{_W}abstractNum"}
        self._lists: dict[str, tuple[str, dict[int, _Level]]] = {}
        for node in nodes:
            if node.tag == f"{_W}num":
                named = node.find(f"{_W}abstractNumId")
                key = "" if named is None else str(named.get(f"{_W}val"))
                self._lists[str(node.get(f"{_W}numId"))] = (key, abstract.get(key, {}))
        self._counts: dict[str, dict[int, int]] = {}

    def next(self, number_id: str, level: int) -> Word:
        """The mark of the next paragraph of a list; empty when the paragraph is in none."""
        key, levels = self._lists.get(number_id, ("", {}))
        settings = levels.get(level)
        if settings is None or settings.style == "none":
            return Word("", level)
        if settings.style == "bullet":
            return Word("-", level, bullet=True)
        counts = self._counts.setdefault(key, {})
        counts[level] = counts.get(level, settings.start - 1) + 1
        for deeper in [known for known in counts if known > level]:
            del counts[deeper]
        return Word(_PLACE.sub(lambda match: _shown(levels, counts, int(match[1]) - 1), settings.pattern), level)


def _levels(node: Any) -> dict[int, _Level]:  # noqa: ANN401 - lxml has no types
    found: dict[int, _Level] = {}
    for level in node.iter(f"{_W}lvl"):
        start = _value(level, "start", "1")
        found[int(level.get(f"{_W}ilvl") or 0)] = _Level(
            _value(level, "numFmt", "decimal"), _value(level, "lvlText", ""), int(start) if start.isdecimal() else 1
        )
    return found


def _value(node: Any, name: str, default: str) -> str:  # noqa: ANN401
    found = node.find(f"{_W}{name}")
    return default if found is None else str(found.get(f"{_W}val") or default)


def _shown(levels: dict[int, _Level], counts: dict[int, int], level: int) -> str:
    settings = levels.get(level, _Level("decimal", "", 1))
    return written(counts.get(level, settings.start), settings.style)


def written(number: int, style: str) -> str:
    """A count in one of Word's number formats; Arabic digits for those unknown."""
    if style in _IDEOGRAPHS:
        return _counted(number)
    if style in _SERIES:
        series = _SERIES[style]
        return series[number - 1] if 0 < number <= len(series) else str(number)
    if style in ("lowerLetter", "upperLetter") and number > 0:
        letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letter.upper() if style == "upperLetter" else letter
    if style in ("lowerRoman", "upperRoman"):
        return _roman(number).upper() if style == "upperRoman" else _roman(number)
    return f"{number:02}" if style == "decimalZero" else str(number)


def _counted(number: int) -> str:
    """1 to 9999 as 一, 十二, 二十, 一百零五."""
    if not 0 < number < 10000:
        return str(number)
    out, gap = "", False
    for unit, sign in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, number = divmod(number, unit)
        if digit:
            out += ("零" if gap and out else "") + _DIGITS[digit] + sign
            gap = False
        else:
            gap = True
    return out.removeprefix("一") if out.startswith("一十") else out


def _roman(number: int) -> str:
    out = ""
    for value, sign in _ROMAN:
        while number >= value:
            out, number = out + sign, number - value
    return out
