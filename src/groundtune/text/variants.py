"""One term for what is written in several ways: glyph variants of Han characters, numbers in Han numerals.

For the search index only; shown text and the texts that a model reads are never changed.
"""

from __future__ import annotations

import re

# Glyph variants of one character (Taiwan's and Japan's standards and older printing). No simplification that merges
# characters of different meaning (后/後, 里/裡) is here.
_PAIRS = (
    "説說 税稅 鋭銳 悦悅 閲閱 脱脫 録錄 緑綠 禄祿 彦彥 値值 内內 呉吳 晩晚 毎每 海海 黄黃 横橫 歩步 涉渉 既旣 絶絕 教敎 没沒 麽麼 "
    "綫線 冊册 郷鄉 即卽 决決 况況 减減 涼凉 却卻 恒恆 秘祕 温溫 産產 顔顏 户戶 戸戶 强強 啓啟 僞偽 汚污 汙污 着著 "
    "唇脣 踪蹤 迹跡 蹟跡 証證 奬獎 帯帶 縁緣 巻卷 歴歷 暦曆 徳德 隠隱 穏穩 研硏 尚尙 清淸 青靑 静靜 浄淨 争爭 戯戲 虚虛 "
    "舎舍 喫吃 廻迴 効效 衞衛 鈎鉤 鷄雞 曽曾 頽頹 頬頰 鎮鎭 真眞 槙槇 填塡 慎愼 遥遙 揺搖 瑶瑤"
)
_GLYPHS = {pair[0]: pair[1] for pair in _PAIRS.split()}
_ANY = re.compile("[" + "".join(_GLYPHS) + "]")

_DIGITS = {c: i for i, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "兩": 2, "两": 2}
_SMALL = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "萬": 10**4, "億": 10**8, "亿": 10**8, "兆": 10**12}
_NUMERAL = "".join([*_DIGITS, *_SMALL, *_LARGE])
_TENS = frozenset([*_SMALL, *_LARGE])
_RUN = re.compile(rf"[{_NUMERAL}][\d{_NUMERAL}]*")
_COUNTER = re.compile(r"[年月日時时分秒週周歳歲名位円圓元割倍度回次個个条條項项款節章頁小箇ヶカ]|か月|公")


def one_glyph(text: str) -> str:
    """Glyph variants replaced by one of them; length stays the same."""
    for variant in set(_ANY.findall(text)):
        text = text.replace(variant, _GLYPHS[variant])
    return text


def numbers(text: str) -> list[str]:
    """The numbers that stand in ``text`` in Han numerals (``三千``, ``二〇二六``, ``1万5千``), in digits, in order.

    A run is a number after 第, before a counter, or when it has a multiplier beside a digit: 千葉 and 一般 stay words.
    """
    found: list[str] = []
    done = 0
    for match in _RUN.finditer(text):
        start, end = match.span()
        while start > done and text[start - 1].isdecimal():
            start -= 1
        run = text[start:end]
        done = end
        counted = text[start - 1 : start] == "第" or _COUNTER.match(text, end)
        if not counted and (len(run) == 1 or _TENS.isdisjoint(run) or _TENS.issuperset(run)):
            continue
        value = number(run)
        if value is not None:
            found.append(str(value))
    return found


def number(text: str) -> int | None:
    """Value of an integer in Han numerals, digits or both; None when it is none."""
    if not any(c in _SMALL or c in _LARGE for c in text):
        digits = "".join(str(_DIGITS[c]) if c in _DIGITS else c for c in text)
        return int(digits) if digits.isdecimal() and len(digits) < 20 else None
    total = section = 0
    pending = ""
    for character in text:
        if character in _DIGITS:
            pending += str(_DIGITS[character])
        elif character.isdecimal():
            pending += character
        elif character in _SMALL:
            section += int(pending or 1) * _SMALL[character]
            pending = ""
        else:
            total += (section + int(pending or 0) or 1) * _LARGE[character]
            section, pending = 0, ""
    return total + section + int(pending or 0)
