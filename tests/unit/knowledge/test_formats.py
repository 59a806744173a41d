"""Tables, JSON, source code, HTML, mail: what their text looks like."""

import json
import time
from email.message import EmailMessage

import pytest

from groundtune.errors import DataError
from groundtune.knowledge import mail
from groundtune.knowledge.html import html_to_markdown
from groundtune.knowledge.mail import read_mail
from groundtune.knowledge.plain import read_code, read_text
from groundtune.knowledge.read import extract_text, find_sources, to_document
from groundtune.knowledge.records import read_json, read_jsonl
from groundtune.knowledge.table import read_table, render


def test_a_row_carries_its_column_names():
    assert (
        render([["Item", "Price"], ["Bolt", "3"], ["", ""], ["Nut", ""]]) == "| Item: Bolt | Price: 3 |\n| Item: Nut |"
    )
    assert render([["", "2025", "2026"], ["Sales", 1, 2]], header=True) == "| Sales | 2025: 1 | 2026: 2 |"
    assert render([["a", "b"], ["1", "2", "more"]]) == "| a: 1 | b: 2 | more |"
    assert render([["line\nbreak", "x"], ["1", "2"]]) == "| line break: 1 | x: 2 |"


@pytest.mark.parametrize(
    "rows",
    [
        [["Bolt", "3"], ["Nut", "4"]],  # a number in the first row
        [["2026-01-02", "a"], ["2026-01-03", "b"]],
        [["same", "same"], ["a", "b"]],
        [["Only one row", "of text"]],
        [["a title over the table"], ["x", "y", "z"]],
    ],
)
def test_rows_without_names_stay_as_they_are(rows):
    assert render(rows) == "\n".join(f"| {' | '.join(row)} |" for row in rows)


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_delimiters_are_found(sign):
    text = sign.join(["品名", "單價", "備註"]) + "\n" + sign.join(["螺絲", "3", '"一, 二; 三"']) + "\n"
    found = read_table(text.encode("big5"), "a.csv").text
    assert found == "| 品名: 螺絲 | 單價: 3 | 備註: 一, 二; 三 |\n"


def test_csv_of_one_column_and_of_nothing():
    assert read_table(b"apple\npear\n", "a.csv").text == "| apple |\n| pear |\n"
    assert read_table(b"\n,\n", "a.csv").text == ""


def test_json():
    rows = [{"title": "罰則", "fine": {"max": 5, "paid": None}, "tags": ["a", "b"]}, {"x": [{"y": True}, {"y": "two"}]}]
    assert read_json(json.dumps(rows).encode(), "a.json").text == (
        "## 罰則\n\nfine.max: 5\ntags: a, b\n\nx.y: true\nx.y: two\n"
    )
    one = read_json('{"name": "Pump", "weight": 2.5}'.encode("utf-16"), "a.json")
    assert (one.title, one.text) == ("Pump", "## Pump\n\nweight: 2.5\n")
    assert read_jsonl(b'{"a": "x\\ny"}\n\n"plain"\n[1, 2]\n', "a.jsonl").text == "a: x\ny\n\nplain\n\n1, 2\n"
    assert read_json(b'{"a": 1}\n{"a": 2}\n', "a.json").text == "a: 1\n\na: 2\n"


@pytest.mark.parametrize(("data", "line"), [(b'{"a": 1}\n{"a": \n', 2), (b"[" * 100_000, 1)])
def test_broken_json_names_the_line(data, line):
    with pytest.raises(DataError) as caught:
        read_jsonl(data, "a.jsonl")
    assert caught.value.params["line"] == line and "a.jsonl" in str(caught.value)
    with pytest.raises(DataError):
        read_json(data, "a.json")


def test_lone_surrogates_and_zeros_do_not_reach_the_store(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"a": "x\\ud800y\\u0000z"}')
    (source,) = find_sources([tmp_path])
    document = to_document(source, source.path.read_bytes())
    assert document.text == "a: x\ufffdyz\n" and document.version


def test_front_matter_and_code():
    note = read_text(b"---\ntitle: 'Rules'\ndate: 2026-03-01\nother: x\n---\n# Heading\n", "a.md")
    assert (note.title, dict(note.metadata)) == ("Rules", {"published": "2026-03-01"})
    code = read_code("# -*- coding: big5 -*-\n# 註解\nx = 1\n".encode("big5"), "a.py")
    assert "# 註解" in code.text and code.metadata == {"format": "code"} and code.title == ""


PAGE = """<!DOCTYPE html><html lang="ja"><head><title>節水の お願い</title><style>p{}</style>
<meta property="article:published_time" content="2026-03-01T09:00:00+09:00"></head><body>
<header class="navbar"><a href="/">トップ</a> <a href="/a">会社</a></header>
<div id="sidebar"><ul><li><a>一</a><li><a>二</a></ul></div>
<article><header><h1>節水</h1></header><p>水は<ruby>漢<rt>かん</rt></ruby>字<b>です</b>。
<p>次の<br>行 &lt;&amp;&gt; <a href=x>リンク</a>
<ol start=3><li>甲<ul><li>甲一<li>甲二</ul><li>乙</ol>
<pre><code class="language-python">def f():
    return 1

x = 2</code></pre>
<table><tr><th>項目<th>額<tr><td rowspan=2>水<td>100<tr><td>200</table>
<div hidden>秘密</div></article><aside><a>広告</a></aside><footer>著作権</footer><script>x()</script></body></html>"""


def test_html_keeps_the_page_and_leaves_its_furniture():
    page = html_to_markdown(PAGE)
    assert page.title == "節水の お願い"
    assert page.metadata == {"language": "ja", "published": "2026-03-01T09:00:00+09:00"}
    assert page.text == (
        "# 節水\n\n水は漢字です。\n\n次の\n行 <&> リンク\n\n3. 甲\n  - 甲一\n  - 甲二\n4. 乙\n\n"
        "```python\ndef f():\n    return 1\n\nx = 2\n```\n\n| 項目: 水 | 額: 100 |\n| 項目: 水 | 額: 200 |\n"
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "<nav>a menu <p>that is never closed takes nothing away",
            "a menu\n\nthat is never closed takes nothing away\n",
        ),
        ("<head><title>t</title><p>a head that is never closed", "a head that is never closed\n"),
        ("bare < text & more", "bare < text & more\n"),
        ("<div>" * 3000 + "deep", "deep\n"),
        ("<table><tr><td><p>layout</p></td></tr></table>", "layout\n"),
        ("<p>one<p>two</b></div></p>three", "one\n\ntwo\n\nthree\n"),
        ("<script>if (a < b) document.write('<p>no</p>')</script>", ""),
        ("<ul class='menu'><li>Soup 3 euro<li>Stew 9 euro</ul>", "- Soup 3 euro\n- Stew 9 euro\n"),
        ("<footer>All that this page has to say stands here.</footer>", "All that this page has to say stands here.\n"),
    ],
)
def test_broken_and_odd_html(source, text):
    assert html_to_markdown(source).text == text


@pytest.mark.parametrize("part", ["<!--", "<a ", "<!", "<?", "</", "<", "<![CDATA["])
def test_html_that_never_ends_a_tag_takes_no_long(part):
    started = time.process_time()
    assert "kept" in html_to_markdown("<p>kept</p>" + part * 20_000).text
    assert time.process_time() - started < 5  # these took minutes


def test_parts_in_parts_in_parts_do_not_break_the_reader(monkeypatch):
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(60))
    assert extract_text(b"Subject: x\n" + nested + b"\ndeep", "a.eml", ".eml").text == "# x\n"

    def deeper(*_):
        return deeper()

    monkeypatch.setattr(mail, "read_mail", deeper)
    with pytest.raises(DataError, match=r"a\.eml is damaged"):
        extract_text(nested, "a.eml", ".eml")


def test_html_charset_of_the_server_goes_before_the_page():
    data = "<meta charset=shift_jis><p>主管應於三日內核定</p>".encode("big5")
    assert extract_text(data, "x", ".html", "big5").text == "主管應於三日內核定\n"


def letter(text="本文は、三月に届きます。", charset="iso-2022-jp"):
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = "収穫祭のお知らせ", "園長 <a@example.com>", "b@example.com"
    made["Date"] = "Tue, 03 Nov 2026 10:00:00 +0900"
    made.set_content(text, charset=charset)
    return made


def test_mail_of_many_parts():
    post = letter()
    post.add_alternative("<h2>見出し</h2><table><tr><th>a<th>b<tr><td>1<td>2</table>", subtype="html")
    post.add_attachment("品名,數量\n鐵鍬,12\n".encode("big5"), maintype="text", subtype="csv", filename="工具.csv")
    post.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="logo.png")
    inner = letter("轉寄的內容", "big5")
    post.add_attachment(inner)
    found = extract_text(bytes(post), "a.eml", ".eml")
    assert found.title == "収穫祭のお知らせ"
    assert found.metadata == {"published": "2026-11-03T10:00:00+09:00", "from": "園長 <a@example.com>"}
    assert found.text == (
        "# 収穫祭のお知らせ\n\nFrom: 園長 <a@example.com>\nTo: b@example.com\nDate: 2026-11-03T10:00:00+09:00\n\n"
        "## 見出し\n\n| a: 1 | b: 2 |\n\n## 工具.csv\n\n| 品名: 鐵鍬 | 數量: 12 |\n\n"
        "## 収穫祭のお知らせ\n\n轉寄的內容\n"
    )


@pytest.mark.parametrize("charset", ["utf-8", "iso-2022-jp", "shift_jis", "euc-jp"])
def test_mail_bodies_in_japanese(charset):
    assert "本文は、三月に届きます。" in read_mail(bytes(letter(charset=charset)), "a.eml").text


def test_mail_with_wrong_headers():
    raw = "Subject: 請假通知\r\nContent-Type: text/plain\r\n\r\n員工請假應於三日前申請。\r\n".encode("big5")
    found = read_mail(raw, "a.eml")
    assert found.title == "請假通知" and found.text.endswith("員工請假應於三日前申請。\n")
    quoted = (
        b"Subject: =?big5?B?"
        + b"!!"
        + b"?=\nContent-Transfer-Encoding: quoted-printable\nContent-Type: text/plain; charset=none\n\nna=EFve=\n text"
    )
    assert read_mail(quoted, "a.eml").text.endswith("naïve text\n")
    with pytest.raises(DataError, match="damaged"):
        read_mail(b"\x00\x01 no mail at all", "a.eml")
