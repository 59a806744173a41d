"""groundtune.toml: defaults, all mistakes at once, did-you-mean."""

from dataclasses import fields

import pytest

from groundtune.config import Config, load_config
from groundtune.errors import ConfigError


def test_empty_file_gives_the_defaults(tmp_path):
    (tmp_path / "groundtune.toml").write_text("", encoding="utf-8")
    loaded = load_config(tmp_path)
    assert all(getattr(loaded, f.name) == getattr(Config(), f.name) for f in fields(Config) if f.name != "folder")
    assert loaded.state == tmp_path / ".groundtune"


def test_all_mistakes_are_reported_at_once(tmp_path):
    (tmp_path / "groundtune.toml").write_text(
        '[project]\nnane = "x"\nname = 3\n[retrievel]\nk = 1\n[retrieval]\nk = "ten"\n[compare]\napproaches = ["rga"]\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    text = str(caught.value)
    assert caught.value.exit_code == 2
    for part in ("5 problem", "did you mean name", "expected str", "[retrievel]", "expected int", "rga"):
        assert part in text


def test_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="groundtune init"):
        load_config(tmp_path)


def test_broken_toml_and_bom(tmp_path):
    path = tmp_path / "groundtune.toml"
    path.write_bytes('\ufeff[project]\nname = "ok"\n'.encode())
    assert load_config(tmp_path).project.name == "ok"
    path.write_text("[project\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(tmp_path)


def test_an_integer_is_a_number_but_a_boolean_is_not(tmp_path):
    path = tmp_path / "groundtune.toml"
    path.write_text("[cost]\nqueries_per_month = 5\n", encoding="utf-8")
    assert load_config(tmp_path).cost.queries_per_month == 5.0
    path.write_text("[retrieval]\nk = true\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="expected int"):
        load_config(tmp_path)


def test_the_sentence_is_in_the_users_language(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    assert "請先執行" in caught.value.sentence("zh-TW")
    assert "作成してください" in caught.value.sentence("ja")
