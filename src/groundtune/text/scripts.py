"""Which script a character and which language a text is in, from Unicode ranges alone."""

from __future__ import annotations

import re

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f々〇"
KANA = "\u3041-\u309f\u30a1-\u30ff\uff66-\uff9f"
HANGUL = "\uac00-\ud7af\u1100-\u11ff"
CJK = HAN + KANA + HANGUL

_HAN = re.compile(f"[{HAN}]")
_KANA = re.compile(f"[{KANA}]")
_HANGUL = re.compile(f"[{HANGUL}]")
_CJK = re.compile(f"[{CJK}]")
_LETTER = re.compile(r"[^\W\d_]")
_CJKS = re.compile(f"[{CJK}]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_READ = re.compile(
    f"[{HAN}{KANA}\u0041-\u024f\uff21-\uff3a\uff41-\uff5a]"
)  # scripts that the built-in models have seen
# Thai, Lao, Burmese, Khmer, Tibetan, Javanese, Balinese: no spaces between words.
_UNSPLIT = re.compile("[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1b00-\u1b7f\ua980-\ua9df\uaa60-\uaa7f]")
_SIMPLIFIED = re.compile(
    "[们这为国说对时会过发还进个么没东车门问间见觉让应该实现样经给变级组织线练总结续维护单标备导师电脑网络软开关]"
)


def is_cjk(character: str) -> bool:
    """True for Han, kana and hangul."""
    return bool(_CJK.match(character))


def cjk_share(text: str) -> float:
    """Share of letters that are Han, kana or hangul, in [0, 1]; 0 for a text without letters."""
    if text.isascii():
        return 0.0
    letters = len(text) - len(_LETTERS.sub("", text))
    return (len(text) - len(_CJKS.sub("", text))) / letters if letters else 0.0


def unread_share(text: str) -> float:
    """Share of letters outside Latin, Han and kana, in [0, 1]: what the built-in models have never seen."""
    if text.isascii():
        return 0.0
    letters = len(text) - len(_LETTERS.sub("", text))
    read = len(_READ.findall(text))
    return max(0.0, 1 - read / letters) if letters else 0.0


def unsplit_share(text: str) -> float:
    """Share of letters in scripts without spaces between words whose words the search terms do not separate, in [0, 1]."""
    if text.isascii():
        return 0.0
    found = sum(character.isalpha() for character in _UNSPLIT.findall(text))
    letters = sum(map(str.isalpha, text)) if found else 0
    return found / letters if letters else 0.0


def language_of(text: str) -> str:
    """``"ja"``, ``"zh-TW"``, ``"zh-CN"``, ``"ko"`` or ``"en"`` (any other script counts as ``"en"``).

    Kana above 5 % of CJK letters means Japanese; Han without kana is Chinese, Simplified when characters that
    only the simplified set has make up more than 1 % of the Han.
    """
    sample = text[:20000]
    cjk = len(_CJK.findall(sample))
    letters = len(_LETTER.findall(sample))
    if not letters or cjk / letters < 0.2:
        return "en"
    if len(_HANGUL.findall(sample)) / cjk > 0.3:
        return "ko"
    if len(_KANA.findall(sample)) / cjk > 0.05:
        return "ja"
    han = len(_HAN.findall(sample)) or 1
    return "zh-CN" if len(_SIMPLIFIED.findall(sample)) / han > 0.01 else "zh-TW"
