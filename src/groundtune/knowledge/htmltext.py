"""Writes a tree of HTML elements as Markdown-like text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from groundtune.knowledge.extract import one_line
from groundtune.knowledge.table import render

_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_BLOCK = {
    "p", "div", "section", "article", "main", "header", "footer", "dl", "dt", "figure", "figcaption", "address", "form",
    "aside", "hr", "details", "summary", "fieldset", "center", "html", "body", "caption", "legend",
}  # fmt: skip
_SPACE = re.compile(r"[ \t\r\n\f\v\xa0]+")
_CODE_LANGUAGE = re.compile(r"(?:language|lang|highlight)-([\w+#-]+)")


class Element(Protocol):
    """What is written: see ``html.Node``."""

    @property
    def tag(self) -> str: ...
    @property
    def attributes(self) -> dict[str, str]: ...
    @property
    def children(self) -> list[object]: ...


class Writer:
    """Use once for each page."""

    def __init__(self) -> None:
        self._blocks: list[tuple[str, bool]] = []  # text, and whether it is a list item that follows one closely
        self._line: list[str] = []
        self._lists: list[int] = []  # for each open list: the next number, 0 for bullets
        self._mark = ""
        self._item = False

    def write(self, root: object) -> str:
        """The text, blocks separated by blank lines, with a newline at the end; empty for a page without words."""
        self._node(root)
        self._flush()
        parts: list[str] = []
        before = False
        for text, item in self._blocks:
            parts.append(("\n" if item and before else "\n\n") if parts else "")
            parts.append(text)
            before = item
        joined = "".join(parts)
        return f"{joined}\n" if joined else ""

    def _flush(self, prefix: str = "") -> None:
        lines = [_SPACE.sub(" ", line).strip() for line in "".join(self._line).split("\n")]
        text = "\n".join(line for line in lines if line)
        self._line.clear()
        if not text:
            return
        item, mark = self._item, self._mark or prefix
        if prefix and not self._mark:
            text = one_line(text)
        if item:
            indent = "  " * (len(self._lists) - 1)
            text = indent + mark + text.replace("\n", f"\n{indent}  ")
        else:
            text = mark + text
        self._blocks.append((text, item and bool(mark)))
        self._mark = ""

    def _children(self, node: Element) -> None:
        for child in node.children:
            self._node(child)

    def _node(self, node: object) -> None:
        if isinstance(node, str):
            self._line.append(_SPACE.sub(" ", node))
            return
        element: Element = node  # type: ignore[assignment]
        tag = element.tag
        if tag == "br":
            self._line.append("\n")
        elif tag == "img":
            self._line.append(f" {element.attributes.get('alt', '')} ")
        elif tag in _HEADINGS:
            self._flush()
            self._children(element)
            self._flush(_HEADINGS[tag])
        elif (
            writer := getattr(self, f"_{tag}", None) if tag in ("ul", "ol", "li", "table", "pre", "dd", "rt") else None
        ):
            writer(element)
        elif tag in _BLOCK or tag in ("blockquote", "tr", "td", "th"):
            self._flush()
            self._children(element)
            self._flush()
        else:
            self._children(element)

    def _rt(self, node: Element) -> None:
        """How a word is read is left out: it would stand in the middle of the word."""

    def _list(self, node: Element, first: int) -> None:
        self._flush()
        item, self._item = self._item, False
        self._lists.append(first)
        self._children(node)
        self._flush()
        self._lists.pop()
        self._item = item

    def _ul(self, node: Element) -> None:
        self._list(node, 0)

    def _ol(self, node: Element) -> None:
        start = node.attributes.get("start", "1")
        self._list(node, int(start) if start.isdecimal() and len(start) < 9 else 1)

    def _li(self, node: Element) -> None:
        self._flush()
        if not self._lists:
            self._lists.append(0)
        number = self._lists[-1]
        self._mark = f"{number}. " if number else "- "
        self._lists[-1] += 1 if number else 0
        outer, self._item = self._item, True
        self._children(node)
        self._flush()
        self._item, self._mark = outer, ""

    def _dd(self, node: Element) -> None:
        self._flush()
        self._children(node)
        self._flush(": ")

    def _pre(self, node: Element) -> None:
        self._flush()
        code = _raw(node).replace("\r\n", "\n").strip("\n")
        if code.strip():
            match = _CODE_LANGUAGE.search(_classes(node))
            fence = "````" if "```" in code else "```"
            self._blocks.append((f"{fence}{match.group(1) if match else ''}\n{code}\n{fence}", False))

    def _table(self, node: Element) -> None:
        self._flush()
        rows = _rows(node)
        if not rows or max(len(row) for row, _ in rows) < 2 or any(_tables(cell) for row, _ in rows for cell in row):
            self._children(node)  # a table for layout
            self._flush()
            return
        for caption in (child for child in node.children if getattr(child, "tag", "") == "caption"):
            self._node(caption)
        self._flush()
        header = True if rows[0][1] else None
        text = render(_grid([row for row, _ in rows]), header=header)
        if text:
            self._blocks.append((text, False))


def _raw(node: object) -> str:
    if isinstance(node, str):
        return node
    if getattr(node, "tag", "") == "br":
        return "\n"
    return "".join(_raw(child) for child in getattr(node, "children", ()))


def _classes(node: object) -> str:
    own = str(getattr(node, "attributes", {}).get("class", ""))
    return " ".join([own, *(_classes(child) for child in getattr(node, "children", ()) if not isinstance(child, str))])


def _rows(node: Element) -> list[tuple[list[Element], bool]]:
    """Cells of each row, and whether all of them are header cells."""
    found: list[tuple[list[Element], bool]] = []
    for child in node.children:
        tag = getattr(child, "tag", "")
        if tag in ("thead", "tbody", "tfoot"):
            found += _rows(child)  # type: ignore[arg-type]
        elif tag == "tr":
            cells: list[Element] = [c for c in child.children if getattr(c, "tag", "") in ("td", "th")]  # type: ignore[attr-defined]
            if cells:
                found.append((cells, len(cells) > 1 and all(cell.tag == "th" for cell in cells)))
    return found


def _grid(rows: list[list[Element]]) -> Iterator[list[str]]:
    """Words of the cells in their columns. A cell over several rows stands in each of them, one over several columns
    in the first, so that every value keeps the name of its column.
    """
    above: dict[int, tuple[int, str]] = {}  # by column: for how many rows more, and what
    for row in rows:
        line: list[str] = []
        for cell in row:
            _fill(line, above)
            words = one_line(Writer().write(cell).replace("\n", " "))
            width, height = _span(cell, "colspan"), _span(cell, "rowspan")
            for place in range(width):
                if height > 1:
                    above[len(line)] = (height - 1, words if place == 0 else "")
                line.append(words if place == 0 else "")
        _fill(line, above)
        yield line


def _fill(line: list[str], above: dict[int, tuple[int, str]]) -> None:
    """Add the cells from rows above that reach down to this place."""
    while (left := above.pop(len(line), None)) is not None:
        if left[0] > 1:
            above[len(line)] = (left[0] - 1, left[1])
        line.append(left[1])


def _span(cell: Element, name: str) -> int:
    text = cell.attributes.get(name, "1")
    return max(1, min(int(text), 100)) if text.isdecimal() and len(text) < 5 else 1


def _tables(node: object) -> bool:
    return any(
        getattr(child, "tag", "") == "table" or _tables(child)
        for child in getattr(node, "children", ())
        if not isinstance(child, str)
    )
