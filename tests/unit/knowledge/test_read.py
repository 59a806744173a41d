"""Files to documents: which files, PDF, what cannot be read."""

import builtins
import io

import pytest

from groundtune.errors import DataError, MissingExtra
from groundtune.knowledge.chunk import chunk_document
from groundtune.knowledge.pdf import unwrap, without_furniture
from groundtune.knowledge.read import find_sources, to_document


def read(path):
    (source,) = find_sources([path])
    return to_document(source, path.read_bytes())


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


@pytest.mark.parametrize(("name", "content"), [("a.md", b" \n\t\n"), ("a.html", b"<script>only()</script>")])
def test_no_text(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="contains no text"):
        read(tmp_path / name)


def pdf(*pages, encrypted=False):
    """A PDF written by hand; each page is a list of lines."""
    pages = pages or ((),)
    count = len(pages)
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(count)).encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]  # fmt: skip
    for number, lines in enumerate(pages):
        content = b"BT /F1 12 Tf 50 700 Td 14 TL " + b"".join(b"(%s) Tj T* " % line for line in lines) + b"ET"
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R/Resources<</Font<</F1 3 0 R>>>>>>"
            % (5 + 2 * number)
        )
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(content), content))
    key = b"0123456789abcdef0123456789abcdef"
    lock = b"<</Filter/Standard/V 2/R 3/Length 128/P -1/O(%s)/U(%s)>>" % (key, key)
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, 2)
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(b"%d 0 obj%sendobj\n" % (number, body))
    table = out.tell()
    size = len(objects) + 1
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % size + b"".join(b"%010d 00000 n \n" % place for place in places))
    extra = b"/Encrypt %s/ID[(a)(a)]" % lock if encrypted else b""
    out.write(b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (size, extra, table))
    return out.getvalue()


def test_pdf_text_and_its_failures(tmp_path):
    pytest.importorskip("pypdfium2")
    path = tmp_path / "rules.pdf"
    path.write_bytes(pdf([b"Staff get 27 days of paid annual leave in every", b"full year of service.", b"Next line."]))
    assert "annual leave in every full year of service." in read(path).text
    path.write_bytes(pdf((), (), ()))
    with pytest.raises(DataError, match=r"rules\.pdf has 3 page.*OCR"):
        read(path)
    path.write_bytes(pdf([b"secret"], encrypted=True))
    with pytest.raises(DataError, match="password"):
        read(path)
    for broken in (b"%PDF-1.4 broken", b"", b"no pdf at all", pdf([b"x"])[:200]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="damaged"):
            read(path)


def test_pdf_pages_reach_the_chunks(tmp_path):
    pytest.importorskip("pypdfium2")
    path = tmp_path / "long.pdf"
    words = b"Words that fill the page until it is full of them, line after line."
    pages = [[b"Handbook 2026", *[words] * 12, b"- %d -" % number] for number in range(1, 6)]
    pages[2] = []
    path.write_bytes(pdf(*pages))
    document = read(path)
    assert document.metadata["pages"] == 5 and document.metadata["pages_without_text"] == 1
    assert "Handbook" not in document.text and "- 4 -" not in document.text  # running titles and page numbers
    found = [chunk.page for chunk in chunk_document(document)]
    assert found == sorted(found) and found[0] == 1 and found[-1] >= 4
    assert without_furniture(["a\nb", "a\nc"]) == ["a\nb", "a\nc"]  # too few pages to tell


def test_old_office_files_are_named(tmp_path):
    (tmp_path / "old.doc").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "a.md").write_text("text")
    source, old = find_sources([tmp_path])
    with pytest.raises(DataError, match=r"old\.doc .*old Office"):
        to_document(old, b"\xd0\xcf\x11\xe0")
    assert source.id == "a.md"


@pytest.mark.parametrize(
    ("name", "package"), [("a.pdf", "pypdfium2"), ("a.docx", "docx"), ("a.pptx", "pptx"), ("a.xlsx", "openpyxl")]
)
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
