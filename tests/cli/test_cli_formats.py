"""``ingest`` on a folder with a file of every kind, good and damaged, and on addresses; ``search`` finds each."""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import Cli
from local_server import LocalServer, Reply

from groundtune.config import load_config

for needed in ("pypdfium2", "docx", "pptx", "openpyxl"):
    pytest.importorskip(needed)


def word() -> bytes:
    import docx

    document = docx.Document()
    document.add_heading("溫室手冊", 0)
    document.add_heading("通風", 1)
    document.add_paragraph("天窗於清晨六點開啟。")
    return saved(document)


def slides() -> bytes:
    import pptx

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = "病虫害", "アブラムシは石鹸水で落とす"
    return saved(deck)


def sheet() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["日付", "品目"])
    book.active.append([datetime.date(2026, 3, 1), "かぼちゃ"])
    return saved(book)


def saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


def mail() -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"] = "収穫祭のお知らせ", "a@example.com"
    message.set_content("屋台は正午に開きます。", charset="iso-2022-jp")
    return bytes(message)


def packed() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("養蜂/規則.txt", "蜂箱每週檢查一次。".encode("big5"))
    return out.getvalue()


PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F1<</Type/Font"
    b"/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n4 0 obj<</Length 59>>stream\n"
    b"BT /F1 12 Tf 50 700 Td (The apiarist wears a veil.) Tj ET  \nendstream endobj\ntrailer<</Root 1 0 R>>\n"
)
# name -> content, words to search for in some language, where they stand
KINDS: dict[str, tuple[bytes, str, str]] = {
    "a.md": (b"# Garden\n\n## Watering\n\nTomatoes get rainwater daily.\n", "Do tomatoes get rainwater?", "a.md"),
    "b.txt": ("第一條　適用於溫室。\n第二條　鑰匙由園長保管。\n".encode("big5"), "鑰匙由誰保管", "b.txt"),
    "c.html": (
        "<html lang=ja><meta charset=shift_jis><p>堆肥は四十日間寝かせる。".encode("cp932"),
        "堆肥は何日",
        "c.html",
    ),
    "d.pdf": (PDF, "apiarist veil", "d.pdf"),
    "e.docx": (word(), "天窗幾點開啟", "e.docx"),
    "f.pptx": (slides(), "アブラムシの対策", "f.pptx"),
    "g.xlsx": (sheet(), "かぼちゃの日付", "g.xlsx"),
    "h.csv": ("工具,數量\n鐵鍬,12\n耙子,7\n".encode("utf-16"), "耙子數量", "h.csv"),
    "i.tsv": (b"item\tprice\nlantern\t9\nrope\t4\n", "price of the lantern", "i.tsv"),
    "j.json": (json.dumps([{"title": "Pump", "note": "needs quartz oil"}]).encode(), "quartz oil", "j.json"),
    "k.jsonl": ('{"問": "いつ施肥しますか", "答": "春分の日"}\n'.encode("euc_jp"), "施肥", "k.jsonl"),
    "l.eml": (mail(), "屋台は何時に開きますか", "l.eml"),
    "m.py": (b"# opens the valve\ndef open_valve(litres):\n    return litres\n", "open_valve", "m.py"),
    "n.zip": (packed(), "蜂箱多久檢查一次", "n.zip/養蜂/規則.txt"),
}
DAMAGED = {
    "x.pdf": b"%PDF-1.4 broken", "x.docx": b"PK\x03\x04 broken", "x.pptx": b"", "x.xlsx": b"PK", "x.zip": b"PK\x03\x04",
    "x.json": b'{"a": \n', "x.jsonl": b'{"a": 1}\n{\n', "x.eml": b"\x00\x01", "x.txt": bytes(range(256)) * 4, "x.md": b" \n",
    "x.html": b"<script>1</script>", "x.doc": b"\xd0\xcf\x11\xe0", "x.csv": b"\n\n", "locked.docx": b"\xd0\xcf\x11\xe0",
}  # fmt: skip


def test_every_kind_is_read_and_found(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project()
    for name, (data, _, _) in KINDS.items():
        (root / "documents" / name).write_bytes(data)
    report = groundtune.json("ingest", "-C", root)
    assert report["failed"] == {} and set(report["added"]) >= {where for _, _, where in KINDS.values()}
    for data, query, where in KINDS.values():
        hits = groundtune.json("search", query, "-C", root)["hits"]
        assert hits[0]["document_id"] == where, (query, len(data))


@pytest.mark.parametrize("language", ["en", "zh-TW", "ja"])
def test_damaged_files_are_named_with_their_reason(
    groundtune: Cli, make_project: Callable[..., Path], language: str
) -> None:
    root = make_project(language=language)
    for name, data in DAMAGED.items():
        (root / "documents" / name).write_bytes(data)
    result = groundtune.run("ingest", "-C", root, "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 1 and "Traceback" not in result.stderr
    assert set(report["failed"]) == set(DAMAGED) and report["added"] == ["leave.md", "parking.md"]
    assert all(name in reason for name, reason in report["failed"].items())
    said = groundtune.run("ingest", "-C", root).stdout
    assert all(reason in said for reason in report["failed"].values())


def test_addresses(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    root = make_project()
    feed = (
        "<rss><channel><item><title>Storm</title><link>/n/1</link><pubDate>Tue, 03 Nov 2026 10:00:00 GMT</pubDate>"
        "<description>The ferry stays in port.</description></item></channel></rss>"
    )
    with LocalServer([Reply(feed.encode(), headers={"Content-Type": "application/rss+xml"})]) as server:
        url = f"{server.url}/news"
        refused = groundtune.run("ingest", url, "-C", root)
        assert refused.exit_code == 1 and "--allow-private" in refused.stdout and not server.seen
        report = groundtune.json("ingest", url, "--allow-private", "-C", root)
        assert report["added"] == [f"{server.url}/n/1"] and report["failed"] == {}
        assert groundtune.json("search", "ferry", "-C", root)["hits"][0]["title"] == "Storm"
        # a configured address is brought in with the configured folders
        toml = root / "groundtune.toml"
        text = toml.read_text(encoding="utf-8")
        toml.write_text(text.replace("[models]", f'documents = ["documents", "{url}"]\n[models]'), encoding="utf-8")
        report = groundtune.json("ingest", "--allow-private", "-C", root)
        assert set(report["added"]) == {"leave.md", "parking.md"} and report["unchanged"] == [f"{server.url}/n/1"]
    report = groundtune.json("ingest", "--allow-private", "-C", root)  # the server is gone
    assert report["deleted"] == [] and list(report["failed"]) == [url]


def test_watching_an_address(
    groundtune: Cli, make_project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from groundtune.cli import ingest

    root, clock = make_project(), [0.0]

    def sleep(_: float) -> None:
        clock[0] += 200.0
        if clock[0] > 900:
            raise KeyboardInterrupt

    monkeypatch.setattr(ingest, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: clock[0]))
    news = "<rss><channel><item><title>{0}</title><link>/{0}</link></item></channel></rss>"
    replies = [Reply(news.format(n).encode(), headers={"Content-Type": "text/xml"}) for n in ("first", "second")]
    with LocalServer(replies) as server:
        result = groundtune.run("ingest", f"{server.url}/rss", "--watch", "--allow-private", "-C", root)
        assert len(server.seen) == 3  # at the start and after every 300 seconds
    assert result.exit_code == 130 and f"added  {server.url}/second" in result.stdout
    assert f"Watching {server.url}/rss" in result.stderr


def test_addresses_in_the_settings(make_project: Callable[..., Path]) -> None:
    root = make_project(toml="[retrieval]\nk = 3\n")
    config = load_config(root)
    config = replace(config, project=replace(config.project, documents=("documents", "https://example.com/feed")))
    assert config.roots == (root / "documents", "https://example.com/feed") and config.files == (root / "documents",)
