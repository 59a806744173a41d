"""PDF to text, with the extra ``docs`` (pypdfium2): pages separated by form feeds, broken lines joined again."""

from __future__ import annotations

import re
import threading
from collections import Counter
from typing import Any

from groundtune.errors import DataError
from groundtune.knowledge.extract import PAGE_BREAK, Extract, Scalar
from groundtune.registry import missing
from groundtune.text.scripts import is_cjk

_ENDS = re.compile(r"[。！？!?．.:：；;」』）)\]]$")
_OPENS = re.compile(
    r"^\s*(?:[-•●■◆・*]|\d+[.)、]|[(（][\d一二三四五六七八九十]+[)）]|第\s*[\d０-９一二三四五六七八九十百]+\s*[條条章節])"
)
_ONE_AT_A_TIME = threading.Lock()  # PDFium is not made for several threads
_NUMBER = re.compile(r"\d+")
# A line that stands first or last on this share of at least four pages belongs to the page, not to the text.
_REPEATED = 0.6
_PAGES = 4


def read_pdf(data: bytes, name: str, charset: str = "") -> Extract:
    """Text of all pages.

    Raises ``DataError`` for a damaged or encrypted file and for scans without a text layer, ``MissingExtra`` without
    pypdfium2. ``pages_without_text`` counts pages that are only pictures.
    """
    try:
        import pypdfium2
    except ModuleNotFoundError as error:
        raise missing(error, name) from error
    with _ONE_AT_A_TIME:
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
    empty = sum(not page.strip() for page in pages)
    if empty == len(pages):
        raise DataError("knowledge.scanned", document=name, pages=len(pages))
    metadata: dict[str, Scalar] = {"pages": len(pages)}
    if empty:
        metadata["pages_without_text"] = empty
    text = PAGE_BREAK.join(unwrap(page) for page in without_furniture(pages))
    return Extract(f"{text}\n", "", metadata)


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
    return raw.replace("\ufffe", "-").replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")


def without_furniture(pages: list[str]) -> list[str]:
    """Pages without the running title, footer and page number that most of them share."""
    if len(pages) < _PAGES:
        return pages
    split = [[line for line in page.split("\n") if line.strip()] for page in pages]
    for end in (0, -1):
        for _ in range(2):  # a running title and a page number are often two lines
            seen = Counter(_shape(lines[end]) for lines in split if lines)
            often = {shape for shape, times in seen.items() if times >= _REPEATED * len(pages)}
            for lines in split:
                if len(lines) > 1 and _shape(lines[end]) in often:
                    del lines[end]
    return ["\n".join(lines) for lines in split]


def _shape(line: str) -> str:
    return _NUMBER.sub("0", "".join(line.split()))


def unwrap(text: str) -> str:
    """Join lines that were broken by the page width: long lines that do not end a sentence and are followed by a line
    that does not open a list item or an article.
    """
    lines = [line.strip() for line in text.split("\n")]
    longest = max((len(line) for line in lines), default=0)
    out: list[str] = []
    for line in lines:
        before = out[-1] if out else ""
        joins = before and line and _fills(out, longest) and not _ENDS.search(before) and not _OPENS.match(line)
        if not joins:
            out.append(line)
        elif before.endswith("-") and before[-2:-1].isalpha() and line[:1].islower():
            out[-1] = before[:-1] + line
        else:
            out[-1] = before + ("" if is_cjk(before[-1]) or is_cjk(line[0]) else " ") + line
    return "\n".join(out).strip()


def _fills(out: list[str], longest: int) -> bool:
    return len(out[-1]) > 0.6 * longest
