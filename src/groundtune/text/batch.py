"""Search terms and inverted lists of many chunks at once: what ``tokenise`` and ``inverted.pack`` give, several times
faster. The bigrams of all Chinese and Japanese texts are made, counted and sorted as numbers and never become strings one
by one; each word is looked up once and its number used for the rest.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from groundtune.text.inverted import MOST, PLACES, Packed, pack
from groundtune.text.scripts import CJK
from groundtune.text.tokenise import (
    OTHER_WORD,
    ascii_terms,
    body_terms,
    fold_for_search,
    label_terms,
    label_text,
    stems,
    without_title,
)
from groundtune.text.variants import numbers, one_glyph

# Below this the tables of code points cost more than they save.
_WORTH = 64
_PLACE_BITS = 24
_INT = np.int64

Part = tuple[str, str, str]  # title, heading, text of a chunk


@dataclass(frozen=True, slots=True)
class Inverted:
    """``terms``: those of label and body of each chunk, joined by spaces; ``packed``: the lists of all of them."""

    terms: list[tuple[str, str]]
    packed: Packed


def invert(parts: Sequence[Part]) -> Inverted:
    """Terms and inverted lists of chunks. Raises ``ValueError`` for more chunks than one segment can hold."""
    if len(parts) < _WORTH:
        terms = [(label_terms(title, heading), body_terms(text, title)) for title, heading, text in parts]
        return Inverted(terms, pack([label for label, _ in terms], [body for _, body in terms]))
    if len(parts) >= PLACES:
        raise ValueError(f"{len(parts)} chunks in one segment; the most is {PLACES - 1}")
    labels = list(dict.fromkeys((title, heading) for title, heading, _ in parts))
    number = {label: place for place, label in enumerate(labels)}
    which = np.array([number[title, heading] for title, heading, _ in parts], dtype=_INT)
    found = _Units(
        [*(without_title(text, title) for title, _, text in parts), *(label_text(*label) for label in labels)]
    )
    label_words = found.joined[len(parts) :]
    terms = [(label_words[label], body) for label, body in zip(which.tolist(), found.joined, strict=False)]
    return Inverted(terms, found.packed(which))


class _Units:
    """The terms of texts: ``joined`` as strings; as numbers in ``_words`` (of ``_names``) and ``_pairs`` (of two dense
    code points, the second one more so that 0 means none), each with its text in ``_word_units`` and ``_pair_units``.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.joined = [""] * len(texts)
        words: list[str] = []
        sizes: list[int] = []
        units: list[int] = []
        wide: list[tuple[int, str, list[str]]] = []
        for place, text in enumerate(texts):
            folded = fold_for_search(text)
            if folded.isascii():
                terms = ascii_terms(folded)
                self.joined[place] = " ".join(terms)
                words += terms
                sizes.append(len(terms))
                units.append(place)
            else:
                wide.append((place, one_glyph(folded), numbers(folded)))
        self._wide(wide, words, sizes, units)
        ids: defaultdict[str, int] = defaultdict()
        ids.default_factory = ids.__len__
        self._words = np.fromiter(map(ids.__getitem__, words), dtype=_INT, count=len(words))
        self._word_units = np.repeat(np.array(units, dtype=_INT), np.array(sizes, dtype=_INT))
        self._names = list(ids)

    def _wide(
        self, wide: Sequence[tuple[int, str, list[str]]], words: list[str], sizes: list[int], units: list[int]
    ) -> None:
        """Bigrams and words of folded texts that are not all ASCII. NumPy writes the bigrams of all of them as text too;
        words are put between.
        """
        whole = "\n".join([text for _, text, _ in wide])
        characters = np.frombuffer(whole.encode("utf-32-le"), dtype="<u4")
        cjk = _cjk_table()[characters]
        after, before = np.append(cjk[1:], False)[: len(cjk)], np.append(False, cjk[:-1])[: len(cjk)]
        pair, lone = cjk & after, cjk & ~after & ~before
        ends = np.cumsum(pair * 3 + lone * 2)
        made = np.full(int(ends[-1]) if len(ends) else 0, 32, dtype="<u4")
        pairs, lones = np.flatnonzero(pair), np.flatnonzero(lone)
        made[ends[pairs] - 3], made[ends[pairs] - 2] = characters[pairs], characters[pairs + 1]
        made[ends[lones] - 2] = characters[lones]
        self._number(characters, cjk, pairs, lones)
        lengths = np.array([len(text) + 1 for _, text, _ in wide], dtype=_INT)
        unit = np.repeat(np.array([place for place, _, _ in wide], dtype=_INT), lengths)
        self._pair_units = np.concatenate([unit[pairs], unit[lones]])
        bigrams = made.tobytes().decode("utf-32-le")
        found, starts = _other_words(characters)
        counts = np.diff(np.searchsorted(starts, np.append(0, np.cumsum(lengths)))).tolist()
        offsets = np.append(0, ends)
        cuts, upto = offsets[starts].tolist(), offsets[np.cumsum(lengths) - 1].tolist() if wide else []
        done = first = 0
        for (place, _, digits), count, end in zip(wide, counts, upto, strict=True):
            pieces: list[str] = []
            held = len(words)
            for stem, cut in zip(map(stems.__getitem__, found[first : first + count]), cuts[first:], strict=False):
                if stem:
                    pieces += (bigrams[done:cut], stem, " ")
                    words.append(stem)
                    done = cut
            pieces.append(bigrams[done:end])
            pieces += (f"{digit} " for digit in digits)
            words += digits
            self.joined[place] = "".join(pieces).rstrip(" ")
            sizes.append(len(words) - held)
            units.append(place)
            first += count
            done = end

    def _number(
        self,
        characters: NDArray[np.uint32],
        cjk: NDArray[np.bool_],
        pairs: NDArray[np.int64],
        lones: NDArray[np.int64],
    ) -> None:
        """Bigrams and lone characters as numbers in the order of their code points."""
        present = np.zeros(0x110000, dtype=np.bool_)
        present[characters[cjk]] = True
        self._code_points = np.flatnonzero(present)
        dense = np.cumsum(present, dtype=_INT) - 1
        self._base = len(self._code_points) + 1
        first = dense[characters[pairs]] * self._base + dense[characters[pairs + 1]] + 1
        self._pairs = np.concatenate([first, dense[characters[lones]] * self._base])

    def packed(self, which: NDArray[np.int64]) -> Packed:
        """Lists of chunks whose bodies are the first texts and whose labels are the texts behind them, ``which`` of those
        per chunk.
        """
        names = sorted(self._names)
        rank = {name: place for place, name in enumerate(names)}
        order = np.fromiter(map(rank.__getitem__, self._names), dtype=_INT, count=len(names))
        terms = np.concatenate([order[self._words], self._pairs + len(names)])
        units = np.concatenate([self._word_units, self._pair_units])
        count = len(which)
        inside = units < count
        of_label, place_of_label = _spread(terms[~inside], units[~inside] - count, which)
        places = np.concatenate([units[inside], place_of_label])
        keys = np.concatenate([terms[inside], of_label]) << (_PLACE_BITS + 1) | places << 1
        keys[: int(np.count_nonzero(inside))] += 1
        keys.sort()
        distinct, bounds, values = _lists(keys)
        lengths = np.bincount(places, minlength=count).astype(np.uint32)
        bigrams = self._characters(distinct[len(names) :] - len(names))
        return _in_order(Packed(lengths, names + bigrams, bounds, values), len(names))

    def _characters(self, pairs: NDArray[np.int64]) -> list[str]:
        """The strings of numbered bigrams and lone characters."""
        if not len(pairs):
            return []
        written = np.zeros((len(pairs), 2), dtype="<u4")
        first, second = np.divmod(pairs, self._base)
        written[:, 0] = self._code_points[first]
        two = second > 0
        written[two, 1] = self._code_points[second[two] - 1]
        return list(written.view("<U2").ravel().tolist())


def _spread(
    terms: NDArray[np.int64], labels: NDArray[np.int64], which: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The terms of each chunk's label and their chunk: those of a label that many chunks share are repeated."""
    terms = terms[np.argsort(labels, kind="stable")]
    sizes = np.bincount(labels, minlength=int(which.max()) + 1)
    starts = np.cumsum(sizes) - sizes
    each = sizes[which]
    ends = np.cumsum(each)
    at = np.repeat(starts[which] - (ends - each), each) + np.arange(int(ends[-1]))
    return terms[at], np.repeat(np.arange(len(which)), each)


def _lists(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
    """Distinct terms, their bounds and their values from sorted ``term, place, is in the body``."""
    if not len(keys):
        return np.zeros(0, _INT), np.zeros(1, _INT), np.zeros(0, np.uint32)
    pairs = keys >> 1
    first = np.flatnonzero(np.append(True, pairs[1:] != pairs[:-1]))
    counts = np.minimum(np.add.reduceat((keys & 1) + 1, first), MOST)
    pairs = pairs[first]
    term = pairs >> _PLACE_BITS
    starts = np.flatnonzero(np.append(True, term[1:] != term[:-1]))
    values = ((pairs & (PLACES - 1)) << 8 | counts).astype("<u4")
    return term[starts], np.append(starts, len(values)), values


def _in_order(packed: Packed, words: int) -> Packed:
    """The first ``words`` terms and those behind them are sorted, the whole is not when there are words of a script whose
    characters come behind Chinese or Japanese ones (Bopomofo).
    """
    terms = packed.terms
    if words in (0, len(terms)) or terms[words - 1] < terms[words]:
        return packed
    order = sorted(range(len(terms)), key=terms.__getitem__)
    chosen = np.array(order, dtype=_INT)
    sizes = np.diff(packed.bounds)[chosen]
    bounds = np.append(0, np.cumsum(sizes))
    at = np.repeat(packed.bounds[chosen] - bounds[:-1], sizes) + np.arange(len(packed.values))
    return Packed(packed.lengths, [terms[place] for place in order], bounds, packed.values[at])


def _other_words(characters: NDArray[np.uint32]) -> tuple[list[str], NDArray[np.int64]]:
    """The words that are not Chinese, Japanese or Korean, and where each starts."""
    inside = _in_word(characters)
    starts = np.flatnonzero(inside & ~np.append(False, inside[:-1])[: len(inside)])
    spaced = np.where(inside, characters, np.uint32(32))
    # one space of each run is enough for ``split``; the others need not be decoded
    kept = spaced[inside | np.append(False, inside[:-1])[: len(inside)]]
    return kept.astype("<u4").tobytes().decode("utf-32-le").split(" ")[: len(starts)], starts


def _in_word(characters: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which characters ``OTHER_WORD`` finds. Each code point is looked at once in the life of a process."""
    kinds = _kinds()
    found = kinds[characters]
    if not found.all():
        for code in np.unique(characters[found == 0]).tolist():
            kinds[code] = 2 if OTHER_WORD.match(chr(code)) else 1
        found = kinds[characters]
    return np.asarray(found == 2)


@cache
def _kinds() -> NDArray[np.uint8]:
    """Per code point: 0 not seen yet, 1 no part of a word, 2 part of one."""
    return np.zeros(0x110000, dtype=np.uint8)


@cache
def _cjk_table() -> NDArray[np.bool_]:
    """True for each code point of Han, kana and hangul."""
    table = np.zeros(0x110000, dtype=np.bool_)
    for match in re.finditer("(.)-(.)|(.)", CJK):
        first, last = match.group(1) or match.group(3), match.group(2) or match.group(3)
        table[ord(first) : ord(last) + 1] = True
    return table
