"""HTML to Markdown-like text: the main part of a page with its headings, lists, tables and code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from groundtune.knowledge.decode import declared_charset, decode
from groundtune.knowledge.extract import Extract, Scalar, one_line
from groundtune.knowledge.htmltext import Writer

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_IN_HEAD = {"title", "meta", "link", "script", "style", "base", "noscript", "template", "head", "object"}
# What an opening tag ends when it is still open.
_ENDS = {
    "p": {"p"}, "li": {"li", "p"}, "dt": {"dt", "dd", "p"}, "dd": {"dt", "dd", "p"}, "tr": {"tr", "td", "th", "p"},
    "td": {"td", "th", "p"}, "th": {"td", "th", "p"}, "thead": {"tr", "td", "th"}, "tbody": {"thead", "tbody", "tr", "td", "th"},
    "option": {"option"},
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "div", "section", "article", "pre"), {"p"}),
}  # fmt: skip
# Where the search for something to end stops.
_WALLS = {"table", "ul", "ol", "dl", "div", "section", "article", "main", "body", "td", "th", "li", "blockquote"}
_DEEPEST = 150
_DROP = {
    "script",
    "style",
    "noscript",
    "template",
    "svg",
    "iframe",
    "button",
    "select",
    "head",
    "title",
    "object",
    "canvas",
}
_FURNITURE = {"nav", "footer"}
_LINKS_ONLY = {"header", "aside", "div", "section", "ul", "ol", "form"}
_ROLES = {"navigation", "contentinfo", "banner", "search", "complementary", "menu", "menubar"}
_NAMES = re.compile(
    r"(?:^|[-_\s])(?:nav|navbar|menu|sidebar|breadcrumbs?|footer|cookies?|banner|share|social|related|skip|pager)(?:$|[-_\s])"
)
# A <main> or <article> is the page when it holds this share of its words.
_MAIN_SHARE = 0.3
_DATES = {"article:published_time", "date", "dc.date", "dcterms.date", "pubdate", "publishdate"}


@dataclass
class Node:
    """An element; ``children`` are elements and strings."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)


class _Builder(HTMLParser):
    """Reads broken markup as browsers would, closely enough: nothing raises."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("html")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.root.attributes.update(attributes)
            return
        if tag not in _IN_HEAD:
            self._leave_head()
        ends = _ENDS.get(tag)
        while ends and len(self._open) > 1 and self._open[-1].tag in ends:
            self._open.pop()
        node = Node(tag, attributes)
        self._open[-1].children.append(node)
        if tag not in _VOID and len(self._open) < _DEEPEST:
            self._open.append(node)

    def _leave_head(self) -> None:
        """What cannot stand in <head> ends it."""
        for place, node in enumerate(self._open[:3]):
            if node.tag == "head":
                del self._open[place:]
                return

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self._open) - 1, 0, -1):
            if self._open[place].tag == tag:
                del self._open[place:]
                return
            if self._open[place].tag in _WALLS and tag not in _WALLS:
                return

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def read_html(data: bytes, name: str, charset: str = "") -> Extract:
    """The readable text of a page. ``charset`` is what the server said. Raises ``DataError`` for its encoding."""
    return html_to_markdown(decode(data, name, declared=charset or declared_charset(data)))


def html_to_markdown(source: str) -> Extract:
    """Text, ``<title>``, and ``language`` and ``published`` where the page says them."""
    builder = _Builder()
    builder.feed(_defused(source))
    builder.close()
    root = builder.root
    title = next((one_line(text_of(node)) for node in _find(root, "title")), "")
    metadata = _metadata(root)
    text = Writer().write(_main(root))
    return Extract(text, title, metadata)


def _defused(source: str) -> str:
    """The page without comments and without signs that open a tag and never end it: for each of these Python's parser
    would look through all the rest again.
    """
    parts: list[str] = []
    place = 0
    while (start := source.find("<!--", place)) >= 0:
        end = source.find("-->", start + 4)
        if end < 0:
            break
        parts.append(source[place:start])
        place = end + 3
    rest = source[place:].replace("<!--", "")
    last = rest.rfind(">") + 1
    return "".join(parts) + rest[:last] + rest[last:].replace("<", "&lt;")


def text_of(node: Node) -> str:
    """All words below an element."""
    return "".join(child if isinstance(child, str) else text_of(child) for child in node.children)


def _find(node: Node, tag: str) -> list[Node]:
    found: list[Node] = []
    for child in node.children:
        if isinstance(child, Node):
            found += [child] if child.tag == tag else _find(child, tag)
    return found


def _metadata(root: Node) -> dict[str, Scalar]:
    metadata: dict[str, Scalar] = {}
    if language := root.attributes.get("lang", "") or root.attributes.get("xml:lang", ""):
        metadata["language"] = language
    for node in _find(root, "meta"):
        key = (node.attributes.get("property") or node.attributes.get("name") or "").lower()
        if key in _DATES and node.attributes.get("content", "").strip():
            metadata.setdefault("published", node.attributes["content"].strip())
    return metadata


def _main(root: Node) -> Node:
    """The part that is the page: without furniture, and only its <main> or single <article> where it has one."""
    kept = _without(root, furniture=True)
    words = len(one_line(text_of(kept)))
    if words < 20:  # furniture that was never closed would take the page with it
        whole = _without(root, furniture=False)
        return whole if len(one_line(text_of(whole))) > words else kept
    for tag in ("main", "article"):
        found = _find(kept, tag)
        if len(found) == 1 and len(one_line(text_of(found[0]))) >= _MAIN_SHARE * words:
            return found[0]
    return kept


def _without(node: Node, *, furniture: bool, inside: bool = False) -> Node:
    """A copy without scripts, hidden parts and, with ``furniture``, menus, footers and lists of links."""
    inside = inside or node.tag in ("article", "main")
    children: list[Node | str] = []
    for child in node.children:
        if isinstance(child, str):
            children.append(child)
        elif child.tag not in _DROP and not _hidden(child) and not (furniture and _is_furniture(child, inside)):
            children.append(_without(child, furniture=furniture, inside=inside))
    return Node(node.tag, node.attributes, children)


def _hidden(node: Node) -> bool:
    attributes = node.attributes
    style = attributes.get("style", "").replace(" ", "").lower()
    return "hidden" in attributes or attributes.get("aria-hidden") == "true" or "display:none" in style


def _is_furniture(node: Node, inside: bool) -> bool:
    if node.tag == "nav" or (node.tag in _FURNITURE and not inside):
        return True
    attributes = node.attributes
    if attributes.get("role", "").lower() in _ROLES and not (inside and node.tag == "header"):
        return True
    if node.tag not in _LINKS_ONLY:
        return False
    named = _NAMES.search(f"{attributes.get('class', '')} {attributes.get('id', '')}".lower())
    return bool(named or node.tag in ("header", "aside")) and _mostly_links(node)


def _mostly_links(node: Node) -> bool:
    words = len(one_line(text_of(node)))
    linked = sum(len(one_line(text_of(link))) for link in _find(node, "a"))
    return words > 0 and linked > 0.5 * words and not _find(node, "h1")
