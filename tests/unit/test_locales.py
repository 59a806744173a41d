"""Every sentence exists in all languages, takes the same parameters, and is written in the right script."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path

import pytest

import groundtune
from groundtune.messages import LANGUAGES, catalogue

FOLDER = Path(groundtune.__file__).parent / "locales"
ROOMS = sorted({path.name.split(".")[0] for path in FOLDER.glob("*.toml")})
KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")


HAN = re.compile("[\u4e00-\u9fff]")


def simplified(text: str) -> set[str]:
    """Han characters that mainland China's GB 2312 has and Taiwan's Big5 has not."""
    return {c for c in HAN.findall(text) if _encodes(c, "gb2312") and not _encodes(c, "big5")}


def _encodes(character: str, codec: str) -> bool:
    try:
        return bool(character.encode(codec))
    except UnicodeEncodeError:
        return False


def table(room: str, lang: str) -> dict[str, str]:
    found: dict[str, str] = {}

    def walk(node: dict[str, object], prefix: str) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            else:
                assert isinstance(value, str), f"{prefix}{key} is not a text"
                found[prefix + key] = value

    walk(tomllib.loads((FOLDER / f"{room}.{lang}.toml").read_text(encoding="utf-8")), "")
    return found


def fields(text: str) -> set[str]:
    """Names of the parameters; a broken brace raises ValueError."""
    return {re.split(r"[.\[]", name)[0] for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("room", ROOMS)
def test_all_languages_have_the_same_sentences(room: str) -> None:
    english = set(table(room, "en"))
    for lang in LANGUAGES[1:]:
        other = set(table(room, lang))
        assert other == english, f"{room}.{lang}: missing {sorted(english - other)}, too many {sorted(other - english)}"


@pytest.mark.parametrize("room", ROOMS)
def test_sentences_take_the_same_parameters_in_all_languages(room: str) -> None:
    english = table(room, "en")
    for lang in LANGUAGES[1:]:
        other = table(room, lang)
        wrong = {
            k: (fields(english[k]), fields(v))
            for k, v in other.items()
            if k in english and fields(v) != fields(english[k])
        }
        assert not wrong, f"{room}.{lang}: {wrong}"


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_file_stays_in_its_room_and_says_something(room: str, lang: str) -> None:
    for key, text in table(room, lang).items():
        assert key.startswith(f"{room}."), f"{room}.{lang}: {key} is outside of [{room}]"
        assert text.strip(), f"{room}.{lang}: {key} is empty"


@pytest.mark.parametrize("room", ROOMS)
def test_chinese_is_traditional(room: str) -> None:
    for key, text in table(room, "zh-TW").items():
        found = simplified(text)
        assert not found, f"{room}.zh-TW {key}: simplified {''.join(sorted(found))} in {text}"
        assert not KANA.search(text), f"{room}.zh-TW {key} holds kana: {text}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_sentence_is_translated(room: str) -> None:
    """Longer sentences must not stand in English in another language's file."""
    english = table(room, "en")
    for lang in LANGUAGES[1:]:
        same = [
            k for k, v in table(room, lang).items() if v == english.get(k) and len(re.findall(r"[A-Za-z]{2,}", v)) > 4
        ]
        assert not same, f"{room}.{lang}: not translated {same}"


def test_the_catalogue_holds_every_file() -> None:
    for lang in LANGUAGES:
        expected = {key for room in ROOMS for key in table(room, lang)}
        assert expected <= set(catalogue(lang))


def test_the_traditional_check_can_fail() -> None:
    assert simplified("这个问题没有数据，说明温度") >= set("这个问题没数说温")
    assert not simplified("這個問題沒有資料，請向後台確認里程與溫度範圍內的設定，著手處理")
