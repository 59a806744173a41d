"""One search term for what is written in several ways; shown text is never touched."""

import pytest

from groundtune.knowledge.base import KnowledgeBase
from groundtune.text.tokenise import index_terms
from groundtune.text.variants import number, numbers, one_glyph
from groundtune.types import Document


@pytest.mark.parametrize(
    ("text", "value"),
    [("三千", 3000), ("二〇二六", 2026), ("1万5千", 15000), ("三百二十", 320), ("十", 10), ("一億二千万", 120_000_000), ("年", None)],
)  # fmt: skip
def test_numbers_in_han_numerals(text, value):
    assert number(text) == value


def test_only_numbers_count_as_numbers():
    assert numbers("罰鍰三千元、第四十八條、二〇二六年、3萬元") == ["3000", "48", "2026", "30000"]
    assert numbers("一般的に千葉で十人十色") == []


def test_glyph_variants_keep_their_length():
    assert one_glyph("説明と内容") == "說明と內容"
    assert one_glyph("plain") == "plain"


SAME = [
    ("ＡＢＣ１２３", "abc123"), ("臺北", "台北"), ("説明書", "說明書"), ("内容", "內容"), ("罰鍰三千元", "罰鍰3,000元"), ("第四十八條", "第48條"),
    ("ﾊﾟｿｺﾝ", "パソコン"), ("running fees", "run fee"), ("Beyoncé", "beyonce"), ("U.S. law", "us law"), ("５％", "5 percent"),
    ("１万５千円", "15000円"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "asked"), SAME)
def test_one_finds_the_other_both_ways(tmp_path, written, asked):
    for stored, query in ((written, asked), (asked, written)):
        with KnowledgeBase.open(tmp_path / stored) as kb:
            kb.add([Document("x", f"{stored}。"), Document("y", "別の話 something else 其他")])
            hits = kb.search(query, 1)
            assert [hit.chunk.document_id for hit in hits] == ["x"]
            assert hits[0].chunk.text == f"{stored}。", "shown text is untouched"


def test_terms_hold_no_spaces():
    assert all(" " not in term for term in index_terms("a\u3000b 罰 鍰\n三千元 \u00a0x"))
