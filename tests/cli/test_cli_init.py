"""``init``: explained settings that are the defaults, and nothing that was there is touched."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from command_line import Cli

from groundtune import messages
from groundtune.cli.template import settings_file, toml_value
from groundtune.config import Config, load_config, parse
from groundtune.tuning.data import load_examples, load_questions


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_template_equals_the_defaults(lang: str) -> None:
    problems: list[str] = []
    table = tomllib.loads(settings_file("my-project", lang))
    found = parse(table, Path(), problems)
    assert problems == []
    assert found == replace(Config(), project=replace(Config().project, language=lang))
    for section in fields(Config):
        if section.name != "folder":
            assert set(table[section.name]) == {f.name for f in fields(getattr(Config(), section.name))}


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_every_setting_is_explained(lang: str) -> None:
    lines = settings_file("x", lang).splitlines()
    settings = [number for number, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(settings) > 60 and all(lines[number - 1].startswith("# ") for number in settings)


@pytest.mark.parametrize("value", ['quo"te\\ back', "新\n行\ttab\x7f", True, 3, 0.02, -1.0, ("a", 'b"'), ()])
def test_toml_values_round_trip(value: object) -> None:
    back = tomllib.loads(f"x = {toml_value(value)}")["x"]
    assert (tuple(back) if isinstance(value, tuple) else back) == value


@pytest.mark.parametrize("lang", messages.LANGUAGES)
def test_a_project_is_made_and_its_samples_can_be_read(groundtune: Cli, lang: str) -> None:
    result = groundtune.run("init", "my project", "--lang", lang)
    assert result.exit_code == 0 and "groundtune ingest" in result.stderr
    root = groundtune.folder / "my project"
    assert (root / "documents").is_dir() and list((root / "documents").iterdir()) == []
    config = load_config(root)
    assert (config.project.name, config.project.language) == ("my project", lang)
    assert len(load_questions(root / "questions.jsonl.sample")) == 2
    assert len(load_examples(root / "examples.jsonl.sample")) == 1


def test_nothing_is_overwritten(groundtune: Cli) -> None:
    root = groundtune.folder / "p"
    root.mkdir()
    (root / "README.txt").write_text("mine", encoding="utf-8")
    made = groundtune.json("init", root)
    assert made["kept"] == ["README.txt"] and (root / "README.txt").read_text() == "mine"
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert "already there" in groundtune.fails("init", root, code=2)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_file_in_the_way(groundtune: Cli) -> None:
    (groundtune.folder / "taken").write_text("x")
    assert "is a file" in groundtune.fails("init", "taken", code=2)
