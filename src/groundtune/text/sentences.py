"""Sentence spans with exact offsets, in English, Chinese and Japanese, Markdown-aware."""

from __future__ import annotations

import re

from groundtune.types import Span

_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|vs|etc|e\.g|i\.e|No|Art|Inc|Ltd|Co|Corp|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|"
    r"Oct|Nov|Dec|U\.S|U\.K|approx|Fig|Vol|pp|cf)|\b[A-Z])\.$"
)
_END = re.compile(r"[。！？!?．]+[」』）)\]”\"'’】〉》]*|\.+[)\]”\"'’]*(?=\s|$)|\n+")
_CLOSERS_CJK = re.compile(r"^[」』）】〉》]")
_GOES_ON = tuple("とってのをがはに、，等")


def sentence_spans(text: str) -> list[Span]:
    """Spans of sentences without surrounding white space. A newline ends a sentence, so headings, list items and
    table rows are sentences of their own. ``text[span.start:span.end]`` is the sentence.
    """
    spans: list[Span] = []
    start = 0
    depth = 0
    scanned = 0
    for match in _END.finditer(text):
        newline = text[match.start()] == "\n"
        for character in text[scanned : match.start()]:
            if character in "「『（":
                depth += 1
            elif character in "」』）" and depth:
                depth -= 1
        scanned = match.start()
        if newline:
            depth = 0
        elif depth and (_inside(match.group()) or text[match.end() : match.end() + 1] in _GOES_ON):
            continue  # a full stop inside 「…」 or （…） does not end the sentence
        elif match.group()[0] == "." and _ABBREVIATION.search(text[max(0, match.start() - 8) : match.start() + 1]):
            continue
        _append(spans, text, start, match.end())
        start = match.end()
    _append(spans, text, start, len(text))
    return spans


def _inside(stop: str) -> bool:
    return not _CLOSERS_CJK.match(stop.lstrip("。！？!?．"))


def _append(spans: list[Span], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        offset = start + piece.index(stripped[0])
        spans.append(Span(offset, offset + len(stripped)))


def enclosing_sentence(text: str, start: int, end: int) -> Span:
    """The smallest run of sentences that holds ``[start, end)``."""
    first, last = start, end
    for span in sentence_spans(text):
        if span.end > start and span.start < end:
            first = min(first, span.start)
            last = max(last, span.end)
    return Span(first, last)
