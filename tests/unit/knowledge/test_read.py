"""Files to documents: encodings, formats, damaged files."""

import builtins
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import DataError, MissingExtra
from groundtune.knowledge.decode import decode
from groundtune.knowledge.office import unwrap
from groundtune.knowledge.read import find_sources, to_document

CHINESE = (
    "# 請假規定\n\n員工請病假者，應於當日上午九時前通知主管，並於三日內補交證明文件。特別休假未休完之日數，發給工資。\n"
)
JAPANESE = "# 休暇規程\n\n年次有給休暇は、入社後6か月を経過した社員に12日を付与する。申請は3営業日前までに行う。\n"
WESTERN = "# Congés\n\nLes employés à temps plein ont droit à vingt-sept jours de congés payés – c’est la règle.\n"


def read(path):
    (source,) = find_sources([path])
    return to_document(source, path.read_bytes())


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "big5"), (CHINESE, "cp950"), (JAPANESE, "shift_jis"), (JAPANESE, "cp932"), (JAPANESE, "euc_jp"),
        (WESTERN, "cp1252"), (CHINESE, "gb18030"),
        *((text, e) for text in (CHINESE, JAPANESE, WESTERN) for e in ("utf-8", "utf-8-sig", "utf-16")),
        (WESTERN, "utf-16-le"), (CHINESE, "utf-16-le"), (JAPANESE, "utf-16-be"),
    ],
)  # fmt: skip
def test_encodings(text, encoding, tmp_path):
    path = tmp_path / "rules.md"
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    document = read(path)
    assert document.text == text
    assert document.title == text.split("\n")[0][2:]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("主管應於三日內核定。", "big5"),
        ("有給休暇", "shift_jis"),
        ("申請は三日前までに行う。", "euc_jp"),
    ],
)
def test_short_texts(text, encoding):
    assert decode(text.encode(encoding), "x") == text


@given(st.text())
def test_utf8_always_comes_back(text):
    text = text.replace("\r", "").replace("\0", "").lstrip("\ufeff")
    assert decode(text.encode("utf-8", "surrogatepass"), "x") == text if text.isprintable() else True


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(DataError, match="UTF-8"):
        decode(bytes(range(256)) * 4, "blob.txt")


def test_ids_titles_and_what_is_left_out(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "sub" / "b.md").write_text("no heading", encoding="utf-8")
    (tmp_path / "a.TXT").write_text("text", encoding="utf-8")
    (tmp_path / ".hidden" / "c.md").write_text("x", encoding="utf-8")
    (tmp_path / "image.png").write_bytes(b"\x89PNG")
    sources = find_sources([tmp_path])
    assert [source.id for source in sources] == ["a.TXT", "sub/b.md"]
    assert to_document(sources[1], b"no heading").title == "b"
    assert find_sources([tmp_path / "sub" / "b.md"])[0].id == "b.md"


def test_paths_that_cannot_be_used(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        find_sources([tmp_path / "missing"])
    with pytest.raises(DataError, match="no readable document"):
        find_sources([tmp_path])
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same.md").write_text(name)
    with pytest.raises(DataError, match="same document"):
        find_sources([tmp_path / "one", tmp_path / "two"])


def test_html(tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes(
        "<html><head><meta charset=big5><title>請假 規定</title><style>p{}</style></head><body><nav>menu</nav>"
        "<h2>第1條</h2><p>員工<b>每年</b>有<br>十二天。</p><ul><li>甲</li><li>乙</li></ul>"
        "<table><tr><th>項目</th><td>3 &lt; 4</td></tr></table><script>x()</script></body>".encode("big5")
    )
    document = read(path)
    assert document.title == "請假 規定"
    assert document.text == "## 第1條\n\n員工每年有\n十二天。\n\n- 甲\n- 乙\n\n| 項目 | 3 < 4 |\n"


def test_json_escapes_become_words(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"fine": "罰鍰"}), encoding="ascii")
    assert "罰鍰" in read(path).text
    lines = tmp_path / "a.jsonl"
    lines.write_text(json.dumps({"a": "休暇"}) + "\n" + json.dumps({"b": 1}) + "\n", encoding="ascii")
    assert read(lines).text == '{"a": "休暇"}\n{"b": 1}\n'
    broken = tmp_path / "b.json"
    broken.write_text('{"a": "\\u7f70', encoding="ascii")
    assert read(broken).text == '{"a": "\\u7f70'


def test_csv_stays_as_it_is(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("# item,price\nbolt,3\n", encoding="utf-8")
    assert read(path).text == "# item,price\nbolt,3\n" and read(path).title == "prices"


@pytest.mark.parametrize(("name", "content"), [("a.md", b" \n\t\n"), ("a.html", b"<script>only()</script>")])
def test_no_text(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="contains no text"):
        read(tmp_path / name)


def pdf(*lines):
    """A PDF of one page, written by hand."""
    content = b"BT /F1 12 Tf 50 700 Td 14 TL " + b"".join(b"(%s) Tj T* " % line for line in lines) + b"ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]  # fmt: skip
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, 2)
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(b"%d 0 obj%sendobj\n" % (number, body))
    table = out.tell()
    out.write(b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % table)
    return out.getvalue()


def test_pdf_text_and_its_failures(tmp_path):
    pytest.importorskip("pypdfium2")
    path = tmp_path / "rules.pdf"
    path.write_bytes(pdf(b"Staff get 27 days of paid annual leave in every", b"full year of service.", b"Next line."))
    assert "annual leave in every full year of service." in read(path).text
    path.write_bytes(pdf())
    with pytest.raises(DataError, match="OCR"):
        read(path)
    path.write_bytes(b"%PDF-1.4 broken")
    with pytest.raises(DataError, match="damaged"):
        read(path)


def test_docx_text_and_its_failures(tmp_path):
    docx = pytest.importorskip("docx")
    document = docx.Document()
    document.add_heading("Leave policy", 0)
    document.add_heading("Annual leave", 2)
    document.add_paragraph("27 days.")
    table = document.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Item", "Price"
    path = tmp_path / "policy.docx"
    document.save(path)
    assert read(path).text == "# Leave policy\n\n## Annual leave\n\n27 days.\n\n| Item | Price |\n"
    assert read(path).title == "Leave policy"
    path.write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(DataError, match="damaged"):
        read(path)
    path.write_bytes(b"\xd0\xcf\x11\xe0" + b"0" * 100)
    with pytest.raises(DataError, match="password"):
        read(path)


@pytest.mark.parametrize(("name", "package"), [("a.pdf", "pypdfium2"), ("a.docx", "docx")])
def test_a_missing_parser_names_its_extra(name, package, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(module, *args, **kwargs):
        if module.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(MissingExtra, match=r"groundtune\[docs\]"):
        read(tmp_path / name)


def test_lines_broken_by_the_page_are_joined():
    text = "Employees who work shifts receive an allow-\nance of 12 euros for each shift that ends after\nmidnight.\n\n第一條規定員工每年有十二天特別休\n假並得保留至次年。\n- item"
    assert unwrap(text).split("\n")[0].startswith("Employees who work shifts receive an allowance of 12 euros")
    assert "- item" in unwrap(text).split("\n")
