"""DOCX to text, with the extra ``docs`` (python-docx): headings, numbered lists, tables and notes, in order."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from groundtune.errors import DataError
from groundtune.knowledge.extract import Extract, Scalar, check_office, one_line
from groundtune.knowledge.numbering import Numbering, Word
from groundtune.knowledge.table import render
from groundtune.registry import missing

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_HEADING = re.compile(r"heading ([1-6])|見出し ?([1-6])|標題 ?([1-6])", re.IGNORECASE)
# Deleted text, readings above words, boxes (they follow their paragraph) and second versions for old programs.
_SKIPPED = {f"{_W}del", f"{_W}moveFrom", f"{_W}rt", f"{_W}txbxContent", f"{_MC}Fallback", f"{_W}pPr", f"{_W}instrText"}
_SIGNS = {f"{_W}tab": " ", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_NOTES = {f"{_W}footnoteReference": "", f"{_W}endnoteReference": "e"}


def read_word(data: bytes, name: str, charset: str = "") -> Extract:
    """Paragraphs with ``#`` for heading styles, lists with their marks and numbers, table rows with column names,
    footnotes as ``[^1]`` and at the end. Raises ``DataError`` for an unreadable file, ``MissingExtra`` without
    python-docx.
    """
    try:
        import docx
    except ModuleNotFoundError as error:
        raise missing(error, name) from error
    check_office(data, name)
    try:
        document = docx.Document(io.BytesIO(data))
        reader = _Reader(document)
        blocks = list(reader.blocks(document.element.body))
        notes = list(reader.notes(document.part))
        created = document.core_properties.modified
    except Exception as error:  # python-docx raises zip, key, value and XML errors for damaged files
        raise DataError("knowledge.damaged", document=name) from error
    text = _joined([*blocks, *((note, False) for note in notes)])
    metadata: dict[str, Scalar] = {"modified": created.date().isoformat()} if created else {}
    return Extract(f"{text}\n" if text else "", reader.title, metadata)


def _joined(blocks: list[tuple[str, bool]]) -> str:
    """Blocks with a blank line between them; items of a list close together."""
    parts: list[str] = []
    before = False
    for text, item in blocks:
        if text:
            parts += ["\n" if item and before else "\n\n"] if parts else []
            parts.append(text)
            before = item
    return "".join(parts)


class _Reader:
    """Walks the XML, because python-docx leaves out content controls, insertions, boxes and notes."""

    def __init__(self, document: Any) -> None:  # noqa: ANN401 - python-docx has no types
        self.title = ""
        self._numbering = Numbering(_part_xml(document.part, "numbering"))
        self._styles: dict[str, tuple[str, Any]] = {
            style.style_id: (style.name or "", style.element) for style in document.styles
        }

    def blocks(self, parent: Any) -> Iterator[tuple[str, bool]]:  # noqa: ANN401
        """Text of each block, and whether it is a list item."""
        for child in parent:
            if child.tag == f"{_W}p":
                yield self._paragraph(child)
                for box in child.iter(f"{_W}txbxContent"):
                    if not any(above.tag == f"{_MC}Fallback" for above in box.iterancestors()):
                        yield from self.blocks(box)
            elif child.tag == f"{_W}tbl":
                yield self._table(child), False
            elif child.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml"):
                yield from self.blocks(child)

    def notes(self, part: Any) -> Iterator[str]:  # noqa: ANN401
        """``[^id]: text`` of footnotes and endnotes."""
        for kind, prefix in (("footnotes", ""), ("endnotes", "e")):
            for note in _part_xml(part, kind):
                if note.get(f"{_W}type") is None:  # the others are separator lines
                    text = one_line(" ".join(_text(p) for p in note.iter(f"{_W}p")))
                    if text:
                        yield f"[^{prefix}{note.get(f'{_W}id')}]: {text}"

    def _paragraph(self, node: Any) -> tuple[str, bool]:  # noqa: ANN401
        text = "\n".join(line for line in (one_line(line) for line in _text(node).split("\n")) if line)
        name, style = self._styles.get(_value(node, "pPr/pStyle"), ("", None))
        level = self._level(node, name, style)
        word = self._mark(node, name, style)  # also for empty ones: they count
        if not text:
            return "", False
        if level:
            text = one_line(f"{word.text} {text}" if word.text and not word.bullet else text)
            self.title = self.title or (text if level == 1 else "")
            return f"{'#' * level} {text}", False
        if word.text:
            indent = "  " * word.level
            return f"{indent}{word.text} {text}".replace("\n", f"\n{indent}  "), True
        return text, False

    def _level(self, node: Any, name: str, style: Any) -> int:  # noqa: ANN401
        if name == "Title":
            return 1
        match = _HEADING.fullmatch(name)
        if match:
            return int(match.group(1) or match.group(2) or match.group(3))
        outline = _value(node, "pPr/outlineLvl") or (_value(style, "pPr/outlineLvl") if style is not None else "")
        return int(outline) + 1 if outline.isdecimal() and int(outline) < 6 else 0

    def _mark(self, node: Any, name: str, style: Any) -> Word:  # noqa: ANN401
        number = _value(node, "pPr/numPr/numId")
        depth = _value(node, "pPr/numPr/ilvl")
        if not number and style is not None:
            number, depth = _value(style, "pPr/numPr/numId"), depth or _value(style, "pPr/numPr/ilvl")
        word = self._numbering.next(number, int(depth) if depth.isdecimal() else 0)
        if not word.text and name.startswith("List Bullet"):
            return Word("-", 0, bullet=True)
        return word

    def _table(self, node: Any) -> str:  # noqa: ANN401
        rows: list[list[str]] = []
        for row in node.iter(f"{_W}tr"):
            if next(row.iterancestors(f"{_W}tbl")) is node:
                rows.append(_cells(row, rows[-1] if rows else []))
        first = next(node.iter(f"{_W}tr"), None)
        marked = first is not None and next(first.iter(f"{_W}tblHeader"), None) is not None
        return render(rows, header=True if marked and len(rows) > 1 else None)


def _cells(row: Any, above: list[str]) -> list[str]:  # noqa: ANN401
    """Words of each cell in its column; a cell that goes over several rows stands in each of them."""
    line: list[str] = []
    for cell in row.iter(f"{_W}tc"):
        if next(cell.iterancestors(f"{_W}tr")) is not row:
            continue  # a table inside a cell; its words come with the cell
        merge = cell.find(f"{_W}tcPr/{_W}vMerge")
        if merge is not None and merge.get(f"{_W}val") != "restart":
            line.append(above[len(line)] if len(line) < len(above) else "")
        else:
            line.append(" ".join(_text(p) for p in cell.iter(f"{_W}p")))
        span = _value(cell, "tcPr/gridSpan")
        line += [""] * (min(int(span), 50) - 1 if span.isdecimal() else 0)
    return line


def _text(node: Any) -> str:  # noqa: ANN401
    parts: list[str] = []
    for child in node:
        tag = child.tag
        if tag in _SKIPPED:
            continue
        if tag == f"{_W}t":
            parts.append(child.text or "")
        elif tag in _SIGNS:
            parts.append(_SIGNS[tag])
        elif tag in _NOTES:
            parts.append(f"[^{_NOTES[tag]}{child.get(f'{_W}id')}]")
        elif isinstance(tag, str):
            parts.append(_text(child))
    return "".join(parts)


def _value(node: Any, path: str) -> str:  # noqa: ANN401
    """``w:val`` of the element at a path, empty when there is none."""
    found = node.find("/".join(f"{_W}{step}" for step in path.split("/")))
    return "" if found is None else str(found.get(f"{_W}val") or "")


def _part_xml(part: Any, kind: str) -> Any:  # noqa: ANN401
    """The root element of a part that the document refers to; empty when it has none of this kind."""
    from lxml import etree

    for relation in part.rels.values():
        if not relation.is_external and relation.reltype.endswith(f"/{kind}"):
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            return etree.fromstring(relation.target_part.blob, parser)
    return ()
