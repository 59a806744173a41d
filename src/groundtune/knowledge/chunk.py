"""Cuts a document into chunks with exact offsets: one chunk per section when it fits, never across a heading."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass

from groundtune.text.scripts import cjk_share
from groundtune.text.sentences import sentence_spans
from groundtune.types import Chunk, Document, Span, digest

# Part of the key that tells whether stored chunks are still what this code would make.
RECIPE = "chunk-1"
# One CJK character carries about as much as 2.4 Latin ones.
_CJK_FACTOR = 500 / 1200
# A section up to this much longer than the target stays whole: its heading is what citations need.
_TOLERANCE = 1.5

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_EMPHASIS = re.compile(r"(\*\*|__|`)")


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that belong together. ``solid`` blocks (code, tables) are cut at line ends only."""

    start: int
    end: int
    heading: str = ""
    solid: bool = False


@dataclass(frozen=True, slots=True)
class _Section:
    start: int
    end: int
    heading: str
    blocks: tuple[_Block, ...]


def chunk_document(document: Document, characters: int = 1200) -> tuple[Chunk, ...]:
    """Chunks in the order of the text; together they hold every character that is not white space.

    ``characters`` is the target length for Latin text; CJK text gets 500 for 1200. Pages are counted by form feeds.
    """
    text = document.text
    target = max(40, round(characters * (_CJK_FACTOR if cjk_share(text[:20000]) > 0.3 else 1.0)))
    seen: Counter[str] = Counter()
    chunks: list[Chunk] = []
    paged = "\f" in text
    for section in _sections(text):
        for span in _cut(text, section, target):
            body = text[span.start : span.end]
            fingerprint = digest(body)
            chunks.append(
                Chunk(
                    id=f"{document.id}#{fingerprint[:16]}-{seen[fingerprint]}",
                    document_id=document.id,
                    version=document.version,
                    text=body,
                    start=span.start,
                    end=span.end,
                    digest=fingerprint,
                    title=document.title,
                    heading=section.heading,
                    page=1 + text.count("\f", 0, span.start) if paged else None,
                )
            )
            seen[fingerprint] += 1
    return tuple(chunks)


def _sections(text: str) -> list[_Section]:
    """Runs of blocks from one heading to the next; headings without a body open the section that follows."""
    sections: list[_Section] = []
    held: list[_Block] = []
    for block in _blocks(text):
        if block.heading and any(not b.heading for b in held):
            sections.append(_section(held))
            held = []
        held.append(block)
    if held:
        sections.append(_section(held))
    return sections


def _section(blocks: list[_Block]) -> _Section:
    heading = next((b.heading for b in reversed(blocks) if b.heading), "")
    return _Section(blocks[0].start, blocks[-1].end, heading, tuple(blocks))


def _blocks(text: str) -> list[_Block]:
    """Headings, fenced code, tables and paragraphs, in order; blank lines separate paragraphs."""
    blocks: list[_Block] = []
    open_start: int | None = None
    solid = False
    fence = ""
    offset = 0

    def close(end: int) -> None:
        nonlocal open_start, solid
        if open_start is not None:
            blocks.append(_Block(open_start, end, solid=solid))
        open_start, solid = None, False

    for line in text.splitlines(keepends=True):
        start, offset = offset, offset + len(line)
        marker = _FENCE.match(line)
        if fence:
            if marker and marker.group(1).startswith(fence):
                fence = ""
                close(offset)
            continue
        if marker:
            close(start)
            open_start, solid, fence = start, True, marker.group(1)
            continue
        heading = _HEADING.match(line.rstrip())
        if heading:
            close(start)
            blocks.append(_Block(start, offset, heading=_EMPHASIS.sub("", heading.group(2)).strip()))
            continue
        if not line.strip():
            close(start)
            continue
        table = line.lstrip().startswith("|")
        if open_start is not None and table != solid:
            close(start)
        if open_start is None:
            open_start, solid = start, table
    close(offset)
    return blocks


def _cut(text: str, section: _Section, target: int) -> list[Span]:
    """The whole section, or spans of about equal length that end where a block, line or sentence ends."""
    whole = _trim(text, section.start, section.end)
    if whole.end - whole.start <= target * _TOLERANCE:
        return [whole] if whole.end > whole.start else []
    pieces = [piece for block in section.blocks for piece in _pieces(text, block, target)]
    total = sum(piece.end - piece.start for piece in pieces)
    even = total / math.ceil(total / target)
    spans: list[Span] = []
    start = end = pieces[0].start
    for piece in pieces:
        full = piece.end - start > target or end - start >= even
        if full and _trim(text, start, end).end > start and not _only_headings(section, start, end):
            spans.append(_trim(text, start, end))
            start = piece.start
        end = piece.end
    spans.append(_trim(text, start, end))
    return [span for span in spans if span.end > span.start]


def _only_headings(section: _Section, start: int, end: int) -> bool:
    """A heading is never left alone at the end of a chunk."""
    return all(block.heading for block in section.blocks if block.start < end and block.end > start)


def _pieces(text: str, block: _Block, target: int) -> list[Span]:
    """A block, cut further when it alone is longer than the target."""
    if block.end - block.start <= target:
        return [Span(block.start, block.end)]
    body = text[block.start : block.end]
    if block.solid:
        starts = [0, *(match.end() for match in re.finditer(r"\n(?=.)", body))]
    else:
        starts = [0, *(span.start for span in sentence_spans(body)[1:])]
    ends = [*starts[1:], len(body)]
    pieces: list[Span] = []
    for start, end in zip(starts, ends, strict=True):
        pieces.extend(_hard(body, start, end, target))
    return [Span(block.start + piece.start, block.start + piece.end) for piece in pieces]


def _hard(body: str, start: int, end: int, target: int) -> list[Span]:
    """Cut a sentence that is longer than the target, at white space when there is some in the second half."""
    pieces: list[Span] = []
    while end - start > target:
        cut = max(
            body.rfind(" ", start + target // 2, start + target), body.rfind("\n", start + target // 2, start + target)
        )
        stop = cut + 1 if cut > start else start + target
        pieces.append(Span(start, stop))
        start = stop
    pieces.append(Span(start, end))
    return pieces


def _trim(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end)
