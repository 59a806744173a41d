"""``.ics`` files as documents: one line per event."""

from __future__ import annotations

import re

from groundtune.knowledge.extract import Extract

_FIELD = re.compile(r"^(SUMMARY|DTSTART|DTEND|LOCATION|X-WR-CALNAME)[^:\n]*:(.*)$", re.MULTILINE)
_DAY = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2}))?")


def read_calendar(data: bytes, name: str) -> Extract:
    """Gets the bytes and the document's id; gives an ``Extract`` or the text. What it raises is a file not read."""
    text = data.decode("utf-8").replace("\r\n", "\n").replace("\n ", "")
    if "BEGIN:VCALENDAR" not in text:
        raise ValueError("not a calendar")
    title = next((value for key, value in _FIELD.findall(text) if key == "X-WR-CALNAME"), "")
    lines: list[str] = []
    for event in text.split("BEGIN:VEVENT")[1:]:
        fields = {key: value.strip() for key, value in _FIELD.findall(event)}
        place = f", {fields['LOCATION']}" if fields.get("LOCATION") else ""
        lines.append(f"{_shown(fields.get('DTSTART', ''))}: {fields.get('SUMMARY', '')}{place}.")
    return Extract("\n\n".join(lines), title)


def _shown(stamp: str) -> str:
    match = _DAY.match(stamp)
    if not match:
        return stamp
    year, month, day, hour, minute = match.groups()
    return f"{year}-{month}-{day}" + (f" {hour}:{minute}" if hour else "")
