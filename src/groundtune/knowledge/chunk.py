"""Cuts a document into chunks with exact offsets: one chunk per section when it fits, never across a heading."""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from groundtune.knowledge.structure import Block, blocks_of, maybe_marked, maybe_numbered
from groundtune.text.prompts import HEADING_MARK
from groundtune.text.scripts import cjk_share
from groundtune.text.sentences import sentence_spans
from groundtune.types import Chunk, Document, digest

# Part of the key that tells whether stored chunks are still what this code would make.
RECIPE = "chunk-3"
# One CJK character carries about as much as 2.4 Latin ones.
_CJK_FACTOR = 500 / 1200
# A section up to this much longer than the target stays whole: its heading is what citations need.
TOLERANCE = 1.5
_SMALLEST = 40
_DEEPEST = 5
_LONGEST_HEADING = 120

_BREAK = re.compile(r"[\s，、；：,;](?=\S)")
_DASHES = re.compile(r"[ \t]*\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*\r?(?:\n|$)")
_LINE_START = re.compile(r"\n(?=.)")
_JOINERS = "\u200d\ufe0f\ufe0e"
# Characters that a cut may be moved back over; a longer run of marks is no writing.
_MARKS = 32


class _Piece(NamedTuple):
    """``columns``: the column names of the Markdown table that it continues."""

    start: int
    end: int
    heading: bool = False
    columns: str = ""


class _Section(NamedTuple):
    blocks: list[Block]
    heading: str


def chunk_document(document: Document, characters: int = 1200) -> tuple[Chunk, ...]:
    """Chunks in the order of the text; together they hold every character that is not white space, but
    for the front matter of Markdown, which is metadata.

    ``characters`` is the target length for Latin text; CJK text gets 500 for 1200; no chunk is longer than one and a
    half times that. ``heading`` is the path of headings above a chunk, ``A > B > C``, without the document's title.
    Pages are counted by form feeds.
    """
    text = document.text
    smallest = max(_SMALLEST, round(characters * _CJK_FACTOR))
    style = str(document.metadata.get("format") or "")
    if len(text) <= smallest * TOLERANCE and not style and not (maybe_marked(text) or maybe_numbered(text)):
        spans = [(*_trim(text, 0, len(text)), "")]
    else:
        spans = list(_spans(text, _target(text, characters, smallest), style, document.title))
    return tuple(_chunks(document, spans))


def _target(text: str, characters: int, smallest: int) -> int:
    wide = not text.isascii() and cjk_share(text[:20000]) > 0.3
    return smallest if wide else max(_SMALLEST, characters)


def _chunks(document: Document, spans: list[tuple[int, int, str]]) -> Iterator[Chunk]:
    text, version, title = document.text, document.version, document.title
    breaks = [match.start() for match in re.finditer("\f", text)] if "\f" in text else []
    seen: Counter[str] = Counter()
    for start, end, heading in spans:
        if start == end:
            continue
        body = text[start:end]
        fingerprint = version if len(body) == len(text) else digest(body)
        yield Chunk(
            f"{document.id}#{fingerprint[:16]}-{seen[fingerprint]}", document.id, version, body, start, end, fingerprint,
            title, heading, 1 + bisect_left(breaks, start) if breaks else None,
        )  # fmt: skip
        seen[fingerprint] += 1


def _spans(text: str, target: int, style: str, title: str) -> Iterator[tuple[int, int, str]]:
    for section in _sections(text, blocks_of(text, style), style, title):
        for start, end, columns in _cut(text, section.blocks, target):
            yield start, end, _with_columns(section.heading, columns)


def _sections(text: str, blocks: list[Block], style: str, title: str) -> Iterator[_Section]:
    """Runs of blocks from one heading to the next; headings without a body open the section that follows. The slides
    of a presentation are sections.
    """
    path: list[tuple[int, str]] = []
    held: list[Block] = []
    body = False
    for block in blocks:
        new_slide = style == "slides" and held and "\f" in text[held[-1].end : block.start]
        if held and (new_slide or (block.kind == "heading" and body)):
            yield _Section(held, _path(path, title))
            held, body = [], False
        if new_slide:
            path = []
        if block.kind == "heading":
            path = [step for step in path if step[0] < block.level]
            path.append((block.level, block.heading))
        held.append(block)
        body = body or block.kind != "heading" or block.body
    if held:
        yield _Section(held, _path(path, title))


def _path(path: list[tuple[int, str]], title: str) -> str:
    words = [heading.replace(HEADING_MARK, " › ")[:_LONGEST_HEADING] for _, heading in path if heading]
    if len(words) > 1 and words[0] == title:
        words = words[1:]
    return HEADING_MARK.join(words[-_DEEPEST:])


def _with_columns(heading: str, columns: str) -> str:
    """A chunk that begins in the middle of a table says in its heading what the columns are."""
    if not columns:
        return heading
    return f"{heading} ({columns})" if heading else columns


def _cut(text: str, blocks: list[Block], target: int) -> Iterator[tuple[int, int, str]]:
    """The whole section, or spans of about equal length that end where a block, line or sentence ends; with the
    column names for one that begins inside of a table.
    """
    limit = int(target * TOLERANCE)
    start, end = _trim(text, blocks[0].start, blocks[-1].end)
    if end - start <= limit:
        yield start, end, ""
        return
    pieces = [piece for block in blocks for piece in _pieces(text, block, target, limit)]
    even = (end - start) / math.ceil((end - start) / target)
    start = end = pieces[0].start
    columns = ""
    body = False  # a heading is never left alone at the end of a chunk, unless what follows would make it too long
    for piece in pieces:
        length = piece.end - start
        if end > start and ((body and (length > target or end - start >= even)) or length > limit):
            yield (*_trim(text, start, end), columns)
            start, body, columns = piece.start, False, piece.columns
        end = piece.end
        body = body or not piece.heading
    yield (*_trim(text, start, end), columns)


def _pieces(text: str, block: Block, target: int, limit: int) -> Iterator[_Piece]:
    """A block, cut further when it alone is too long: tables and code at line ends, lists before an item, prose at
    sentence ends.
    """
    heading = block.kind == "heading" and not block.body
    start, end = block.start, block.end
    if end - start <= (limit if block.kind == "solid" else target):
        yield _Piece(start, end, heading)
        return
    body = text[start:end]
    if block.kind in ("solid", "list"):
        starts = [0, *(match.end() for match in _LINE_START.finditer(body))]
    else:
        starts = [0, *(_safe(body, span.start, 0) for span in sentence_spans(body)[1:])]
    columns = _columns(body) if block.kind == "solid" else ""
    starts.append(len(body))
    for first, last in zip(starts, starts[1:], strict=False):
        if last - first <= target:
            yield _Piece(start + first, start + last, heading, columns if first else "")
            continue
        inner = [first, *(_safe(body, first + s.start, first) for s in sentence_spans(body[first:last])[1:]), last]
        for a, b in zip(inner, inner[1:], strict=False):
            yield from (_Piece(start + x, start + y, heading) for x, y in _hard(body, a, b, target))


def _columns(table: str) -> str:
    """Column names of a Markdown table, from the row above its dashes; empty for anything else."""
    first, _, rest = table.partition("\n")
    if not _DASHES.match(rest):
        return ""
    return " | ".join(name for name in (cell.strip() for cell in first.split("|")) if name)[:_LONGEST_HEADING]


def _hard(body: str, start: int, end: int, target: int) -> Iterator[tuple[int, int]]:
    """Cut a sentence that is longer than the target: after a space or comma of its second half where there is one."""
    while end - start > target:
        last = None
        for last in _BREAK.finditer(body, start + target // 2, start + target):  # noqa: B007 - the last one counts
            pass
        stop = _safe(body, last.end() if last else start + target, start)
        yield start, stop
        start = stop
    if end > start:
        yield start, end


def _safe(body: str, cut: int, start: int) -> int:
    """The nearest place at or before ``cut`` that divides no character of several code points."""
    place = cut
    while place > max(start + 1, cut - _MARKS) and _inside(body, place):
        place -= 1
    return cut if place <= start or _inside(body, place) else place


def _inside(body: str, place: int) -> bool:
    if not 0 < place < len(body):
        return False
    before, after = body[place - 1], body[place]
    if after < "\u0300":
        return (before == "\r" and after == "\n") or before == "\u200d"
    return (
        after in _JOINERS
        or before == "\u200d"
        or unicodedata.category(after) in ("Mn", "Me", "Mc")
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")
    )


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    body = text[start:end]
    left = len(body) - len(body.lstrip())
    return start + left, max(start + left, start + len(body.rstrip()))
