"""Help text that is laid out right when letters are two columns wide."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

import click

_PIECE = re.compile(r"\s+|[\x21-\x7e\u00c0-\u02af\u2013\u2014\u2018-\u201d\u2026]+|.")
_NO_START = "、。，．；：！？）」』】〉》・ー々…)]}"


def width(text: str) -> int:
    """Terminal columns."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def wrap(text: str, columns: int) -> list[str]:
    """Lines of at most ``columns`` columns; breaks at spaces and between CJK characters, never before 、 or 。."""
    return [line for row in text.split("\n") for line in _wrapped(row, columns)]


def _wrapped(row: str, columns: int) -> Iterator[str]:
    line = ""
    for piece in _PIECE.findall(row):
        full = width(line.rstrip()) + width(piece) > columns and bool(line.strip())
        if full and not piece.isspace() and piece[0] not in _NO_START:
            yield line.rstrip()
            line = ""
        if line or not piece.isspace():
            line += piece
    yield line.rstrip()


class Formatter(click.HelpFormatter):
    """click's formatter, counting columns instead of characters."""

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        for line in wrap(text, max(self.width - self.current_indent, 20)):
            self.write(f"{indent}{line}\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        rows = list(rows)
        first = min(max((width(name) for name, _ in rows), default=0), col_max) + col_spacing
        indent = " " * self.current_indent
        for name, text in rows:
            lines = wrap(text, max(self.width - first - self.current_indent - 2, 20)) if text else [""]
            gap = first - width(name)
            if gap < col_spacing:
                self.write(f"{indent}{name}\n")
                self.write(f"{indent}{' ' * first}{lines[0]}\n")
            else:
                self.write(f"{indent}{name}{' ' * gap}{lines[0]}".rstrip() + "\n")
            for line in lines[1:]:
                self.write(f"{indent}{' ' * first}{line}\n")
