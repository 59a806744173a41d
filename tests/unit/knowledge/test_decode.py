"""Encodings: long and short texts, declared and wrong declarations, a few broken characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import DataError
from groundtune.knowledge.decode import declared_charset, decode, decoded

LONG = {
    "zh": "# 請假規定\n\n員工請病假者，應於當日上午九時前通知主管，並於三日內補交證明文件。特別休假未休完之日數，發給工資。\n",
    "ja": "# 休暇規程\n\n年次有給休暇は、入社後6か月を経過した社員に12日を付与する。申請は3営業日前までに行う。\n",
    "cn": "# 请假规定\n\n员工请病假的，应当在当日上午九时前通知主管，并于三日内补交证明文件。未休完的年假，发给工资。\n",
    "fr": "# Congés\n\nLes employés à temps plein ont droit à vingt-sept jours de congés payés – c’est la règle.\n",
    "ko": "# 휴가 규정\n\n직원은 매년 열두 날의 유급 휴가를 받으며, 신청은 사흘 전까지 한다.\n",
}
SHORT = {
    "zh": (
        "請假規定",
        "主管應於三日內核定。",
        "發票",
        "密碼錯誤",
        "電話：02-2345-6789",
        "姓名,電話\n陳大文,0912345678",
        "廠商報價單",
    ),
    "ja": (
        "有給休暇",
        "申請は三日前までに行う。",
        "山田太郎",
        "領収書",
        "電話：03-1234-5678",
        "氏名,電話\n佐藤花子,090",
        "見積書（控）",
    ),
    "cn": (
        "请假规定",
        "主管应于三日内核定。",
        "发票",
        "密码错误",
        "电话：010-2345-6789",
        "姓名,电话\n陈大文,139",
        "供应商报价单",
    ),
    "fr": (
        "Les congés payés",
        "Où est le café ?",
        "Déjà vu – à la carte",
        "the pure—plain words",
        "café",
        "3 × 4 = 12",
    ),
    "ko": ("연차 휴가 규정", "비밀번호 오류"),
}
ENCODINGS = {
    "zh": ("big5", "cp950"), "ja": ("shift_jis", "cp932", "euc_jp", "iso2022_jp"), "cn": ("gb18030", "gb2312"),
    "fr": ("cp1252",), "ko": ("euc_kr",),
}  # fmt: skip
UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
MATRIX = [(text, e) for lang, text in LONG.items() for e in (*ENCODINGS[lang], *UNICODE, "utf-16-le", "utf-16-be")]
MATRIX = [(text, e) for text, e in MATRIX if not (e.startswith("utf-16-") and text == LONG["ko"])]
MATRIX += [(text, e) for lang, texts in SHORT.items() for text in texts for e in (*ENCODINGS[lang], *UNICODE)]
MATRIX += [(LONG["zh"], "gb18030")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("text", "encoding"), MATRIX)
def test_every_encoding_is_found(text, encoding, end):
    assert decode(text.replace("\n", end).encode(encoding), "x") == text


@pytest.mark.parametrize(
    ("said", "encoding", "text"),
    [
        ("big5", "cp950", LONG["zh"]), ("Shift_JIS", "cp932", "①㈱" + LONG["ja"]), ("gb2312", "gb18030", "镕" + LONG["cn"]),
        ("iso-8859-1", "big5", LONG["zh"]), ("iso-8859-1", "cp1252", LONG["fr"]), ("no-such-thing", "utf-8", LONG["ja"]),
        ("euc-jp", "utf-8", LONG["zh"]), ("utf-8", "big5", LONG["zh"]), ("utf-16", "utf-8", LONG["fr"]),
        ("hex", "utf-8", "6162"), ("", "utf-8", ""),
    ],
)  # fmt: skip
def test_what_a_file_says_of_itself_is_a_hint(said, encoding, text):
    assert decode(text.encode(encoding), "x", declared=said) == text


def test_the_declaration_is_found():
    assert declared_charset(b'<meta http-equiv="Content-Type" content="text/html; charset=Big5">') == "big5"
    assert declared_charset(b"<?xml version='1.0' encoding='Shift_JIS'?>") == "shift_jis"
    assert declared_charset(b"<meta charset=nonsense>") == declared_charset(b"<p>") == ""


@pytest.mark.parametrize(
    ("lang", "encoding"), [("zh", "big5"), ("ja", "shift_jis"), ("ja", "euc_jp"), ("cn", "gb18030")]
)
def test_a_long_file_may_hold_a_broken_character(lang, encoding):
    half = (LONG[lang] * 20).encode(encoding)
    text = decoded(half + b"\x85\n" + half)  # the first half of a character
    assert text is not None and text.startswith(LONG[lang]) and text.endswith(LONG[lang]) and "\ufffd" in text
    cut = decoded((LONG[lang] * 40 + "規").encode("utf-8")[:-1])
    assert cut is not None and cut.endswith("\n\ufffd") and cut.startswith(LONG[lang])


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 4, b"\x00\x01\x02\xff" * 1000, b"\xff\xfe\x00", b"\x89PNG\r\n\x1a\n\x00\x00"]
)
def test_bytes_that_are_no_text_are_refused(data):
    with pytest.raises(DataError, match="UTF-8"):
        decode(data, "blob.txt")


@given(st.text().filter(str.isprintable))
def test_utf8_always_comes_back(text):
    text = text.lstrip("\ufeff")
    assert decode(text.encode("utf-8"), "x") == text


@given(st.binary(max_size=300))
def test_any_bytes_give_text_or_nothing(data):
    assert isinstance(decoded(data), str | None)
