"""Pages, sitemaps and feeds as roots: what is read, what is deleted, what robots.txt forbids."""

import gzip

import pytest
from local_server import LocalServer, Reply

from groundtune.errors import DataError
from groundtune.knowledge import feed
from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.site import Link

RSS = """<?xml version="1.0" encoding="{encoding}"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>新聞</title><link>{base}/</link>
<item><title>颱風 &amp; 停班</title><link>{base}/news/1</link><guid isPermaLink="false">n1</guid>
<pubDate>Tue, 03 Nov 2026 10:00:00 +0800</pubDate><description>摘要</description>
<content:encoded><![CDATA[<p>颱風<b>明天</b>登陸。</p><ul><li>停班</li></ul>]]></content:encoded></item>
<item><title>開店</title><guid>{base}/news/2</guid><dc:date>2026-11-02</dc:date><description>便利商店&nbsp;開幕。</description></item>
<item><title>Untitled link</title><description>No link here.</description></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="x"><title>t</title><entry><title type="html">a &lt;b&gt;b&lt;/b&gt;</title>
<link rel="self" href="{base}/self"/><link href="/entry/1"/><id>urn:1</id><published>2026-11-03T01:02:03Z</published>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>地震<em>速報</em>。</p></div></content></entry></feed>"""


class Site:
    """Pages by path; each answers conditional requests by the content."""

    def __init__(self):
        self.pages = {}
        self.status = {}
        self.server = LocalServer(self.reply)

    def reply(self, seen):
        if seen.path in self.status:
            return Reply(b"", self.status[seen.path])
        if seen.path not in self.pages:
            return Reply(b"", 404)
        body, kind = self.pages[seen.path]
        body = body.replace("{base}", self.server.url).encode() if isinstance(body, str) else body
        tag = f'"{hash(body)}"'
        if seen.headers.get("if-none-match") == tag:
            return Reply(b"", 304, {"ETag": tag})
        return Reply(body, headers={"Content-Type": kind, "ETag": tag})

    def link(self, path, **options):
        return Link(f"{self.server.url}{path}", allow_private=True, **options)

    def asked(self, path):
        return sum(seen.path == path for seen in self.server.seen)


@pytest.fixture
def site():
    made = Site()
    with made.server:
        yield made


@pytest.fixture
def kb(tmp_path):
    with KnowledgeBase.open(tmp_path / "kb") as base:
        yield base


def sitemap(*paths):
    return "<urlset>" + "".join(f"<url><loc>{{base}}{path}</loc></url>" for path in paths) + "</urlset>"


def test_one_page(site, kb):
    site.pages["/rules"] = ("<html lang=en><title>Rules</title><p>Gates close at nine.</p>", "text/html; charset=utf-8")
    url = f"{site.server.url}/rules"
    assert kb.sync([site.link("/rules")]).added == (url,)
    (document,) = kb.documents()
    assert (document.title, document.text) == ("Rules", "Gates close at nine.\n")
    assert document.metadata["link"] == url and document.metadata["language"] == "en"
    assert kb.sync([site.link("/rules#part")]).unchanged == (url,)
    site.pages["/rules"] = ("<title>Rules</title><p>Gates close at ten.</p>", "text/html")
    assert kb.sync([site.link("/rules")]).updated == (url,)
    for status in (404, 500):  # the page of a person who named it is never dropped in silence
        site.status["/rules"] = status
        report = kb.sync([site.link("/rules")])
        assert report.deleted == () and str(status) in report.failed[url]
    assert kb.search("gates close")


def test_without_allow_private_this_computer_is_not_asked(site, kb):
    report = kb.sync([f"{site.server.url}/rules"])
    assert "--allow-private" in report.failed[f"{site.server.url}/rules"] and not site.server.seen
    assert "web address" in kb.sync(["http://user:pw@a.example/"]).failed["http://user:pw@a.example/"]


@pytest.mark.parametrize(
    ("path", "kind", "body", "text"),
    [
        ("/a.json", "application/json", b'{"fine": "\\u7f70\\u9370"}', "fine: 罰鍰\n"),
        ("/a.txt", "text/plain; charset=big5", "主管核定".encode("big5"), "主管核定"),
        ("/a.csv", "application/octet-stream", b"a,b\n1,2\n", "| a: 1 | b: 2 |\n"),
        ("/feed-like", "text/html", b"<html><feedback>words</feedback></html>", "words\n"),
        ("/x", "", b"<!DOCTYPE html><p>sniffed", "sniffed\n"),
    ],
)
def test_formats_by_what_the_server_says(site, kb, path, kind, body, text):
    site.pages[path] = (body, kind)
    kb.sync([site.link(path)])
    assert [document.text for document in kb.documents()] == [text]


def test_a_picture_is_refused(site, kb):
    site.pages["/a.png"] = (b"\x89PNG", "image/png")
    assert "image/png" in next(iter(kb.sync([site.link("/a.png")]).failed.values()))


def test_a_sitemap_is_followed(site, kb):
    base = site.server.url
    site.pages |= {f"/{n}": (f"<title>{n}</title><p>page {n} of the site", "text/html") for n in ("a", "b", "c")}
    site.pages["/sitemap.xml"] = (sitemap("/a", "/b", "/c#x", "/a"), "application/xml")
    link = site.link("/sitemap.xml")
    assert kb.sync([link]).added == (f"{base}/a", f"{base}/b", f"{base}/c")
    site.status["/a"] = 500  # a failing page keeps its last version
    site.status["/b"] = 410  # a page that is gone goes
    report = kb.sync([link])
    assert report.deleted == (f"{base}/b",) and list(report.failed) == [f"{base}/a"]
    assert report.unchanged == (f"{base}/c",)
    site.status["/sitemap.xml"] = 404  # nothing goes when the sitemap itself cannot be read
    report = kb.sync([link])
    assert report.deleted == () and list(report.failed) == [f"{base}/sitemap.xml"]
    del site.status["/sitemap.xml"]
    site.pages["/sitemap.xml"] = ("<urlset><broken", "application/xml")
    assert kb.sync([link]).deleted == ()
    site.pages["/sitemap.xml"] = (sitemap("/c"), "application/xml")
    assert kb.sync([link]).deleted == (f"{base}/a",)
    assert [document.id for document in kb.documents()] == [f"{base}/c"]


def test_an_index_of_sitemaps_other_hosts_and_limits(site, kb):
    base = site.server.url
    site.pages |= {f"/{n}": (f"page {n}", "text/plain") for n in range(5)}
    site.pages["/one.xml.gz"] = (
        gzip.compress(sitemap("/0", "/1").replace("{base}", base).encode()),
        "application/gzip",
    )
    site.pages["/two.xml"] = (sitemap("/2", "/3", "/4") + "<!-- http://other.example/x -->", "text/xml")
    site.pages["/index.xml"] = (
        "<?xml version='1.0'?><!-- c --><sitemapindex xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>"
        "<sitemap><loc>{base}/one.xml.gz</loc></sitemap><sitemap><loc>{base}/two.xml</loc></sitemap></sitemapindex>",
        "text/xml",
    )
    assert len(kb.sync([site.link("/index.xml")]).added) == 5
    del site.pages["/two.xml"]
    report = kb.sync([site.link("/index.xml")])
    assert report.deleted == () and list(report.failed) == [f"{base}/two.xml"]
    site.pages["/two.xml"] = (
        sitemap("/2").replace("</urlset>", "<url><loc>http://other.example/x</loc></url></urlset>"),
        "text/xml",
    )
    report = kb.sync([site.link("/index.xml", pages=2)])
    assert report.deleted == () and "--max-pages" in report.failed[f"{base}/index.xml"]
    assert kb.sync([site.link("/index.xml")]).deleted == (f"{base}/3", f"{base}/4")


def test_robots_are_respected(site, kb):
    site.pages |= {"/open": ("open words", "text/plain"), "/closed/a": ("closed words", "text/plain")}
    site.pages["/robots.txt"] = ("User-agent: *\nDisallow: /closed/\nCrawl-delay: 0.01\n", "text/plain")
    site.pages["/sitemap.xml"] = (sitemap("/open", "/closed/a"), "text/xml")
    report = kb.sync([site.link("/sitemap.xml")])
    assert len(report.added) == 1 and "robots.txt" in report.failed[f"{site.server.url}/closed/a"]
    assert site.asked("/closed/a") == 0 and site.asked("/robots.txt") == 1
    site.status["/robots.txt"] = 503
    assert len(kb.sync([site.link("/sitemap.xml")]).failed) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "big5"])
def test_an_rss_feed(site, kb, encoding):
    base = site.server.url
    site.pages["/rss"] = (
        RSS.replace("{base}", base).replace("{encoding}", encoding).encode(encoding),
        "application/rss+xml",
    )
    report = kb.sync([site.link("/rss")])
    assert report.added == (f"{base}/news/1", f"{base}/news/2", f"{base}/rss#Untitled link")
    first, second, _ = kb.documents()
    assert first.text == "# 颱風 & 停班\n\n2026-11-03T10:00:00+08:00\n\n颱風明天登陸。\n\n- 停班\n"
    assert (first.title, first.metadata["published"]) == ("颱風 & 停班", "2026-11-03T10:00:00+08:00")
    assert first.metadata["link"] == f"{base}/news/1"
    assert second.metadata["published"] == "2026-11-02" and "便利商店 開幕。" in second.text
    # what has left the feed stays, also when the feed is empty or gone
    site.pages["/rss"] = (
        "<rss><channel><item><title>new</title><link>{base}/news/3</link></item></channel></rss>",
        "text/xml",
    )
    report = kb.sync([site.link("/rss")])
    assert report.added == (f"{base}/news/3",) and report.deleted == ()
    for body in ("<rss><channel></channel></rss>", "<rss><channel>"):
        site.pages["/rss"] = (body, "text/xml")
        assert kb.sync([site.link("/rss")]).deleted == () and len(kb.documents()) == 4


def test_an_atom_feed_and_following(site, kb):
    base = site.server.url
    site.pages["/atom"] = (ATOM, "application/atom+xml")
    site.pages["/entry/1"] = ("<title>Site title</title><p>The whole story of the earthquake.", "text/html")
    assert kb.sync([site.link("/atom")]).added == (f"{base}/entry/1",)
    (document,) = kb.documents()
    assert document.text == "# a b\n\n2026-11-03T01:02:03+00:00\n\n地震速報。\n" and site.asked("/entry/1") == 0
    assert kb.sync([site.link("/atom", follow=True)]).updated == (f"{base}/entry/1",)
    (document,) = kb.documents()
    assert document.text == "The whole story of the earthquake.\n" and document.title == "a b"
    assert document.metadata["published"] == "2026-11-03T01:02:03+00:00"
    site.status["/entry/1"] = 404
    report = kb.sync([site.link("/atom", follow=True)])
    assert report.deleted == () and list(report.failed) == [f"{base}/entry/1"]


def test_news_that_share_a_page_are_told_apart(site, kb):
    items = "".join(f"<item><title>n{n}</title><link>/all</link><guid>k{n}</guid></item>" for n in (1, 2))
    site.pages["/rss"] = (f"<rss><channel>{items}</channel></rss>", "text/xml")
    report = kb.sync([site.link("/rss"), site.link("/rss#again")])
    assert report.added == tuple(f"{site.server.url}/all#k{n}" for n in (1, 2))


def test_a_page_and_a_folder_live_side_by_side(site, kb, tmp_path):
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.md").write_text("a file")
    site.pages["/p"] = ("a page", "text/plain")
    roots = [tmp_path / "documents", site.link("/p")]
    assert len(kb.sync(roots).added) == 2
    (tmp_path / "documents" / "b.md").write_text("another file")
    (tmp_path / "documents" / "a.md").unlink()
    assert kb.sync(roots[:1]).deleted == ("a.md",)
    assert len(kb.documents()) == 2


@pytest.mark.parametrize(
    "data", [b"<rss><!DOCTYPE x [<!ENTITY a 'aaa'>]></rss>", b"<rss><item></rss>", b"\xff\xfe\x00<rss"]
)
def test_hostile_and_damaged_feeds(data):
    with pytest.raises(DataError, match="damaged"):
        feed.entries(data, "x")


def test_a_bare_ampersand_does_not_break_a_feed():
    (entry,) = feed.entries(b"<rss><item><title>R&D & more &eacute;</title></item></rss>", "x")
    assert entry.title == "R&D & more é"
    assert feed.kind_of(b"<html><rss>") is None and feed.kind_of(b"") is None
