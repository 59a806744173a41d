"""Search terms (stemmed words, CJK bigrams) and reading units (words and single CJK characters with offsets)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from groundtune.text.normalise import fold
from groundtune.text.scripts import CJK

_TERM = re.compile(f"[{CJK}]+|[^\\W_{CJK}]+", re.UNICODE)
_IS_CJK = re.compile(f"[{CJK}]")
_ACRONYM = re.compile(r"\b(?:[a-z]\.){2,}")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
# Combining marks of Latin, Greek and Cyrillic. The kana voicing marks (U+3099, U+309A) are letters, not accents.
_ACCENTS = re.compile("[\u0300-\u036f]")
_UNIT = re.compile(f"[{CJK}]|\\d+|[^\\W\\d_]+|[^\\s]", re.UNICODE)

STOP_WORDS = frozenset(
    "a an and are as at be been but by did do does for from had has have how if in into is it its of on or that the their "
    "them then there these they this to was were what when where which who whom whose why will with would s t".split()
)
_SAME = {"percentag": "percent"}


@cache
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


@cache
def _stemmer():  # type: ignore[no-untyped-def]  # noqa: ANN202 - the package has no types
    from Stemmer import Stemmer

    return Stemmer("english")


def fold_for_search(text: str) -> str:
    """``fold`` plus what people leave out when they type: accents (Beyoncé), the dots of U.S., thousands commas."""
    folded = fold(text)
    if not folded.isascii():
        folded = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", folded)))
    folded = _ACRONYM.sub(lambda match: match.group().replace(".", ""), folded)
    return _THOUSANDS.sub("", folded).replace("%", " percent ")


def search_terms(text: str) -> list[str]:
    """Terms for the lexical index: overlapping CJK bigrams (a lone character stands for itself), Snowball-stemmed
    Latin words without stop words, numbers. Text goes through ``fold_for_search`` first.
    """
    terms: list[str] = []
    for run in _TERM.findall(fold_for_search(text)):
        if _IS_CJK.match(run):
            terms.extend([run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)])
        elif run not in STOP_WORDS:
            stem = _stem(run) if run.isascii() else run
            terms.append(_SAME.get(stem, stem))
    return terms


@dataclass(frozen=True, slots=True)
class Unit:
    """One reading unit: a word, a number, a single CJK character or a punctuation mark."""

    text: str
    start: int
    end: int


def reading_units(text: str) -> list[Unit]:
    """Units with offsets into ``text``; white space is skipped."""
    return [Unit(m.group(), m.start(), m.end()) for m in _UNIT.finditer(text)]
