"""Citation markers in what a model wrote: ``[1]``, ``[1, 2]``, ``[1-3]``, ``【1】``, ``［１］``, ``[^1]``, ``【1†source】``,
``[1](https://…)``, and ``(1)`` where the prompt asked for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.text.normalise import squeeze

_LIST = r"\d{1,3}(?:\s*(?:[,，、;；~〜～–—-]|and|と|和|及)\s*\d{1,3})*"
_PREFIX = r"(?:[#^]|passages?\s|段落|文章|來源|出典)?\s*"
_SQUARE = re.compile(
    rf"[\[［【〔]\s*{_PREFIX}({_LIST})\s*(?:†[^\]］】〕\n]{{0,80}})?[\]］】〕](?:\(\s*(?:https?|data|file):[^)\s]*\s*\))?",
    re.IGNORECASE,
)
_ROUND = re.compile(rf"[(（]\s*({_LIST})\s*[)）]")
_RANGE = re.compile(r"(\d{1,3})\s*[~〜～–—-]\s*(\d{1,3})")
_NUMBER = re.compile(r"\d{1,3}")
# A range is read as a list of at most this many; a longer one counts as invented from there on.
_LONGEST_RANGE = 50
_CONTEXT = 12


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker at ``[start, end)`` and the passage numbers that it names, as written."""

    start: int
    end: int
    numbers: tuple[int, ...]


def find_markers(text: str, *, parentheses: bool = False) -> list[Marker]:
    """All markers in the order of the text. ``parentheses``: the prompt asked for ``(1)``."""
    patterns = (_SQUARE, _ROUND) if parentheses else (_SQUARE,)
    found = [Marker(m.start(), m.end(), _numbers(m.group(1))) for pattern in patterns for m in pattern.finditer(text)]
    return sorted(found, key=lambda marker: marker.start)


def own_markers(text: str, sources: Sequence[str], *, parentheses: bool = False) -> list[Marker]:
    """The markers that the writer set: not those that it copied together with the words before them from a source
    (footnote numbers of an encyclopedia, say).
    """
    packed = [squeeze(source) for source in sources]
    return [m for m in find_markers(text, parentheses=parentheses) if not _copied(text, m, packed)]


def asks_for_parentheses(prompt: str) -> bool:
    """True when an instruction shows ``(1)`` as the form of a marker."""
    return bool(_ROUND.search(prompt)) and not _SQUARE.search(prompt)


def without(text: str, markers: Sequence[Marker]) -> tuple[str, list[int]]:
    """The text without the markers and the spaces before them, and where in it each one stood."""
    pieces: list[str] = []
    places: list[int] = []
    at = length = 0
    for marker in markers:
        piece = text[at : marker.start].rstrip(" \t\u3000")
        pieces.append(piece)
        length += len(piece)
        places.append(length)
        at = marker.end
    pieces.append(text[at:])
    return "".join(pieces), places


def _copied(text: str, marker: Marker, sources: Sequence[str]) -> bool:
    before = squeeze(text[max(0, marker.start - _CONTEXT) : marker.start])
    if len(before) < _CONTEXT // 3:
        return False
    return any(squeeze(text[max(0, marker.start - _CONTEXT) : marker.end]) in source for source in sources)


def _numbers(inside: str) -> tuple[int, ...]:
    found: dict[int, None] = {}

    def spread(match: re.Match[str]) -> str:
        first, last = int(match.group(1)), int(match.group(2))
        found.update(dict.fromkeys(range(first, min(last, first + _LONGEST_RANGE) + 1)) if first <= last else {})
        if first > last:
            found.update(dict.fromkeys((first, last)))
        return " "

    rest = _RANGE.sub(spread, inside)
    found.update(dict.fromkeys(int(number) for number in _NUMBER.findall(rest)))
    return tuple(sorted(found))
