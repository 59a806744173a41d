"""Addresses as roots of a synchronisation: one page, the pages of a sitemap, the entries of a feed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit
from urllib.robotparser import RobotFileParser

from groundtune.errors import DataError
from groundtune.knowledge import feed
from groundtune.knowledge.address import Address, parse_address
from groundtune.knowledge.extract import Scalar
from groundtune.knowledge.fetch import AGENT, Reply, unpacked
from groundtune.knowledge.source import Facts, Source, Unreadable
from groundtune.knowledge.webcache import Web

_TYPES = {
    "text/html": ".html", "application/xhtml+xml": ".html", "application/pdf": ".pdf", "text/plain": ".txt",
    "text/markdown": ".md", "text/csv": ".csv", "text/tab-separated-values": ".tsv", "application/json": ".json",
    "application/ld+json": ".json", "application/x-ndjson": ".jsonl", "application/jsonl": ".jsonl", "message/rfc822": ".eml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}  # fmt: skip
_VAGUE = ("", "application/octet-stream", "binary/octet-stream", "text/plain")
_SITEMAPS = 50
_LONGEST_DELAY = 10.0
PAGES = 1000


@dataclass(frozen=True, slots=True)
class Link:
    """An address to bring in. ``pages``: at most so many of a sitemap; ``follow``: read the page behind each entry of a
    feed instead of what the feed says of it; ``allow_private``: also ask computers of the own network.
    """

    url: str
    allow_private: bool = False
    follow: bool = False
    pages: int = PAGES


@dataclass
class _Robots:
    """What robots.txt files allow, and how long they ask us to wait between two pages."""

    web: Web
    rules: dict[str, RobotFileParser | None] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)

    def check(self, address: Address) -> None:
        """Wait as asked. Raises ``DataError`` for a page that we are asked not to read."""
        site = address.site
        if site not in self.rules:
            self.rules[site] = self._read(site)
        rules = self.rules[site]
        if rules is None or not rules.can_fetch(AGENT, address.url):
            raise DataError("knowledge.web_robots", url=address.url)
        delay = min(float(rules.crawl_delay(AGENT) or 0), _LONGEST_DELAY)
        rest = self.asked.get(site, -delay) + delay - time.monotonic()
        if delay and rest > 0:
            time.sleep(rest)
        self.asked[site] = time.monotonic()

    def _read(self, site: str) -> RobotFileParser | None:
        """RFC 9309: no file allows everything, a server that fails allows nothing (None)."""
        rules = RobotFileParser()
        try:
            body = self.web.get(f"{site}/robots.txt").body
        except DataError as error:
            if not 400 <= int(str(error.params.get("status", 0))) < 500:
                return None
            body = b""
        rules.parse(body[: 512 * 1024].decode("utf-8", "replace").splitlines())
        return rules


@dataclass
class _Page:
    """A page. ``reply`` is what was fetched already; a second ``read`` fetches again."""

    url: str
    web: Web
    robots: _Robots | None = None
    reply: Reply | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    found: Facts = Facts("")

    def read(self) -> bytes:
        reply, self.reply = self.reply, None  # thousands of pages are not kept in memory
        if reply is None:
            if self.robots is not None:
                self.robots.check(parse_address(self.url))
            reply = self.web.get(self.url)
        self.found = Facts(_suffix(reply), reply.charset, {"link": reply.url, **self.metadata})
        return reply.body

    def facts(self) -> Facts:
        return self.found


@dataclass(frozen=True)
class _Said:
    """An entry of a feed, as the feed tells it."""

    entry: feed.Entry

    def read(self) -> bytes:
        return feed.as_page(self.entry)

    def facts(self) -> Facts:
        return Facts(".html", "utf-8", _told(self.entry))


def _told(entry: feed.Entry) -> dict[str, Scalar]:
    facts = {"title": entry.title, "link": entry.link, "published": entry.published}
    return {key: value for key, value in facts.items() if value}


def _suffix(reply: Reply) -> str:
    """The format by what the server says, else by the address, else by the first bytes."""
    said = reply.content_type
    name = PurePosixPath(urlsplit(reply.url).path).suffix.lower()
    if said in _VAGUE:
        head = reply.body[:512].lstrip().lower()
        if head.startswith(b"%pdf"):
            return ".pdf"
        if head.startswith((b"<!doctype html", b"<html")):
            return ".html"
        return name or ".txt"
    if said in _TYPES:
        return _TYPES[said]
    if said.startswith("text/") or said.endswith(("/xml", "+xml")):
        return ".html" if "xml" in said else ".txt"
    if said.endswith("+json"):
        return ".json"
    raise DataError("knowledge.web_type", url=reply.url, type=said)


def find_pages(link: Link, cache: Path | None) -> list[Source]:
    """Sources of an address. What cannot be read now stands in the list as a source that fails, and keeps the
    documents that came from this address before.
    """
    web = Web(cache, link.allow_private)
    try:
        url = parse_address(link.url).url
    except DataError as error:
        return [_failing(link.url, link.url, error)]
    try:
        reply = web.get(url)
        body = unpacked(reply.body, url, web.limits.size)
        kind = feed.kind_of(body)
        if kind == "feed":
            return _entries(link, web, url, body)
        if kind is not None:
            return _pages(link, web, url, body)
        return [Source(url, _path(url), url, _Page(url, web, reply=reply))]
    except DataError as error:
        return [_failing(url, url, error)]


def _failing(url: str, root: str, error: DataError) -> Source:
    return Source(url, _path(url), root, Unreadable(error), keeps="")


def _path(url: str) -> Path:
    """A path whose name is the last part of the address: the title of a page that has none."""
    parts = urlsplit(url)
    return Path(parts.netloc or "web") / (unquote(parts.path).replace("\0", "").strip("/") or parts.netloc or "page")


def _entries(link: Link, web: Web, root: str, body: bytes) -> list[Source]:
    """Entries that are in the feed no more stay: a feed holds only the latest ones."""
    robots = _Robots(web)
    found: dict[str, Source] = {}
    told = [(entry, _page_of(entry, root)) for entry in feed.entries(body, root)]
    times = Counter(page for _, page in told)
    for entry, page in told:
        # news that share a page, or have none, are told apart by their own key
        id = page if page and times[page] == 1 else f"{page or root}#{entry.key}"
        origin = _Page(page, web, robots, metadata=_told(entry)) if link.follow and page else _Said(entry)
        found.setdefault(id, Source(id, _path(page or root), root, origin, keeps=""))
    if not found:
        raise DataError("knowledge.no_text", document=root)
    return list(found.values())


def _page_of(entry: feed.Entry, root: str) -> str:
    try:
        return parse_address(entry.link, base=root).url if entry.link else ""
    except DataError:
        return ""


def _pages(link: Link, web: Web, root: str, body: bytes) -> list[Source]:
    """Pages of a sitemap, of the same host as it. Too many, or a part that cannot be read, is reported; what came
    from this sitemap before then stays.
    """
    failed: list[Source] = []
    urls = _listed(web, root, body, failed)
    host = parse_address(root).host
    robots = _Robots(web)
    sources: dict[str, Source] = {}
    for url in urls:
        try:
            address = parse_address(url, base=root)
        except DataError:
            continue
        if address.host == host:
            sources.setdefault(
                address.url, Source(address.url, _path(address.url), root, _Page(address.url, web, robots))
            )
    found = list(sources.values())
    if len(found) > link.pages:
        error = DataError("knowledge.web_pages", url=root, count=len(found), read=link.pages)
        found = [*found[: link.pages], _failing(root, root, error)]
    if not found and not failed:
        raise DataError("knowledge.no_text", document=root)
    return [*found, *failed]


def _listed(web: Web, root: str, body: bytes, failed: list[Source]) -> list[str]:
    """Addresses of pages; an index of sitemaps is followed one level down."""
    if feed.kind_of(body) == "sitemap":
        return feed.addresses(body, root)
    urls: list[str] = []
    parts = feed.addresses(body, root)
    for part in parts[:_SITEMAPS]:
        try:
            address = parse_address(part, base=root)
            urls += feed.addresses(unpacked(web.get(address.url).body, address.url, web.limits.size), address.url)
        except DataError as error:
            failed.append(_failing(part, root, error))
    if len(parts) > _SITEMAPS:
        failed.append(
            _failing(root, root, DataError("knowledge.web_pages", url=root, count=len(parts), read=_SITEMAPS))
        )
    return urls
