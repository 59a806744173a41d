"""Search terms (stemmed words, CJK bigrams) and reading units (words and single CJK characters with offsets)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from operator import add

from groundtune.text.normalise import fold, squeeze
from groundtune.text.scripts import CJK
from groundtune.text.variants import numbers, one_glyph

_TERM = re.compile(f"[{CJK}]+|[^\\W_{CJK}]+", re.UNICODE)
# Folded ASCII text is cut by making a space of all that is no letter or digit: twice as fast as a search for words.
_CUT_ASCII = bytes(c if chr(c).isalnum() and c < 128 else 32 for c in range(256))
OTHER_WORD = re.compile(f"[^\\W_{CJK}]+", re.UNICODE)
_IS_CJK = re.compile(f"[{CJK}]")
_ACRONYM = re.compile(r"\b(?:[a-z]\.){2,}")
_DOTTED = re.compile(r"\.[a-z]\.")  # a fast test: few texts hold an acronym
_THOUSANDS = re.compile(r",(?<=\d,)(?=\d{3}(?!\d))")
# Combining marks of Latin, Greek and Cyrillic. The kana voicing marks (U+3099, U+309A) are letters, not accents.
_ACCENTS = re.compile("[\u0300-\u036f]")
# What could hold such a mark, composed or not; most CJK text does not and is spared two normalisations.
_ACCENTED = re.compile("[\u00c0-\u058f\u1e00-\u1fff\u0300-\u036f\u2c60-\u2c7f\ua640-\ua7ff]")
_TYPESET = "\u2018\u2019\u201c\u201d\u2013\u2014\u2022\u00b7"
_UNIT = re.compile(f"[{CJK}]|\\d+|[^\\W\\d_]+|[^\\s]", re.UNICODE)

STOP_WORDS = frozenset(
    "a an and are as at be been but by did do does for from had has have how if in into is it its of on or that the their "
    "them then there these they this to was were what when where which who whom whose why will with would s t".split()
)
_SAME = {"percentag": "percent"}


class _Stems(dict[str, str]):
    """Term of each word seen so far, "" for a stop word. Emptied when it grows large: a corpus of part numbers would
    otherwise fill the memory.
    """

    _limit = 500_000

    def __missing__(self, word: str) -> str:
        if len(self) >= self._limit:
            self.clear()
        stem = "" if word in STOP_WORDS else str(_stemmer().stemWord(word)) if word.isascii() else word
        self[word] = _SAME.get(stem, stem)
        return self[word]


stems = _Stems()


@cache
def _stemmer():  # type: ignore[no-untyped-def]  # noqa: ANN202 - the package has no types
    from Stemmer import Stemmer

    made = Stemmer("english")
    made.maxCacheSize = 0  # what it has seen is kept in ``stems``; tidying a second cache costs more than stemming
    return made


def fold_for_search(text: str) -> str:
    """``fold`` plus what people leave out when they type: accents (Beyoncé), the dots of U.S., thousands commas."""
    folded = fold(text)
    ascii_only = folded.isascii()
    if not ascii_only and _ACCENTED.search(folded):
        folded = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", folded)))
    if "." in folded and _DOTTED.search(folded):
        folded = _ACRONYM.sub(lambda match: match.group().replace(".", ""), folded)
    if "," in folded:
        folded = _THOUSANDS.sub("", folded)
    if not ascii_only:
        for mark in _TYPESET:  # leaves most texts in Latin script all ASCII, which is cut several times faster
            folded = folded.replace(mark, " ")
    return folded.replace("%", " percent ")


def search_terms(text: str) -> list[str]:
    """Terms for comparing texts: overlapping CJK bigrams (a lone character stands for itself), Snowball-stemmed
    Latin words without stop words, numbers. Text goes through ``fold_for_search`` first.
    """
    return _terms(fold_for_search(text))


def index_terms(text: str) -> list[str]:
    """``search_terms`` for documents and questions of a search index, where one thing is written in several ways:
    glyph variants (說/説, 內/内) are one term, and numbers in Han numerals follow at the end in digits (三千元, 3,000元).
    """
    folded = fold_for_search(text)
    return _terms(folded) if folded.isascii() else _terms(one_glyph(folded)) + numbers(folded)


def body_terms(text: str, title: str) -> str:
    """Index terms of a chunk's text, joined by spaces. A first line that is the document's title is left out: every
    chunk has the title in its label, and the opening chunk would win each query that names the document.
    """
    return " ".join(index_terms(without_title(text, title)))


def without_title(text: str, title: str) -> str:
    if text.startswith("#"):
        first, _, rest = text.partition("\n")
        if squeeze(first.lstrip("#")) == title:
            return rest
    return text


def label_terms(title: str, heading: str) -> str:
    """Index terms of title and heading, joined by spaces."""
    return " ".join(index_terms(label_text(title, heading)))


def label_text(title: str, heading: str) -> str:
    """What is searched of title and heading."""
    return f"{title} {heading}" if heading != title else title


def ascii_terms(folded: str) -> list[str]:
    """Terms of a folded text that is all ASCII."""
    words = folded.encode().translate(_CUT_ASCII).decode().split()
    return list(filter(None, map(stems.__getitem__, words)))


def _terms(folded: str) -> list[str]:
    if folded.isascii():
        return ascii_terms(folded)
    terms: list[str] = []
    for run in _TERM.findall(folded):
        if run > "\u10ff" and _IS_CJK.match(run):
            terms.extend(map(add, run, run[1:]) if len(run) > 1 else (run,))
        elif term := stems[run]:
            terms.append(term)
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
