"""XLSX to text, with the extra ``docs`` (openpyxl): a sheet is a section, values are what the person sees."""

from __future__ import annotations

import datetime
import io
import re
import warnings
from collections.abc import Iterator
from typing import Any

from groundtune.errors import DataError
from groundtune.knowledge.extract import Extract, check_office
from groundtune.knowledge.table import lines
from groundtune.registry import missing

_PERCENT = re.compile(r"0(?:\.(0+))?%")
# A sheet may claim a million columns; what people read is far smaller.
_COLUMNS = 500


def read_sheet(data: bytes, name: str, charset: str = "") -> Extract:
    """All visible sheets. Raises ``DataError`` for an unreadable file, ``MissingExtra`` without openpyxl."""
    try:
        import openpyxl
    except ModuleNotFoundError as error:
        raise missing(error, name) from error
    check_office(data, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of extensions that it does not know
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            try:
                sections = [_section(sheet) for sheet in book.worksheets if sheet.sheet_state == "visible"]
            finally:
                book.close()
    except Exception as error:  # openpyxl raises zip, key, value and XML errors for damaged files
        raise DataError("knowledge.damaged", document=name) from error
    text = "\n\n".join(section for section in sections if section)
    return Extract(f"{text}\n" if text else "")


def _section(sheet: Any) -> str:  # noqa: ANN401 - openpyxl has no types
    sheet.reset_dimensions()  # programs that write files often get them wrong
    body = "\n".join(lines(_rows(sheet)))
    return f"## {sheet.title}\n\n{body}" if body else ""


def _rows(sheet: Any) -> Iterator[list[str]]:  # noqa: ANN401
    for row in sheet.iter_rows():
        cells = [_shown(cell) for cell in row[:_COLUMNS]]
        if any(cells):
            yield cells


def _shown(cell: Any) -> str:  # noqa: ANN401
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime):
        moment = value.replace(microsecond=0)
        return moment.date().isoformat() if moment.time() == datetime.time() else moment.isoformat(" ", "minutes")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (int, float)):
        return _number(float(value), str(cell.number_format or ""))
    return str(value)


def _number(value: float, style: str) -> str:
    percent = _PERCENT.search(style)
    if percent:
        return f"{value * 100:.{len(percent.group(1) or '')}f}%"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.12g}"
