"""PPTX to text, with the extra ``docs`` (python-pptx): a slide is a page, its title a heading, notes at its end."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from groundtune.errors import DataError
from groundtune.knowledge.extract import PAGE_BREAK, Extract, check_office, one_line
from groundtune.knowledge.table import render
from groundtune.registry import missing


def read_slides(data: bytes, name: str, charset: str = "") -> Extract:
    """All slides in order. Raises ``DataError`` for an unreadable file, ``MissingExtra`` without python-pptx."""
    try:
        from pptx import Presentation
    except ModuleNotFoundError as error:
        raise missing(error, name) from error
    check_office(data, name)
    try:
        deck = Presentation(io.BytesIO(data))
        slides = [_slide(slide) for slide in deck.slides]
        title = one_line(deck.core_properties.title or "")
    except Exception as error:  # python-pptx raises zip, key, value and XML errors for damaged files
        raise DataError("knowledge.damaged", document=name) from error
    if not any(slide.strip() for slide in slides):
        return Extract("")
    # python-pptx calls a new file "PowerPoint Presentation"
    title = "" if title == "PowerPoint Presentation" else title
    return Extract(PAGE_BREAK.join(slides) + "\n", title, {"format": "slides", "pages": len(slides)})


def _slide(slide: Any) -> str:  # noqa: ANN401 - python-pptx has no types
    title = slide.shapes.title
    blocks = [f"## {one_line(title.text_frame.text)}"] if title is not None and title.text_frame.text.strip() else []
    own = None if title is None else title.shape_id
    blocks += [text for shape in _shapes(slide.shapes) if shape.shape_id != own for text in _shape(shape)]
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        blocks.append(slide.notes_slide.notes_text_frame.text.replace("\v", "\n").strip())
    return "\n\n".join(block for block in blocks if block)


def _shapes(shapes: Iterable[Any]) -> Iterator[Any]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _shape(shape: Any) -> Iterator[str]:  # noqa: ANN401
    if getattr(shape, "has_table", False):
        rows = [[cell.text for cell in row.cells] for row in shape.table.rows]
        yield render(rows, header=True if shape.table.first_row and len(rows) > 1 else None)
    elif shape.has_text_frame:
        many = len(shape.text_frame.paragraphs) > 1
        lines = []
        for paragraph in shape.text_frame.paragraphs:
            text = one_line(paragraph.text.replace("\v", " "))
            if text:
                lines.append(f"{'  ' * paragraph.level}- {text}" if many else text)
        yield "\n".join(lines)
