"""``--help`` of every verb, in three languages, with every option explained."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest
from command_line import Cli

from groundtune import messages
from groundtune.cli.main import VERBS, cli
from groundtune.cli.wide import width, wrap

LOCALES = Path(messages.__file__).parent / "locales"


@pytest.mark.parametrize("lang", messages.LANGUAGES)
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(groundtune: Cli, verb: str, lang: str) -> None:
    for args in ((verb, "--help", "--lang", lang), ("--lang", lang, verb, "--help")):
        result = groundtune.run(*args)
        assert result.exit_code == 0 and result.stderr == ""
        whole = re.sub(r"\s+", "", result.stdout)
        assert re.sub(r"\s+", "", messages.say(f"cli.{verb}.help", lang=lang)) in whole
        command = cli.get_command(click.Context(cli), verb)
        assert command is not None
        for param in command.params:
            if isinstance(param, click.Option):
                assert re.sub(r"\s", "", max(param.opts, key=len)) in whole


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_the_group_lists_every_verb(groundtune: Cli, lang: str) -> None:
    result = groundtune.run("--help", "--lang", lang)
    assert result.exit_code == 0
    assert [verb for verb in VERBS if f"\n  {verb} " not in result.stdout] == []


def test_without_a_verb_help_is_shown_and_the_code_is_2(groundtune: Cli) -> None:
    result = groundtune.run()
    assert result.exit_code == 2 and "groundtune demo" in result.stderr


@pytest.mark.parametrize("room", ["cli", "serve", "settings", "interop"])
def test_languages_have_the_same_sentences_with_the_same_gaps(room: str) -> None:
    def flat(table: dict[str, object], prefix: str = "") -> dict[str, str]:
        found: dict[str, str] = {}
        for key, value in table.items():
            found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: str(value)}
        return found

    tables = {
        lang: flat(tomllib.loads((LOCALES / f"{room}.{lang}.toml").read_text(encoding="utf-8")))
        for lang in messages.LANGUAGES
    }
    gaps = {lang: {k: sorted(re.findall(r"\{(\w+)\}", v)) for k, v in table.items()} for lang, table in tables.items()}
    assert gaps["en"] == gaps["zh-TW"] == gaps["ja"]


def test_every_sentence_that_the_command_line_says_exists() -> None:
    source = Path(messages.__file__).parent
    keys = set(messages.catalogue("en"))
    for folder in ("cli", "serve", "interop"):
        for path in (source / folder).glob("*.py"):
            for key in re.findall(
                r'"((?:cli|serve|interop|settings)\.[a-z_.]*[a-z])"', path.read_text(encoding="utf-8")
            ):
                assert key in keys, f"{path.name}: {key}"


def test_width_counts_columns() -> None:
    assert (width("abc"), width("請假"), width("ｶﾅ"), width("e\u0301")) == (3, 4, 2, 1)


@pytest.mark.parametrize("columns", [20, 37, 60])
def test_wrapping_keeps_every_letter_and_the_limit(columns: int) -> None:
    text = "病假連續3天以上，須附診斷證明書。Long words stay whole, 「引用」も。"
    lines = wrap(text, columns)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width(line) <= columns + 2 for line in lines)  # 、 and 。 may hang
    assert not any(line.startswith(tuple("，。、」")) for line in lines)
