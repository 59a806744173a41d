"""RSS, Atom and sitemaps: what stands in them."""

from __future__ import annotations

import email.utils
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from xml.etree import ElementTree

from groundtune.errors import DataError
from groundtune.knowledge.decode import declared_charset, decoded
from groundtune.knowledge.extract import one_line
from groundtune.knowledge.html import html_to_markdown

Kind = Literal["feed", "sitemap", "index"]
_ROOTS: dict[str, Kind] = {"rss": "feed", "rdf": "feed", "feed": "feed", "urlset": "sitemap", "sitemapindex": "index"}
_DECLARATION = re.compile(r"\A\ufeff?\s*<\?xml[^>]*\?>")
_START = re.compile(r"<(?:[\w.-]+:)?([A-Za-z]+)[\s>/]")
_COMMENTS = re.compile(r"\A(?:\s|<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^>\[]*>)+", re.DOTALL)
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9A-Fa-f]+);)([A-Za-z]\w*);")
_BARE = re.compile(r"&(?![A-Za-z]\w*;|#)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One piece of news. ``link`` may be empty; ``published`` is an ISO date and time or empty; ``content`` is HTML."""

    key: str
    title: str
    link: str
    published: str
    content: str


def kind_of(data: bytes) -> Kind | None:
    """What an XML file is, by its first element; None for anything else, such as an HTML page."""
    head = (decoded(data[:4096], declared_charset(data)) or data[:4096].decode("ascii", "replace")).lstrip("\ufeff")
    head = _COMMENTS.sub("", head)
    match = _START.match(head)
    return _ROOTS.get(match.group(1).lower()) if match else None


def addresses(data: bytes, name: str) -> list[str]:
    """Addresses in a sitemap or an index of sitemaps, in order. Raises ``DataError`` when it is damaged."""
    found = (one_line(node.text or "") for node in _parse(data, name).iter() if _local(node) == "loc")
    return list(dict.fromkeys(url for url in found if url))


def entries(data: bytes, name: str) -> list[Entry]:
    """Entries of a feed, in order. Raises ``DataError`` when it is damaged."""
    try:
        return [_entry(node) for node in _parse(data, name).iter() if _local(node) in ("item", "entry")]
    except RecursionError as error:  # parts in parts in parts
        raise DataError("knowledge.damaged", document=name) from error


def as_page(entry: Entry) -> bytes:
    """An entry as an HTML page, which is read like any other."""
    date = f"<p>{html.escape(entry.published)}</p>" if entry.published else ""
    title = html.escape(entry.title)
    return f"<title>{title}</title><h1>{title}</h1>{date}<div>{entry.content}</div>".encode("utf-8", "replace")


def _parse(data: bytes, name: str) -> ElementTree.Element:
    text = decoded(data, declared_charset(data))
    if text is None or "<!ENTITY" in text:  # entities of its own are how a small file becomes a large one
        raise DataError("knowledge.damaged", document=name)
    text = _DECLARATION.sub("", text)
    for attempt in (text, _BARE.sub("&amp;", _ENTITY.sub(lambda match: html.unescape(match.group()), text))):
        try:
            return ElementTree.fromstring(attempt)
        except (ElementTree.ParseError, ValueError):
            continue
    raise DataError("knowledge.damaged", document=name)


def _local(node: ElementTree.Element) -> str:
    return str(node.tag).rpartition("}")[2].lower()


def _entry(node: ElementTree.Element) -> Entry:
    parts: dict[str, ElementTree.Element] = {}
    for child in node:
        parts.setdefault(_local(child), child)
    title = html_to_markdown(_inner(parts["title"])).text if "title" in parts else ""
    link = _link(node)
    key = _text(parts, "guid") or _text(parts, "id") or node.get(f"{_RDF}about", "") or link or title
    return Entry(one_line(key), one_line(title), link, _date(parts), _content(parts))


_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def _text(parts: dict[str, ElementTree.Element], *names: str) -> str:
    return next((one_line(parts[n].text or "") for n in names if n in parts and (parts[n].text or "").strip()), "")


def _link(node: ElementTree.Element) -> str:
    links = [child for child in node if _local(child) == "link"]
    for child in links:
        if child.get("rel", "alternate") == "alternate" and (url := child.get("href") or one_line(child.text or "")):
            return url
    guid = next((child for child in node if _local(child) == "guid"), None)
    if guid is not None and guid.get("isPermaLink") != "false" and (guid.text or "").strip().startswith("http"):
        return one_line(guid.text or "")
    return ""


def _date(parts: dict[str, ElementTree.Element]) -> str:
    text = _text(parts, "pubdate", "published", "date", "issued", "updated", "modified")
    try:
        moment = datetime.fromisoformat(text).isoformat()
        return text if moment.startswith(text) else moment
    except ValueError:
        pass
    try:
        return email.utils.parsedate_to_datetime(text).isoformat()
    except (TypeError, ValueError, IndexError):
        return text


def _content(parts: dict[str, ElementTree.Element]) -> str:
    for name in ("encoded", "content", "description", "summary"):
        if name in parts and (inner := _inner(parts[name]).strip()):
            return inner
    return ""


def _inner(node: ElementTree.Element) -> str:
    """Content as HTML: escaped HTML as it is, elements (XHTML) written out, plain text escaped."""
    if len(node):
        return html.escape(node.text or "") + "".join(_written(child) for child in node)
    text = node.text or ""
    return html.escape(text) if node.get("type") == "text" else text


def _written(node: ElementTree.Element) -> str:
    return "".join(_serialise(node))


def _serialise(node: ElementTree.Element) -> Iterator[str]:
    tag = _local(node)
    yield f"<{tag}>" + html.escape(node.text or "")
    for child in node:
        yield from _serialise(child)
    yield f"</{tag}>" + html.escape(node.tail or "")
