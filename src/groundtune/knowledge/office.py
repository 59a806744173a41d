"""PDF and DOCX to text, with the extra ``docs`` (pypdfium2, python-docx)."""

from __future__ import annotations

import io
import re
from typing import Any

from groundtune.errors import DataError
from groundtune.registry import missing
from groundtune.text.scripts import is_cjk

_ENDS = re.compile(r"[。！？!?．.:：；;」』）)\]]$")
_OPENS = re.compile(
    r"^\s*(?:[-•●■◆・*]|\d+[.)、]|[(（][\d一二三四五六七八九十]+[)）]|第[\d一二三四五六七八九十百]+[條条章節])"
)


def pdf_to_text(data: bytes, name: str) -> str:
    """Text of all pages, form feeds between them, lines of a paragraph joined again.

    Raises ``DataError`` for a damaged or encrypted file and for scans without a text layer.
    """
    try:
        import pypdfium2
    except ModuleNotFoundError as error:
        raise missing(error, name) from error
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        key = "knowledge.encrypted" if "password" in str(error).lower() else "knowledge.damaged"
        raise DataError(key, document=name) from error
    try:
        pages = [_page_text(document, number) for number in range(len(document))]
    except pypdfium2.PdfiumError as error:
        raise DataError("knowledge.damaged", document=name) from error
    finally:
        document.close()
    if not any(page.strip() for page in pages):
        raise DataError("knowledge.scanned", document=name, pages=len(pages))
    return "\n\f\n".join(pages) + "\n"


def _page_text(document: Any, number: int) -> str:  # noqa: ANN401 - pypdfium2 has no types
    page = document[number]
    try:
        reader = page.get_textpage()
        try:
            raw = str(reader.get_text_range())
        finally:
            reader.close()
    finally:
        page.close()
    # U+FFFE stands for a hyphen at a line end in PDFium's output.
    return unwrap(raw.replace("\ufffe", "-").replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n"))


def unwrap(text: str) -> str:
    """Join lines that were broken by the page width: long lines that do not end a sentence and are followed by a line
    that does not open a list item or an article.
    """
    lines = [line.strip() for line in text.split("\n")]
    longest = max((len(line) for line in lines), default=0)
    out: list[str] = []
    for line in lines:
        before = out[-1] if out else ""
        joins = before and line and len(before) > 0.6 * longest and not _ENDS.search(before) and not _OPENS.match(line)
        if not joins:
            out.append(line)
        elif before.endswith("-") and before[-2:-1].isalpha() and line[:1].islower():
            out[-1] = before[:-1] + line
        else:
            out[-1] = before + ("" if is_cjk(before[-1]) or is_cjk(line[0]) else " ") + line
    return "\n".join(out).strip()


def docx_to_markdown(data: bytes, name: str) -> str:
    """Paragraphs with ``#`` for heading styles and tables as rows. Raises ``DataError`` for an unreadable file."""
    try:
        import docx
        from docx.table import Table
    except ModuleNotFoundError as error:
        raise missing(error, name) from error
    if data.startswith(b"\xd0\xcf\x11\xe0"):  # an OLE container: an encrypted or an old .doc file
        raise DataError("knowledge.encrypted", document=name)
    try:
        document = docx.Document(io.BytesIO(data))
        blocks = [_table(b) if isinstance(b, Table) else _paragraph(b) for b in document.iter_inner_content()]
    except Exception as error:  # python-docx raises zip, key, value and XML errors for damaged files
        raise DataError("knowledge.damaged", document=name) from error
    return "\n\n".join(block for block in blocks if block) + "\n"


def _paragraph(block: Any) -> str:  # noqa: ANN401
    text = str(block.text).strip()
    style = str(getattr(block.style, "name", "") or "")
    level = {"Title": 1}.get(style) or (int(style.split()[-1]) if re.fullmatch(r"Heading [1-6]", style) else 0)
    if not text:
        return ""
    return f"{'#' * level} {' '.join(text.split())}" if level else text


def _table(block: Any) -> str:  # noqa: ANN401
    rows = ["| " + " | ".join(" ".join(cell.text.split()) for cell in row.cells) + " |" for row in block.rows]
    return "\n".join(rows)
