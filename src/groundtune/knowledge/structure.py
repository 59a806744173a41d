"""The blocks of a text: headings (Markdown, underlined, numbered, of articles and of code), fences, tables, prose."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

Kind = Literal["prose", "list", "solid", "heading"]

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*?)(?:[ \t]+#*)?[ \t]*$")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_EMPHASIS = re.compile(r"(\*\*|__|`)")
_ITEM = re.compile(
    r"\s*(?:[-*+•●■◆・‧]|\d{1,3}[.)、]|[(（][\d０-９一二三四五六七八九十]{1,3}[)）]|[①-⑳一二三四五六七八九十]+、)\s*\S?"
)
_UNDERLINE = re.compile(r"(?:={3,}|-{3,})")
_FRONT_END = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$", re.MULTILINE)

_N = r"[\d０-９一二三四五六七八九十百千零〇]+"
_CJK_PART = re.compile(rf"第\s*{_N}\s*(?P<unit>[編编篇部章節节款目條条])(?:\s*[之の]\s*{_N})*(?P<rest>.*)$")
_CJK_LEVELS = {"編": 1, "编": 1, "篇": 1, "部": 1, "章": 2, "節": 3, "节": 3, "款": 4, "目": 5, "條": 6, "条": 6}
_PART = re.compile(
    r"(?P<unit>PART|Part|TITLE|Title|CHAPTER|Chapter|APPENDIX|Appendix|ANNEX|Annex|SCHEDULE|Schedule|SECTION|Section|"
    r"ARTICLE|Article|§)\s*(?:\d+(?:\.\d+)*[A-Za-z]?|[IVXLC]+|[A-Z])(?=[\s.:—–-]|$)(?P<rest>.*)$"
)
_PART_LEVELS = {
    "part": 1,
    "title": 1,
    "annex": 1,
    "appendix": 1,
    "schedule": 1,
    "chapter": 2,
    "section": 4,
    "article": 5,
    "§": 5,
}
_DECIMAL = re.compile(r"(?P<number>\d{1,3}(?:\.\d{1,3}){1,4})\.?\s+(?P<rest>[^\W\d_].*)$")
_FIRST = re.compile(r"(?P<number>\d{1,2})[.、．]\s*(?P<rest>[^\W\d_].*)$")
_TITLE_PART = re.compile(r"\s*[（(【［\[][^）)】］\]]{1,40}[）)】］\]]")
_SENTENCE_ENDS = tuple("。．.!！?？;；,，、:：")
_LONGEST = 80
# A line that may be a numbered heading, or one of Markdown. Behind a line feed, which is found many times faster than
# the start of a line.
_NUMBERED = r"[ \t\u3000]*(?:第\s*[\d０-９一二三四五六七八九十百]|\d{1,3}[.、．]|§|[PTCASpt](?:art|ART|hapter|HAPTER|rticle|RTICLE|ection|ECTION|nnex|NNEX|ppendix|PPENDIX|chedule|CHEDULE|itle|ITLE)\s)"  # fmt: skip
_MARKED = r" {0,3}(?:#{1,6}[ \t]|={3,}[ \t]*\r?$|-{3,}[ \t]*\r?$)"
_FIRST_NUMBERED, _LATER_NUMBERED = re.compile(_NUMBERED), re.compile("\n" + _NUMBERED)
_FIRST_MARKED, _LATER_MARKED = re.compile(_MARKED, re.MULTILINE), re.compile("\n" + _MARKED, re.MULTILINE)
_DEFINITION = re.compile(
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\(\w+\))?|unsafe|extern|"
    r"sealed|override|open|data|inline|local|create|CREATE|or|OR|replace|REPLACE)\s+)*"
    r"(?:def|class|function|func|fn|interface|struct|enum|impl|trait|type|module|namespace|object|record|TABLE|VIEW|"
    r"PROCEDURE|FUNCTION|table|view|procedure|message|service|resource)\b\s*(?:\([^)]*\)\s*)?[\w.:\"<>]+"
)
_LEADING = ("#", "//", "@", "/*", "*", "--", "'", "[")


class Block(NamedTuple):
    """Lines that belong together, ``text[start:end]``. A heading has a ``level`` from 1 and its words in ``heading``;
    ``body``: its line also holds text of the section. ``solid`` blocks (code, tables) are cut at line ends only.
    """

    start: int
    end: int
    kind: Kind
    level: int = 0
    heading: str = ""
    body: bool = False


class Found(NamedTuple):
    """A heading in one line."""

    level: int
    words: str
    body: bool = False


def blocks_of(text: str, style: str = "") -> list[Block]:
    """Blocks in order; together they hold all that is not white space or front matter. ``style`` ``"code"``: source code."""
    if style == "code":
        return _Scan(text, definition).run()
    if maybe_marked(text):
        blocks = _Scan(text, None).run()
        if any(block.kind == "heading" for block in blocks):
            return blocks
    return _Scan(text, numbered if maybe_numbered(text) else None).run()


def maybe_marked(text: str) -> bool:
    """Whether a line could be a heading of Markdown."""
    return bool(_FIRST_MARKED.match(text) or _LATER_MARKED.search(text))


def maybe_numbered(text: str) -> bool:
    """Whether a line could be a numbered heading."""
    return bool(_FIRST_NUMBERED.match(text) or _LATER_NUMBERED.search(text))


class _Scan:
    """One pass over the lines."""

    def __init__(self, text: str, find: Callable[[str, bool], Found | None] | None) -> None:
        self.text = text
        self.find = find
        self.code = find is definition
        self.blocks: list[Block] = []
        self.open = -1  # where the open block starts
        self.kind: Kind = "prose"
        self.lines = 0  # of the open block

    def close(self, end: int) -> None:
        if self.open >= 0:
            self.blocks.append(Block(self.open, end, self.kind))
            self.open = -1

    def begin(self, start: int, kind: Kind) -> None:
        self.open, self.kind, self.lines = start, kind, 0

    def run(self) -> list[Block]:
        text = self.text
        front = offset = self._front_matter()
        fence = ""
        for line in text[offset:].split("\n") if offset else text.split("\n"):
            start, offset = offset, offset + len(line) + 1
            if fence:
                if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                    fence = ""
                    self.close(min(offset, len(text)))
                continue
            bare = line.strip()
            if not bare:
                self.close(start)
                continue
            fence = self._line(line, bare, start, min(offset, len(text)))
        self.close(len(text))
        return self.blocks or ([Block(0, len(text), "solid")] if front else [])

    def _front_matter(self) -> int:
        """Where the settings at the top of a Markdown file end. They are metadata (``knowledge.labels``) and no passage,
        unless there is nothing else.
        """
        if self.code or not self.text.startswith("---\n"):
            return 0
        match = _FRONT_END.search(self.text, 4, 8000)
        return min(match.end() + 1, len(self.text)) if match else 0

    def _line(self, line: str, bare: str, start: int, end: int) -> str:
        """Add a line that is not blank; the mark of a fence when it opens one."""
        first = bare[0]
        if not self.code:
            if first in "`~" and (marker := _FENCE.match(line)):
                self.close(start)
                self.begin(start, "solid")
                return marker.group(1)
            if first == "#" and (match := _HEADING.match(line.rstrip())):
                self._heading(start, end, Found(len(match.group(1)), match.group(2)))
                return ""
            if (
                first in "=-"
                and self.lines == 1
                and self.open >= 0
                and self.kind == "prose"
                and _UNDERLINE.fullmatch(bare)
            ):
                words = self.text[self.open : start].strip()
                self.blocks.append(Block(self.open, end, "heading", 1 if first == "=" else 2, plain(words)))
                self.open = -1
                return ""
        if self.find is not None and (found := self.find(line if self.code else bare, self.open < 0)):
            self._heading(start, end, found)
            return ""
        kind: Kind = "solid" if first == "|" or self.code else "prose"
        if self.open >= 0 and (kind == "solid") != (self.kind == "solid"):
            self.close(start)
        if self.open < 0:
            self.begin(start, kind)
        self.lines += 1
        if kind == "prose" and self.kind == "prose" and not first.isalpha() and _ITEM.match(line):
            self.kind = "list"
        return ""

    def _heading(self, start: int, end: int, found: Found) -> None:
        if self.code and self.open >= 0 and self._leads(start):
            start, self.open = self.open, -1  # comments and decorators belong to what follows
        self.close(start)
        self.blocks.append(Block(start, end, "heading", found.level, plain(found.words), found.body))

    def _leads(self, end: int) -> bool:
        return all(
            line.lstrip().startswith(_LEADING) for line in self.text[self.open : end].split("\n") if line.strip()
        )


def plain(words: str) -> str:
    """A heading without emphasis and with single spaces."""
    return " ".join(_EMPHASIS.sub("", words).split())


def numbered(line: str, after_blank: bool) -> Found | None:
    """``第三條 …``, ``第1章 総則``, ``Article 5 …``, ``1.2.3 Scope``: headings of plain text and of laws. The words of an
    article that follow on the same line are body.
    """
    first = line[0]
    if first == "第":
        match = _CJK_PART.match(line)
        return _part(line, match, _CJK_LEVELS[match["unit"]]) if match and _opens(match["rest"]) else None
    if first == "§" or first in "PTCAS":
        match = _PART.match(line)
        if match is None or (match["rest"][:1] == " " and match["rest"][1:2].islower()):
            return None  # "Section 5 applies to ..." is a sentence
        return _part(line, match, _PART_LEVELS[match["unit"].lower()])
    if not first.isdecimal():
        return None
    match = _DECIMAL.match(line) or (_FIRST.match(line) if after_blank else None)
    if match is None or len(line) > _LONGEST or line.endswith(_SENTENCE_ENDS) or match["rest"][0].islower():
        return None
    level = match["number"].count(".") + 1
    # "1. Buy milk" is an item far more often than a heading.
    return Found(level, line) if level > 1 else None


def _opens(rest: str) -> bool:
    """``第三條規定之罰鍰`` in a sentence is no heading: a space, a bracket or the end of the line follows one."""
    return not rest or rest[0].isspace() or rest[0] in "（(【［[:：、.．"


def _part(line: str, match: re.Match[str], level: int) -> Found:
    rest = match["rest"]
    number = line[: match.start("rest")]
    title = _TITLE_PART.match(rest)
    if title:
        number, rest = number + title.group(), rest[title.end() :]
    words = rest.strip(" \t\u3000:：.．、—–-")
    if not words:
        return Found(level, number)
    if len(line) <= _LONGEST and not line.endswith(_SENTENCE_ENDS[:8]) and (level < 5 or not title):
        return Found(level, line)
    return Found(level, number, body=True)


def definition(line: str, after_blank: bool) -> Found | None:
    """A function, class or table of source code that starts at the margin."""
    if line[0].isspace() or line[0] in "#/*'\"-{}()":
        return None
    match = _DEFINITION.match(line)
    return Found(1, match.group().rstrip(":"), body=True) if match else None
