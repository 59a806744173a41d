"""HTML to Markdown-like text: headings, lists and table rows keep their shape; scripts, styles and menus go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

_SKIP = {"script", "style", "noscript", "template", "svg", "nav", "iframe"}
_BLOCK = {
    "p", "div", "section", "article", "main", "header", "footer", "ul", "ol", "table", "blockquote", "pre", "dl", "dt",
    "dd", "figure", "figcaption", "address", "form", "aside", "hr", "tbody", "thead", "details", "summary",
}  # fmt: skip
_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_BLANKS = re.compile(r"\n[ \t]*\n\s*")


@dataclass(frozen=True, slots=True)
class Page:
    """Text of a page and its title (``<title>``; empty when it has none)."""

    text: str
    title: str


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title: list[str] = []
        self._skipped = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIP:
            self._skipped += 1
        elif tag == "title":
            self._in_title = True
        elif tag in _HEADINGS:
            self.parts.append(f"\n\n{_HEADINGS[tag]} ")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "tr":
            self.parts.append("\n|")
        elif tag in ("td", "th"):
            self.parts.append(" ")
        elif tag in _BLOCK:
            self.parts.append("\n\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIP:
            self._skipped = max(0, self._skipped - 1)
        elif tag == "title":
            self._in_title = False
        elif tag in ("td", "th"):
            self.parts.append(" |")
        elif tag in _BLOCK or tag in _HEADINGS:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._skipped:
            self.parts.append(re.sub(r"\s+", " ", data))


def html_to_markdown(source: str) -> Page:
    """The readable text of a page. Broken markup is read as browsers would: nothing raises."""
    parser = _Parser()
    parser.feed(source)
    parser.close()
    lines = [line.strip() for line in "".join(parser.parts).split("\n")]
    text = _BLANKS.sub("\n\n", "\n".join(lines)).strip()
    return Page(text + "\n" if text else "", " ".join("".join(parser.title).split()))
