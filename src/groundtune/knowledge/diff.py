"""What changed between two versions of a document: sentence by sentence, and inside a sentence by words or, in Chinese
and Japanese, by characters.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.knowledge.history import DocumentVersion
from groundtune.text.normalise import squeeze
from groundtune.text.scripts import CJK
from groundtune.text.sentences import sentence_spans
from groundtune.types import Span

Kind = Literal["changed", "added", "removed"]
Op = Literal["same", "removed", "added"]
# Sentences less alike than this are another sentence, not a changed one.
_ALIKE = 0.5
# A Chinese or Japanese character, a word, or a number or date with the marks inside it; any other mark by itself.
_UNIT = re.compile(f"[{CJK}]|[^\\W_{CJK}]+(?:[-./:,'’][^\\W_{CJK}]+)*|\\S")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a changed sentence."""

    op: Op
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """One sentence that changed. ``old`` and ``new`` are as stored (empty where it is not there), with their spans in
    the two versions; ``heading`` is the last one above it.
    """

    kind: Kind
    heading: str
    old: str = ""
    new: str = ""
    old_span: Span | None = None
    new_span: Span | None = None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentDiff:
    """All changes from ``before`` to ``after`` in the order of the text; ``same`` counts sentences in both."""

    before: DocumentVersion
    after: DocumentVersion
    changes: tuple[Change, ...]
    same: int


def compare_versions(before: DocumentVersion, old: str, after: DocumentVersion, new: str) -> DocumentDiff:
    """The difference of two texts. White space alone is no difference."""
    a, b = _Text(old), _Text(new)
    matcher = difflib.SequenceMatcher(None, a.keys, b.keys, autojunk=False)
    changes: list[Change] = []
    same = 0
    for tag, i, j, m, n in matcher.get_opcodes():
        if tag == "equal":
            same += j - i
        else:
            changes += _block(a, range(i, j), b, range(m, n))
    return DocumentDiff(before, after, tuple(changes), same)


class _Text:
    """A text as sentences, their comparison keys and the heading above each."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans = sentence_spans(text)
        self.keys = [squeeze(text[span.start : span.end]) for span in self.spans]
        self.headings: list[str] = []
        heading = ""
        for key in self.keys:
            found = _HEADING.match(key)
            heading = found.group(1) if found else heading
            self.headings.append(heading)

    def sentence(self, place: int) -> str:
        return self.text[self.spans[place].start : self.spans[place].end]


def _block(a: _Text, left: range, b: _Text, right: range) -> list[Change]:
    """Sentences that have no equal: pairs that are alike are changes, the rest went or came."""
    pairs = _pairs([a.keys[i] for i in left], [b.keys[j] for j in right])
    changes: list[Change] = []
    i, j = left.start, right.start
    for first, second in [*((left.start + x, right.start + y) for x, y in pairs), (left.stop, right.stop)]:
        changes += [Change("removed", a.headings[k], old=a.sentence(k), old_span=a.spans[k]) for k in range(i, first)]
        changes += [Change("added", b.headings[k], new=b.sentence(k), new_span=b.spans[k]) for k in range(j, second)]
        if first < left.stop and second < right.stop:
            old, new = a.sentence(first), b.sentence(second)
            spans = a.spans[first], b.spans[second]
            changes.append(Change("changed", b.headings[second], old, new, *spans, parts=inline(old, new)))
        i, j = first + 1, second + 1
    return changes


def _pairs(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Places of sentences that are alike, in order on both sides: the best pair first, then before and after it."""
    best, at = _ALIKE, None
    for i, one in enumerate(old):
        matcher = difflib.SequenceMatcher(None, autojunk=False)
        matcher.set_seq2(one)
        for j, other in enumerate(new):
            matcher.set_seq1(other)
            if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and (r := matcher.ratio()) > best:
                best, at = r, (i, j)
    if at is None:
        return []
    i, j = at
    after = [(i + 1 + x, j + 1 + y) for x, y in _pairs(old[i + 1 :], new[j + 1 :])]
    return [*_pairs(old[:i], new[:j]), at, *after]


def inline(old: str, new: str) -> tuple[Part, ...]:
    """Parts of a changed sentence: ``same`` and ``removed`` joined give ``old`` up to white space, ``same`` and
    ``added`` give ``new`` exactly.
    """
    a, b = list(_UNIT.finditer(old)), list(_UNIT.finditer(new))
    matcher = difflib.SequenceMatcher(None, [unit.group() for unit in a], [unit.group() for unit in b], autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    # A lone unit in common between two changes makes the result harder to read, not easier.
    kept = [k for k in blocks if k.size > 1 or k.a == 0 or k.b == 0 or len(blocks) == 1 or _last(k, a, b)]
    parts: list[Part] = []
    i = j = 0
    for block in kept:
        parts += _changed(old, a, i, block.a, new, b, j, block.b)
        i, j = block.a + block.size, block.b + block.size
        parts.append(Part("same", new[_start(b, block.b) : _next(b, j, new)]))
    parts += _changed(old, a, i, len(a), new, b, j, len(b))
    return tuple(part for part in parts if part.text)


def _last(block: difflib.Match, a: Sequence[re.Match[str]], b: Sequence[re.Match[str]]) -> bool:
    return block.a + block.size == len(a) or block.b + block.size == len(b)


def _changed(
    old: str, a: Sequence[re.Match[str]], i: int, i_end: int, new: str, b: Sequence[re.Match[str]], j: int, j_end: int
) -> list[Part]:
    gone = old[_start(a, i) : _next(a, i_end, old)] if i < i_end else ""
    came = new[_start(b, j) : _next(b, j_end, new)] if j < j_end else ""
    return [Part("removed", gone), Part("added", came)]


def _start(units: Sequence[re.Match[str]], place: int) -> int:
    return units[place].start() if place else 0


def _next(units: Sequence[re.Match[str]], place: int, text: str) -> int:
    """Where the unit at ``place`` begins, so that white space belongs to the unit before it."""
    return units[place].start() if place < len(units) else len(text)
