"""How the report writes names and numbers in each language: percentages, money, seconds, tokens, labels."""

from __future__ import annotations

from dataclasses import dataclass

from groundtune.config import CONSTRAINED
from groundtune.messages import catalogue, language, listed, resolve, say

DASH = "–"
TAGS = {"en": "en", "zh-TW": "zh-Hant-TW", "ja": "ja"}


@dataclass(frozen=True)
class Words:
    """The sentences of one language; ``lang`` is one of ``messages.LANGUAGES``."""

    lang: str

    @classmethod
    def of(cls, lang: str | None = None) -> Words:
        """Words in ``lang`` (default: the language in use)."""
        return cls(resolve(lang) if lang else language())

    @property
    def tag(self) -> str:
        """The BCP 47 tag for HTML; it chooses the right Han glyphs."""
        return TAGS[self.lang]

    def __call__(self, key: str, /, **params: object) -> str:
        """The sentence ``report.<key>``."""
        return say(f"report.{key}", lang=self.lang, **params)

    def named(self, kind: str, name: str) -> str:
        """``report.<kind>.<name>``, or the name itself where no language has a word for it."""
        key = f"report.{kind}.{name.replace('+', '_').replace('-', '_')}"
        return say(key, lang=self.lang) if key in catalogue("en") else name

    def approach(self, name: str) -> str:
        """``rag+constrained @ model`` in words."""
        return self._row("approach", name)

    def short(self, name: str) -> str:
        """An approach in few letters, for narrow tables."""
        return self._row("short", name)

    def _row(self, kind: str, name: str) -> str:
        row, at, model = name.partition(" @ ")
        plain = row.removesuffix(CONSTRAINED)
        title = self.named(kind, plain)
        if plain != row:
            title = self("with_schema", approach=title)
        return title + at + model

    def metric(self, name: str) -> str:
        return self.named("metric", name)

    def label(self, name: str) -> str:
        return self.named("label", name)

    def percent(self, share: float | None) -> str:
        """``0.873`` as ``87%``; one decimal where the share is tiny but not 0, or nearly but not 1."""
        if share is None:
            return DASH
        digits = 1 if 0 < abs(share) < 0.01 or 0.99 < abs(share) < 1 else 0
        return f"{share * 100:.{digits}f}%"

    def interval(self, low: float | None, high: float | None) -> str:
        """``0.79, 0.93`` as ``79–93%``."""
        if low is None or high is None:
            return ""
        return f"{low * 100:.0f}{DASH}{high * 100:.0f}%"

    def points(self, difference: float | None) -> str:
        """A difference of shares in percentage points, signed."""
        return DASH if difference is None else self("points", value=signed(difference * 100))

    def points_interval(self, low: float, high: float) -> str:
        return self("between", low=signed(low * 100), high=signed(high * 100))

    def money(self, dollars: float | None) -> str:
        """US dollars with as many decimals as the size needs."""
        if dollars is None:
            return DASH
        sign, size = ("−" if dollars < 0 else ""), abs(dollars)
        digits = 0 if size >= 100 or size == 0 else 2 if size >= 0.1 else 4
        return f"{sign}{self('currency')}{size:,.{digits}f}"

    def axis_money(self, dollars: float) -> str:
        """US dollars in few letters: ``$1.2k``."""
        sign, size = ("−" if dollars < 0 else ""), abs(dollars)
        if size < 1000:
            return f"{sign}{self('currency')}{size:.3g}"
        return f"{sign}{self('currency')}{self.compact(size)}"

    def compact(self, value: float) -> str:
        """A large number in few letters: ``12k``, ``1.5M``."""
        for size, letter in ((1e6, "M"), (1e3, "k")):
            if abs(value) >= size * 0.9995:
                return f"{value / size:.3g}{letter}"
        return f"{value:.3g}" if abs(value) < 10 else f"{value:.0f}"

    def seconds(self, value: float | None) -> str:
        if value is None:
            return DASH
        if value < 0.1:
            return self("milliseconds", value=f"{value * 1000:.0f}")
        return self("seconds", value=f"{value:.2f}" if value < 10 else f"{value:,.0f}")

    def duration(self, seconds: float) -> str:
        """Rough time: seconds below two minutes, else minutes."""
        if seconds < 120:
            return self("seconds", value=f"{seconds:.0f}")
        return self("minutes", value=f"{seconds / 60:.0f}")

    def count(self, value: float | None) -> str:
        return DASH if value is None else f"{value:,.0f}"

    def p_value(self, value: float) -> str:
        return "<0.001" if value < 0.001 else f"{value:.3f}"

    def colon(self, label: str) -> str:
        """A label with this language's colon."""
        return f"{label}: " if self.lang == "en" else f"{label}："

    def listed(self, names: list[str]) -> str:
        """Names one after the other with this language's comma."""
        return listed(names, self.lang)


def signed(value: float, digits: int = 0) -> str:
    """A number that always has its sign (a real minus), 0 without one."""
    text = f"{abs(value):,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        return text
    return ("+" if value > 0 else "−") + text
