import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.tuning.private import Redactor, luhn, my_number, redact, scan, taiwan_id
from groundtune.types import Example, Message


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("寄到jo.wu+x@example.com.tw謝謝", "email", "jo.wu+x@example.com.tw"),
        ("手機0912-345-678，謝謝", "phone", "0912-345-678"),
        ("手機0912345678", "phone", "0912345678"),
        ("市話(02) 2345-6789分機3", "phone", "(02) 2345-6789"),
        ("電話02-23456789", "phone", "02-23456789"),
        ("連絡先は090-1234-5678です", "phone", "090-1234-5678"),
        ("電話：０９０－１２３４－５６７８", "phone", "０９０－１２３４－５６７８"),
        ("大阪06-6123-4567まで", "phone", "06-6123-4567"),
        ("フリーダイヤル0120-123-456へ", "phone", "0120-123-456"),
        ("call +886 2 2345 6789 now", "phone", "+886 2 2345 6789"),
        ("+81-90-1234-5678", "phone", "+81-90-1234-5678"),
        ("call (555) 123-4567", "phone", "(555) 123-4567"),
        ("身分證A123456789，", "taiwan_id", "A123456789"),
        ("マイナンバーは1234 5678 9018です", "my_number", "1234 5678 9018"),
        ("卡號4111 1111 1111 1111。", "credit_card", "4111 1111 1111 1111"),
        ("金鑰sk-proj-abcdefghij1234567890。", "api_key", "sk-proj-abcdefghij1234567890"),
        ("ghp_" + "a1B2" * 9, "api_key", "ghp_" + "a1B2" * 9),
        ("AKIAIOSFODNN7EXAMPLE in the log", "api_key", "AKIAIOSFODNN7EXAMPLE"),
        ("x -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- y", "private_key",
         "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----"),
    ],
)  # fmt: skip
def test_found_in_three_languages(text, kind, value):
    assert [(hit.kind, hit.text) for hit in scan(text)] == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "A123456788", "4111 1111 1111 1112", "1234 5678 9012", "2026-11-27", "民國114年01月02日", "1,234,567,890元",
        "order 20261127-0001", "第123-456-789號", "version 1.2.3.4", "0.1234567890", "sk-short", "user@localhost",
        "12:30-13:30", "ISBN 978-4-06-519981-7", "000000000000",
    ],
)  # fmt: skip
def test_numbers_that_are_nothing_private(text):
    assert scan(text) == []


def test_check_digits():
    assert luhn("5500-0000-0000-0004") and not luhn("5500-0000-0000-0005") and not luhn("0000000000000000")
    assert taiwan_id("A123456789") and not taiwan_id("A223456789") and not taiwan_id("1123456789")
    assert my_number("123456789018") and not my_number("123456789019")


@given(st.integers(0, 10**11 - 1))
def test_exactly_one_check_digit_fits_a_my_number(body):
    stem = f"{body:011d}"
    fitting = [digit for digit in range(10) if my_number(f"{stem}{digit}")]
    assert len(fitting) <= 1 and (fitting or len(set(stem)) == 1)


@given(st.text(max_size=200))
def test_redacted_text_holds_nothing_private(text):
    assert scan(redact(text)) == []


def test_who_is_who_stays_readable():
    text = "jo@example.org wrote to ann@example.org; jo@example.org waits at 03-1234-5678."
    assert redact(text) == "[EMAIL] wrote to [EMAIL_2]; [EMAIL] waits at [PHONE]."
    turns = (Message("user", "I am jo@example.org"), Message("assistant", "Hello jo@example.org"))
    redactor = Redactor()
    assert redactor.example(Example(turns)).target == "Hello [EMAIL]"
    other = (Message("user", "I am sue@example.org"), Message("assistant", "ok"))
    assert redactor.example(Example(other)).input == "I am [EMAIL]"
