"""DOCX, PPTX, XLSX made with the libraries that the extra brings; damaged, encrypted and hostile ones."""

import datetime
import io
import zipfile

import pytest

from groundtune.errors import DataError
from groundtune.knowledge.chunk import chunk_document
from groundtune.knowledge.numbering import written
from groundtune.knowledge.read import extract_text
from groundtune.types import Document

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def saved(document):
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


@pytest.fixture
def docx():
    return pytest.importorskip("docx")


def append(document, xml):
    from docx.oxml import parse_xml

    body = document.element.body
    body.insert(len(body) - 1, parse_xml(xml))


def test_docx_headings_lists_and_tables(docx):
    document = docx.Document()
    document.add_heading("溫室手冊", 0)
    document.add_heading("通風", 2)
    document.add_paragraph("每日通風兩小時。")
    for text in ("打開天窗", "打開側窗"):
        document.add_paragraph(text, style="List Number")
    document.add_paragraph("記錄溫度", style="List Bullet")
    table = document.add_table(3, 2)
    for row, cells in zip(table.rows, (("作物", "溫度"), ("草莓", "18度"), ("", "20度")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    found = extract_text(saved(document), "a.docx", ".docx")
    assert found.title == "溫室手冊"
    assert found.text == (
        "# 溫室手冊\n\n## 通風\n\n每日通風兩小時。\n\n1. 打開天窗\n2. 打開側窗\n- 記錄溫度\n\n"
        "| 作物: 草莓 | 溫度: 18度 |\n| 作物: 草莓 | 溫度: 20度 |\n"
    )


def test_docx_numbers_that_word_computes(docx):
    document = docx.Document()
    numbering = document.part.numbering_part.element
    from docx.oxml import parse_xml

    levels = "".join(
        f'<w:lvl w:ilvl="{n}"><w:start w:val="1"/><w:numFmt w:val="{f}"/><w:lvlText w:val="{t}"/></w:lvl>'
        for n, (f, t) in enumerate(
            (("taiwaneseCountingThousand", "第%1條"), ("decimal", "%1.%2"), ("lowerRoman", "(%3)"))
        )
    )
    numbering.insert(0, parse_xml(f'<w:abstractNum {W} w:abstractNumId="77">{levels}</w:abstractNum>'))
    numbering.append(parse_xml(f'<w:num {W} w:numId="77"><w:abstractNumId w:val="77"/></w:num>'))
    for level, text in ((0, "總則"), (1, "細目"), (2, "再細"), (0, "罰則"), (1, "金額")):
        append(
            document,
            f'<w:p {W}><w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="77"/></w:numPr></w:pPr>'
            f"<w:r><w:t>{text}</w:t></w:r></w:p>",
        )
    text = extract_text(saved(document), "a.docx", ".docx").text
    assert text == "第一條 總則\n  一.1 細目\n    (i) 再細\n第二條 罰則\n  二.1 金額\n"


@pytest.mark.parametrize(
    ("number", "style", "text"),
    [
        (10, "japaneseCounting", "十"), (21, "chineseCounting", "二十一"), (105, "ideographDigital", "一百零五"),
        (1010, "taiwaneseCounting", "一千零一十"), (28, "lowerLetter", "bb"), (1994, "upperRoman", "MCMXCIV"),
        (3, "ideographTraditional", "丙"), (2, "irohaFullWidth", "ロ"), (7, "decimalZero", "07"), (5, "unheardOf", "5"),
        (12, "ideographTraditional", "12"),
    ],
)  # fmt: skip
def test_number_formats(number, style, text):
    assert written(number, style) == text


def test_docx_insertions_notes_boxes_and_controls(docx):
    document = docx.Document()
    append(
        document,
        f'<w:p {W}><w:r><w:t>kept </w:t></w:r><w:ins w:id="1" w:author="x"><w:r><w:t>inserted</w:t></w:r></w:ins>'
        '<w:del w:id="2" w:author="x"><w:r><w:delText>deleted</w:delText></w:r></w:del>'
        '<w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:br/><w:t>next line</w:t></w:r></w:p>',
    )
    append(document, f"<w:sdt {W}><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent></w:sdt>")
    append(
        document,
        f"<w:p {W}><w:r><w:t>around</w:t></w:r><w:r><w:pict><w:txbxContent><w:p><w:r><w:t>in a box</w:t></w:r></w:p>"
        "</w:txbxContent></w:pict></w:r></w:p>",
    )
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part

    notes = (
        f'<w:footnotes {W}><w:footnote w:id="0" w:type="separator"><w:p><w:r><w:t>no</w:t></w:r></w:p></w:footnote>'
        '<w:footnote w:id="2"><w:p><w:r><w:t>the note</w:t></w:r></w:p></w:footnote></w:footnotes>'
    )
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    part = Part(PackURI("/word/footnotes.xml"), kind, notes.encode(), document.part.package)
    document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)
    text = extract_text(saved(document), "a.docx", ".docx").text
    assert text == "kept inserted[^2]\nnext line\n\nin a control\n\naround\n\nin a box\n\n[^2]: the note\n"


def test_pptx_slides_are_pages_with_notes():
    pptx = pytest.importorskip("pptx")
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text, first.placeholders[1].text = "病虫害", "アブラムシ\nナメクジ"
    first.placeholders[1].text_frame.paragraphs[1].level = 1
    first.notes_slide.notes_text_frame.text = "石鹸水は一パーセント"
    second = deck.slides.add_slide(deck.slide_layouts[6])
    box = second.shapes.add_group_shape().shapes.add_textbox(0, 0, 9, 9)
    box.text_frame.text = "Copper tape keeps slugs away."
    table = second.shapes.add_table(2, 2, 0, 0, 9, 9).table
    for place, text in (((0, 0), "Pest"), ((0, 1), "Cure"), ((1, 0), "Snail"), ((1, 1), "Hand")):
        table.cell(*place).text = text
    found = extract_text(saved(deck), "a.pptx", ".pptx")
    assert found.text == (
        "## 病虫害\n\n- アブラムシ\n  - ナメクジ\n\n石鹸水は一パーセント\n\f\nCopper tape keeps slugs away.\n\n"
        "| Pest: Snail | Cure: Hand |\n"
    )
    assert found.metadata["pages"] == 2 and found.title == ""
    chunks = chunk_document(Document("a", found.text, found.metadata))
    assert [(chunk.page, chunk.heading) for chunk in chunks] == [(1, "病虫害"), (2, "")]


def test_xlsx_shows_what_a_person_sees():
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "採收"
    sheet.append(["日期", "品項", "比率", "數量", "完成"])
    sheet.append([datetime.date(2026, 3, 1), "南瓜", 0.155, 12.0, True])
    sheet.append([datetime.datetime(2026, 3, 2, 9, 30), "茄子", 0.2, 1234567.25, None])
    sheet["C2"].number_format, sheet["C3"].number_format = "0.0%", "0%"
    sheet.append([None, "total", None, "=SUM(D2:D3)", None])
    hidden = book.create_sheet("draft")
    hidden.append(["secret", "draft"])
    hidden.sheet_state = "hidden"
    other = book.create_sheet("Plain")
    other.append([1, 2])
    found = extract_text(saved(book), "a.xlsx", ".xlsx")
    assert found.text == (
        "## 採收\n\n| 日期: 2026-03-01 | 品項: 南瓜 | 比率: 15.5% | 數量: 12 | 完成: TRUE |\n"
        "| 日期: 2026-03-02 09:30 | 品項: 茄子 | 比率: 20% | 數量: 1234567.25 |\n| 品項: total |\n\n## Plain\n\n| 1 | 2 |\n"
    )


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".xlsx"])
def test_office_files_that_cannot_be_read(suffix):
    pytest.importorskip({".docx": "docx", ".pptx": "pptx", ".xlsx": "openpyxl"}[suffix])
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("hello.txt", "not an office file")
    for data in (b"PK\x03\x04 broken", b"", b"text", other.getvalue(), other.getvalue()[:-30]):
        with pytest.raises(DataError, match="damaged"):
            extract_text(data, f"a{suffix}", suffix)
    with pytest.raises(DataError, match="password"):
        extract_text(b"\xd0\xcf\x11\xe0" + b"0" * 100, f"a{suffix}", suffix)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", b"0")
        archive.getinfo("a.xml").file_size = 3 * 1024**3
    with pytest.raises(DataError, match="too large"):
        extract_text(bomb.getvalue(), f"a{suffix}", suffix)
