"""Small pieces of HTML, everything escaped: a text goes in as data and never comes out as markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


class Html(str):
    """A string that is markup already."""

    __slots__ = ()


def esc(text: object) -> Html:
    """Markup as it is, anything else escaped."""
    return text if isinstance(text, Html) else Html(escape(str(text)))


def tag(name: str, content: object = "", /, **attributes: object) -> Html:
    """``<name attributes>content</name>``; ``css`` is class, underscores become hyphens, None and False are left out."""
    given = {"class" if k == "css" else k.rstrip("_").replace("_", "-"): v for k, v in attributes.items()}
    parts = [
        f' {k}="{escape(str(v))}"' if v is not True else f" {k}" for k, v in given.items() if v not in (None, False, "")
    ]
    return Html(f"<{name}{''.join(parts)}>{esc(content)}</{name}>")


def join(parts: Iterable[object], between: str = "") -> Html:
    """Pieces one after the other."""
    return Html(between.join(esc(part) for part in parts))


def bullets(items: Sequence[object], *, ordered: bool = False, css: str = "") -> Html:
    """A list; nothing for no items."""
    return tag("ol" if ordered else "ul", join(tag("li", item) for item in items), css=css) if items else Html("")


def paragraph(text: object, css: str = "") -> Html:
    return tag("p", text, css=css) if text else Html("")


@dataclass(frozen=True)
class Column:
    """A table's column; numbers stand right."""

    title: object
    number: bool = False


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[object]], *, hidden: bool = True) -> Html:
    """A table whose first column names the row; it scrolls sideways by itself where the page is narrow."""
    head = join(tag("th", c.title, scope="col", css="num" if c.number else "") for c in columns)
    body = []
    for row in rows:
        cells = [tag("th", row[0], scope="row")]
        cells += [tag("td", v, css="num" if c.number else "") for v, c in zip(row[1:], columns[1:], strict=True)]
        body.append(tag("tr", join(cells)))
    inner = tag("caption", caption, css="sr" if hidden else "")
    inner = join([inner, tag("thead", tag("tr", head)), tag("tbody", join(body))])
    return tag("div", tag("table", inner), css="scroll", role="region", tabindex="0", aria_label=caption)


def details(summary: object, content: object, css: str = "") -> Html:
    """Something to open; works without a script."""
    return tag("details", join([tag("summary", summary), tag("div", content, css="inside")]), css=css)


def section(ident: str, title: str, *content: object, lead: str = "") -> Html:
    """A section with its heading; nothing when all content is empty."""
    inner = [c for c in content if c]
    if not inner:
        return Html("")
    head = join([tag("h2", title, id=f"{ident}-h"), paragraph(lead, "lead")])
    return tag("section", join([head, *inner]), id=ident, aria_labelledby=f"{ident}-h")


def picture(ident: str, title: str, wide: str, narrow: str, fallback: Html, note: str, summary: str) -> Html:
    """A chart in two widths (the page shows the one that fits), with its numbers as a table to open."""
    head = join([tag("figcaption", join([tag("strong", title), Html(" "), tag("span", note)]))])
    charts = join([tag("div", Html(wide), css="wide"), tag("div", Html(narrow), css="narrow")])
    return tag("figure", join([head, charts, details(summary, fallback, "data")]), id=ident)
