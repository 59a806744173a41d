"""When a quote counts as standing word for word in a text.

Both are compared after this normalisation, and no other: Unicode NFKC (full and half width, ligatures), case folded,
variant characters as in ``text.normalise.fold`` (臺 and 台), every kind of quotation mark, apostrophe and dash made one,
white space, zero-width characters and Markdown emphasis left out. Not one letter or digit more may differ.
What is shown afterwards is always the text as stored.
"""

from __future__ import annotations

import re
import unicodedata

from groundtune.text.normalise import fold
from groundtune.types import Span

_SAME = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»「」『』〝〞＂", '"'), **dict.fromkeys("‘’‚‛′＇`´", "'"),
        **dict.fromkeys("‐‑‒–—―−－", "-"), "…": "...",
    }
)  # fmt: skip
_NOTHING = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad*_")
_POINTS = ".,．，"
_LETTER = re.compile(r"\w")


def quote_key(text: str) -> str:
    """``text`` as quotes are compared."""
    return "".join(_folded(text, start, end) for start, end in _clusters(text))


def find_quote(text: str, quote: str) -> Span | None:
    """Where ``quote`` first stands in ``text``, whole words only; None when it does not or holds no letter or digit."""
    wanted = quote_key(quote)
    if not _LETTER.search(wanted):
        return None
    pieces: list[str] = []
    places: list[tuple[int, int]] = []  # for each character of the joined pieces, the cluster it came from
    for start, end in _clusters(text):
        piece = _folded(text, start, end)
        pieces.append(piece)
        places.extend([(start, end)] * len(piece))
    joined = "".join(pieces)
    at = joined.find(wanted)
    while at >= 0:
        span = Span(places[at][0], places[at + len(wanted) - 1][1])
        if _whole(text, span) and quote_key(text[span.start : span.end]) == wanted:
            return span
        at = joined.find(wanted, at + 1)
    return None


def _clusters(text: str) -> list[tuple[int, int]]:
    """A character with the combining marks that follow it, which NFKC may join to it."""
    found: list[tuple[int, int]] = []
    for place, character in enumerate(text):
        if found and (unicodedata.combining(character) or character in "\u3099\u309a\uff9e\uff9f"):
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
    return found


def _folded(text: str, start: int, end: int) -> str:
    folded = fold(text[start:end].translate(_SAME)).translate(_SAME)
    return "".join(c for c in folded if not c.isspace() and c not in _NOTHING)


def _whole(text: str, span: Span) -> bool:
    """Not cut out of the middle of a Latin word or a number; CJK has no such borders."""
    return not (_joined(text, span.start) or _joined(text, span.end))


def _joined(text: str, place: int) -> bool:
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    # a comma or point inside a number does not end it
    if before.isdecimal() and after in _POINTS and text[place + 1 : place + 2].isdecimal():
        return True
    if after.isdecimal() and before in _POINTS and text[max(0, place - 2) : place - 1].isdecimal():
        return True
    return _runs_on(before) and _runs_on(after) and before.isdecimal() == after.isdecimal()


def _runs_on(character: str) -> bool:
    return character.isalnum() and (character.isdecimal() or unicodedata.name(character, "").startswith("LATIN"))
