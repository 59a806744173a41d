"""Dates as people write them in English, Chinese and Japanese documents and on the command line."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, timedelta

# Year 1 of each era is the year after this one (民國元年 = 1912, 令和元年 = 2019).
_ERAS = {"民國": 1911, "中華民國": 1911, "令和": 2018, "平成": 1988, "昭和": 1925}
_ERA = re.compile(r"^(中華民國|民國|令和|平成|昭和)\s*(元|\d{1,3})年")
_CJK = re.compile(r"^(\d{4})年(?:(\d{1,2})月(?:(\d{1,2})日)?)?$")
_PLAIN = re.compile(r"^(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?$")


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` up to, not including, ``end``: Unix seconds, days by the clock of this computer."""

    start: float
    end: float

    @property
    def last(self) -> float:
        """The last instant that counts: a date means the state at the end of that day."""
        return self.start if self.end <= self.start else self.end - 1e-3


def parse_period(text: str) -> Period | None:
    """``2024-01-31``, ``2024/1``, ``2024``, ``2024年1月31日``, ``民國113年1月31日``, ``令和6年1月31日`` or an ISO date and
    time (a single instant). None for anything else and for days that do not exist.
    """
    folded = unicodedata.normalize("NFKC", text).strip()
    folded = _ERA.sub(lambda m: f"{_ERAS[m.group(1)] + (1 if m.group(2) == '元' else int(m.group(2)))}年", folded)
    match = _PLAIN.match(folded) or _CJK.match(folded)
    try:
        if match is None:
            moment = datetime.fromisoformat(folded).timestamp()
            return Period(moment, moment)
        year, month, day = (int(part) if part else None for part in match.groups())
        assert year is not None
        first = date(year, month or 1, day or 1)
        if day:
            last = first + timedelta(days=1)
        elif month:
            last = date(year + month // 12, month % 12 + 1, 1)
        else:
            last = date(year + 1, 1, 1)
        return Period(_seconds(first), _seconds(last))
    except (ValueError, OverflowError, OSError):
        return None


def iso_date(seconds: float) -> str:
    """The day of Unix seconds by the clock of this computer."""
    return datetime.fromtimestamp(seconds).date().isoformat()


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day).timestamp()
