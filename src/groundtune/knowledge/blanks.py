"""Questions with a blank (``____``, ``〔　　〕``, ``＿＿＿``): the words around the blank are looked for in the passages, and
what stands between them there is the answer, word for word. No model is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundtune.text.normalise import fold
from groundtune.text.prompts import HEADING_MARK
from groundtune.text.scripts import is_cjk
from groundtune.text.sentences import enclosing_sentence, sentence_spans
from groundtune.types import Hit, Reading

_BLANK = re.compile(
    r"[_＿]{2,}|＿|[（(\[［〔【「『<〈][\s_＿.…·・]*[\s_＿…][\s_＿.…·・]*[）)\]］〕】」』>〉]|[□○〇◯]{2,}|□|\[(?:blank|空欄|空格)\]",
    re.IGNORECASE,
)
_OMISSION = re.compile(r"\.{3,}|…+|‥+")
_QUOTES = {"「": "」", "『": "』", "“": "”", "«": "»", '"': '"'}
# Quotation marks are changed when a text is quoted: they are not compared.
_MARKS = frozenset("\"'“”‘’「」『』«»＂＇")
_NUMBER = re.compile(
    r"第\s*[\d０-９〇一二三四五六七八九十百千零]+(?:[-－]\d+)?\s*[條条章節款](?:\s*[之の]\s*[\d〇一二三四五六七八九十]+)*"
    r"|(?:Article|Section|Rule|§)\s*\d+(?:[-.]\d+)*",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"[-.]?\d|[之の][\d〇一二三四五六七八九十]")
# A sign as long as a CJK character's share of a text (`knowledge.chunk`).
_LATIN = 500 / 1200
_SEED = 3  # folded characters that an alignment starts from
_LONGEST = 160  # folded characters that a blank may stand for
_REACH = 60  # folded characters of context that are compared
# In CJK characters: an alignment on less context than this is chance.
_LEAST = 4.0
_CERTAIN = 24.0
_STOPS = "。.!?"  # folded; the end of a sentence is no part of what a blank stands for
_NAMED = 6.0
_FAR = 0.02  # what a character in the blank costs: of two places that agree alike the nearer ones belong together


@dataclass(frozen=True, slots=True)
class _Text:
    """``folded``: characters as they are compared, no white space; ``places``: where each stands in the text."""

    folded: str
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Blank:
    """The folded words before and behind a blank, within its quotation; ``opens`` and ``closes``: it stands where the
    quotation begins or ends.
    """

    before: str
    behind: str

    @property
    def opens(self) -> bool:
        return not self.before

    @property
    def closes(self) -> bool:
        return not self.behind


@dataclass(frozen=True, slots=True)
class _Found:
    """A place that a blank may stand for, in folded characters, and how much context around it agrees."""

    start: int
    end: int
    agreed: float


def has_blank(question: str) -> bool:
    """True when something is to be filled in."""
    return bool(_BLANK.search(question))


def blanks_of(question: str) -> list[Blank]:
    """The blanks of a question that have words beside them."""
    marks = list(_BLANK.finditer(question))
    found: list[Blank] = []
    for place, mark in enumerate(marks):
        start, end = _quotation(question, mark.start(), mark.end())
        start = max([start, *(m.end() for m in marks[:place] if m.end() <= mark.start())])
        end = min([end, *(m.start() for m in marks[place + 1 :])])
        omitted = [m.end() for m in _OMISSION.finditer(question, start, mark.start())]
        cut = _OMISSION.search(question, mark.end(), end)
        before = _fold(question[omitted[-1] if omitted else start : mark.start()]).folded[-_REACH:]
        behind = _fold(question[mark.end() : cut.start() if cut else end]).folded[:_REACH]
        if before or behind:
            found.append(Blank(before, behind))
    return found


def _quotation(question: str, start: int, end: int) -> tuple[int, int]:
    """Where the outermost quotation around ``[start, end)`` begins and ends; the whole question without one."""
    open_marks: list[tuple[int, str]] = []
    for place, character in enumerate(question[:start]):
        if open_marks and character == open_marks[-1][1]:
            open_marks.pop()
        elif character in _QUOTES:
            open_marks.append((place, _QUOTES[character]))
    for level, (place, closing) in enumerate(open_marks):
        inside = sum(other == closing for _, other in open_marks[level + 1 :])
        close = _closed(question, end, question[place], closing, inside)
        if close >= 0:
            return place + 1, close
    return 0, len(question)


def _closed(question: str, start: int, opening: str, closing: str, depth: int) -> int:
    """Where the quotation closes that is open at ``start``, with ``depth`` others open inside of it; its last mark when
    they do not add up, -1 without one.
    """
    last = -1
    for place in range(start, len(question)):
        if question[place] == closing:
            if depth == 0:
                return place
            last = place
            depth -= 1
        elif question[place] == opening:
            depth += 1
    return last


def fill(question: str, hits: Sequence[Hit]) -> list[Reading]:
    """Readings of the hits in which the words around a blank of the question stand, best first; empty when there is no
    blank or its words stand nowhere. ``probability`` grows with the number of words that agree. Where the same words
    stand in several hits, the one whose title and heading the question names comes first, then the higher rank.
    """
    blanks = blanks_of(question)
    if not blanks:
        return []
    asked = _fold(question).folded
    readings: list[Reading] = []
    for index, hit in enumerate(hits):
        text = _fold(hit.chunk.text)
        found = [one for blank in blanks for one in _alignments(blank, hit.chunk.text, text)]
        if found:
            best = max(found, key=lambda one: one.agreed - _FAR * (one.end - one.start))
            readings.append(_reading(index, hit.chunk.text, text, best, _named(hit, asked)))
    return sorted(readings, key=lambda reading: (-reading.score, reading.index))


def _named(hit: Hit, asked: str) -> float:
    """What it is worth that the question names the document and the section, in CJK characters that agree."""
    title = _fold(hit.chunk.title).folded
    worth = _NAMED if len(title) > 1 and title in asked else 0.0
    number = _NUMBER.match(hit.chunk.heading.rpartition(HEADING_MARK)[2].strip())
    if number:
        section = _fold(number.group()).folded
        place = asked.find(section)
        if place >= 0 and not _GOES_ON.match(asked, place + len(section)):
            worth += _NAMED
    return worth


def _alignments(blank: Blank, passage: str, text: _Text) -> Iterator[_Found]:
    """Where what agrees with the words before the blank is followed, not far away, by what agrees with those behind."""
    ends = _places_before(blank.before, text.folded) if blank.before else []
    starts = _places_behind(blank.behind, text.folded) if blank.behind else []
    if blank.opens or blank.closes:
        stops = [_folded_place(text, place) for s in sentence_spans(passage) for place in (s.start, s.end)]
        starts = starts or [(stop, 0.0) for stop in stops]
        ends = ends or [(stop, 0.0) for stop in stops]
    for end, left in ends:
        for start, right in starts:
            if 0 < start - end <= _LONGEST and left + right >= _LEAST:
                yield _Found(end, start, left + right)


def _places_before(before: str, folded: str) -> list[tuple[int, float]]:
    """Places where the end of ``before`` has just been read, with the weight of what agrees."""
    seed = before[-_SEED:]
    found: list[tuple[int, float]] = []
    place = folded.find(seed)
    while place >= 0:
        end = place + len(seed)
        length = len(seed)
        while length < min(len(before), end) and before[-length - 1] == folded[end - length - 1]:
            length += 1
        found.append((end, _weight(before[len(before) - length :])))
        place = folded.find(seed, place + 1)
    return found


def _places_behind(behind: str, folded: str) -> list[tuple[int, float]]:
    """Places where the beginning of ``behind`` is read, with the weight of what agrees."""
    seed = behind[:_SEED]
    found: list[tuple[int, float]] = []
    place = folded.find(seed)
    while place >= 0:
        length = len(seed)
        while length < len(behind) and behind[length : length + 1] == folded[place + length : place + length + 1]:
            length += 1
        found.append((place, _weight(behind[:length])))
        place = folded.find(seed, place + 1)
    return found


def _weight(agreed: str) -> float:
    """How much agreeing characters tell, in CJK characters."""
    return sum(1.0 if is_cjk(character) else _LATIN for character in agreed)


def _folded_place(text: _Text, place: int) -> int:
    """The first folded character at or behind a place of the text."""
    low, high = 0, len(text.places)
    while low < high:
        middle = (low + high) // 2
        if text.places[middle] < place:
            low = middle + 1
        else:
            high = middle
    return low


def _reading(index: int, passage: str, text: _Text, found: _Found, named: float) -> Reading:
    start, last = found.start, found.end
    while last > start + 1 and text.folded[last - 1] in _STOPS:
        last -= 1
    start, end = text.places[start], text.places[last - 1] + 1
    sentence = enclosing_sentence(passage, start, end)
    sure = min(found.agreed + named, _CERTAIN) / _CERTAIN
    score = found.agreed + named - _FAR * (found.end - found.start)
    return Reading(index, start, end, sentence.start, sentence.end, score, 0.6 + 0.39 * sure)


def _fold(text: str) -> _Text:
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if character.isspace() or character in _MARKS:
            continue
        folded = fold(character)
        characters.append(folded)
        places.extend([place] * len(folded))
    return _Text("".join(characters), tuple(places))
