import email.utils
import re
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import groundtune
from groundtune.errors import ModelUnreachable
from groundtune.models import http


def test_retry_after_forms() -> None:
    assert http.retry_after({"Retry-After": "3"}) == 3
    assert http.retry_after({"retry-after-ms": "250"}) == 0.25
    assert http.retry_after({}) is None
    assert http.retry_after({"Retry-After": "soon"}) is None
    later = http.retry_after({"Retry-After": email.utils.formatdate(time.time() + 30, usegmt=True)})
    assert later is not None
    assert 25 < later <= 31
    assert http.retry_after({"Retry-After": email.utils.formatdate(0, usegmt=True)}) == 0


@given(retries=st.integers(0, 6), fails=st.integers(0, 8))
def test_tries(retries: int, fails: int) -> None:
    tried, waited = [], []

    def attempt() -> str:
        tried.append(1)
        if len(tried) <= fails:
            raise http.Transient(ModelUnreachable("models.rate_limited", where="x", tries=1))
        return "ok"

    if fails > retries:
        with pytest.raises(ModelUnreachable):
            http.with_retries(attempt, retries=retries, sleep=waited.append)
    else:
        assert http.with_retries(attempt, retries=retries, sleep=waited.append) == "ok"
    assert len(tried) == min(fails, retries) + 1
    assert len(waited) == len(tried) - 1
    assert all(0.75 * min(20, 0.5 * 2**n) <= wait <= 1.25 * min(20, 0.5 * 2**n) for n, wait in enumerate(waited))


@given(st.text(max_size=80), st.text("abcdef0123456789-", min_size=6, max_size=20), st.text(max_size=80))
def test_clean_hides_secrets(before: str, secret: str, after: str) -> None:
    shown = http.clean(before + secret + after, secret)
    assert secret not in shown
    assert len(shown) <= 240
    assert "\n" not in shown


def test_local_addresses() -> None:
    local = ["http://localhost:1", "http://127.0.0.1/v1", "http://127.9.9.9", "http://[::1]:8", "http://a.localhost"]
    assert all(http.is_local(url) for url in local)
    assert not any(
        http.is_local(url) for url in ("http://127.example.com", "https://api.openai.com", "http://10.0.0.1")
    )


def test_the_three_languages_have_the_same_sentences_and_places() -> None:
    folder = Path(groundtune.__file__).parent / "locales"

    def places(lang: str) -> dict[str, set[str]]:
        table = tomllib.loads((folder / f"models.{lang}.toml").read_text(encoding="utf-8"))["models"]
        flat = {f"{k}.{j}": v for k, sub in table.items() if isinstance(sub, dict) for j, v in sub.items()}
        flat |= {k: v for k, v in table.items() if isinstance(v, str)}
        return {key: set(re.findall(r"{(\w+)}", text)) for key, text in flat.items()}

    english = places("en")
    for lang in ("zh-TW", "ja"):
        other = places(lang)
        assert set(other) == set(english)
        wrong = {key for key in english if other[key] != english[key]}
        assert not wrong
