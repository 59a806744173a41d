"""Numbers written in one way before answers are compared: 1,200 = １２００ = 1200, 第四十八條 = 第48條, 五万円 = 50000円.

For matching only. Without it ``200`` would be found in ``1,200`` and ``5 days`` in ``3.5 days``, because punctuation
is dropped when answers are cut into tokens.
"""

from __future__ import annotations

import re
import unicodedata

from groundtune.text.variants import number

_DIGITS = {c: i for i, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "兩": 2, "两": 2}
_SMALL = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "萬": 10**4, "億": 10**8, "亿": 10**8}
_NUMERAL = "".join([*_DIGITS, *_SMALL, *_LARGE])
# A kanji run is a number after 第, before a counter, with a multiplier beside a digit (三十萬), or when it is all there
# is: 千葉 and 一般 stay words.
_COUNTER = (
    "(?:[年月日時时分秒週周季期歳歲才人名位円元塊割倍度回次個个本台臺部冊枚張张件階層楼樓號号條条項项款節节章頁页泊晚夜種種類类點点級级]"
    "|パーセント|ヶ月|か月|カ月|箇月|個月|小時|公里|公斤|公尺|キロ|工作天|天)"
)
_TENS = "".join([*_SMALL, *_LARGE])
_RUN = re.compile(
    rf"(?<=第)[\d{_NUMERAL}]+|[\d{_NUMERAL}]*[{_NUMERAL}][\d{_NUMERAL}]*(?={_COUNTER})"
    rf"|(?<![\d{_NUMERAL}])(?=[{_TENS}]*[\d{''.join(_DIGITS)}])[\d{_NUMERAL}]*[{_TENS}][\d{_NUMERAL}]*"
    rf"|^\s*[{_NUMERAL}]+\s*$"
)
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d)")
_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_MINUS = re.compile(r"(?<![\w\d)\]])[-\u2212](?=\d)")


def plain_numbers(text: str) -> str:
    """NFKC; thousands separators dropped; decimal points and leading minus signs kept inside the token."""
    plain = unicodedata.normalize("NFKC", text)
    plain = _GROUPED.sub(lambda m: m.group().replace(",", ""), plain)
    return _POINT.sub("point", _MINUS.sub("minus", plain))


def forms(text: str) -> tuple[str, str]:
    """The text with plain numbers, and that with CJK numerals in digits too. Two texts match when either form does, so
    that a numeral recognised on one side only (``三十`` against ``三十日``) costs nothing.
    """
    plain = plain_numbers(text)
    return plain, _RUN.sub(_digits, plain)


def _digits(match: re.Match[str]) -> str:
    value = number(match.group().strip())
    return match.group() if value is None else str(value)
