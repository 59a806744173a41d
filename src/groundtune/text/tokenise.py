"""Search terms (stemmed words, CJK bigrams) and reading units (words and single CJK characters with offsets)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import add

import numpy as np
from numpy.typing import NDArray

from groundtune.text.normalise import fold, squeeze
from groundtune.text.scripts import CJK
from groundtune.text.variants import numbers, one_glyph

_TERM = re.compile(f"[{CJK}]+|[^\\W_{CJK}]+", re.UNICODE)
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_WORD = re.compile(f"[^\\W_{CJK}]+", re.UNICODE)
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


_stems = _Stems()


@cache
def _stemmer():  # type: ignore[no-untyped-def]  # noqa: ANN202 - the package has no types
    from Stemmer import Stemmer

    return Stemmer("english")


def fold_for_search(text: str) -> str:
    """``fold`` plus what people leave out when they type: accents (Beyoncé), the dots of U.S., thousands commas."""
    folded = fold(text)
    if _ACCENTED.search(folded):
        folded = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", folded)))
    if _DOTTED.search(folded):
        folded = _ACRONYM.sub(lambda match: match.group().replace(".", ""), folded)
    if "," in folded:
        folded = _THOUSANDS.sub("", folded)
    if not folded.isascii():
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
    return " ".join(index_terms(_without_title(text, title)))


def _without_title(text: str, title: str) -> str:
    if text.startswith("#"):
        first, _, rest = text.partition("\n")
        if squeeze(first.lstrip("#")) == title:
            return rest
    return text


def label_terms(title: str, heading: str) -> str:
    """Index terms of title and heading, joined by spaces."""
    return " ".join(index_terms(f"{title} {heading}" if heading != title else title))


def joined_terms(parts: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """``label_terms`` and ``body_terms`` of many chunks, each given as (title, heading, text), several times faster."""
    labels: dict[tuple[str, str], str] = {}
    for title, heading, _ in parts:
        if (title, heading) not in labels:
            labels[title, heading] = label_terms(title, heading)
    bodies = [""] * len(parts)
    wide: list[tuple[int, str, str]] = []
    for place, (title, _, text) in enumerate(parts):
        folded = fold_for_search(_without_title(text, title))
        if folded.isascii():
            bodies[place] = " ".join(filter(None, map(_stems.__getitem__, _ASCII_WORD.findall(folded))))
        else:
            glyphs = one_glyph(folded)
            wide.append((place, glyphs, " ".join(numbers(folded))))
    for (place, _, digits), body in zip(wide, _joined_wide([glyphs for _, glyphs, _ in wide]), strict=True):
        bodies[place] = f"{body} {digits}".strip() if digits else body
    return [(labels[title, heading], body) for (title, heading, _), body in zip(parts, bodies, strict=True)]


def _joined_wide(texts: Sequence[str]) -> list[str]:
    """``" ".join(_terms(text))`` of folded texts. NumPy writes the bigrams of all of them; words are put between."""
    whole = "\n".join(texts)
    characters = np.frombuffer(whole.encode("utf-32-le"), dtype="<u4")
    cjk = _cjk_table()[characters]
    after, before = np.append(cjk[1:], False), np.append(False, cjk[:-1])
    pair, lone = cjk & after, cjk & ~after & ~before
    ends = np.cumsum(pair * 3 + lone * 2)
    made = np.full(int(ends[-1]) if len(ends) else 0, 32, dtype="<u4")
    at = np.flatnonzero(pair)
    made[ends[at] - 3], made[ends[at] - 2] = characters[at], characters[at + 1]
    at = np.flatnonzero(lone)
    made[ends[at] - 2] = characters[at]
    bigrams = made.tobytes().decode("utf-32-le")
    offsets = np.append(0, ends)
    joined: list[str] = []
    start = 0
    for text in texts:
        end = start + len(text)
        pieces: list[str] = []
        done = int(offsets[start])
        for match in _WORD.finditer(whole, start, end):
            if stem := _stems[match.group()]:
                upto = int(offsets[match.start()])
                pieces += (bigrams[done:upto], stem, " ")
                done = upto
        pieces.append(bigrams[done : int(offsets[end])])
        joined.append("".join(pieces).rstrip(" "))
        start = end + 1
    return joined


@cache
def _cjk_table() -> NDArray[np.bool_]:
    """True for each code point of Han, kana and hangul."""
    table = np.zeros(0x110000, dtype=np.bool_)
    for match in re.finditer("(.)-(.)|(.)", CJK):
        first, last = match.group(1) or match.group(3), match.group(2) or match.group(3)
        table[ord(first) : ord(last) + 1] = True
    return table


def _terms(folded: str) -> list[str]:
    if folded.isascii():
        return list(filter(None, map(_stems.__getitem__, _ASCII_WORD.findall(folded))))
    terms: list[str] = []
    for run in _TERM.findall(folded):
        if run > "\u10ff" and _IS_CJK.match(run):
            terms.extend(map(add, run, run[1:]) if len(run) > 1 else (run,))
        elif term := _stems[run]:
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
