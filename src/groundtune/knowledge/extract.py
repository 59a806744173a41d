"""What reading a file gives, before it is a document; and the shapes that all formats share."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO

from groundtune.errors import DataError

Scalar = str | int | float | bool | None
PAGE_BREAK = "\n\f\n"
# A small file that unpacks to this much is a bomb, not a document.
_UNPACKED_BYTES = 512 * 1024 * 1024
_BLANKS = re.compile(r"\n[ \t]*\n\s*")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Extract:
    """Text, the title that the file names itself (may be empty) and metadata."""

    text: str
    title: str = ""
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


def one_line(text: object) -> str:
    """The words of a text with single spaces between them."""
    return " ".join(str(text).split())


def clean(text: str) -> str:
    """Text that can be stored and hashed: lone surrogates become U+FFFD, zero characters go."""
    if "\0" in text:
        text = text.replace("\0", "")
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def paragraphs(text: str) -> str:
    """One blank line between paragraphs, a newline at the end."""
    text = _BLANKS.sub("\n\n", text).strip()
    return f"{text}\n" if text else ""


def check_office(data: bytes, name: str) -> None:
    """Refuse what cannot be a DOCX, PPTX or XLSX: old or encrypted files, damaged ones and bombs."""
    if data.startswith(b"\xd0\xcf\x11\xe0"):  # an OLE container: an encrypted or an old Office file
        raise DataError("knowledge.encrypted", document=name)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError("knowledge.damaged", document=name) from error
    if size > _UNPACKED_BYTES:
        raise DataError("knowledge.too_large", document=name, limit=_UNPACKED_BYTES // 1024 // 1024)
