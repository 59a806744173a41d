"""Dated prices: the shipped file, its lint, dates, overrides."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from groundtune.errors import ConfigError, DataError
from groundtune.verdict import prices
from groundtune.verdict.price_lint import disagreements, lint
from groundtune.verdict.prices import PriceRow, load_rows, overlay, token_prices

NOW = date(2026, 11, 23)


def test_every_shipped_row_is_sourced_and_dated() -> None:
    assert len(overlay()) > 50
    for row in overlay():
        assert row.source and row.read <= NOW and row.grade in prices.GRADES


def test_shipped_rows_do_not_overlap_in_time() -> None:
    for row in overlay():
        same = [r for r in overlay() if r.key == row.key and r.holds(row.valid_from or row.valid_until or NOW)]
        assert len(same) == 1, row.key


def test_the_shipped_file_has_no_lint_but_known_endings() -> None:
    found = {(w.row, w.key) for w in lint(overlay(), NOW)}
    assert {key for _, key in found} <= {"ended", "old"}
    assert ("ft:gpt-4.1-nano", "ended") in found


def test_a_price_changes_with_its_month() -> None:
    now = token_prices("gemini-3.8-flash", NOW, package=False)
    later = token_prices("gemini-3.8-flash", date(2027, 1, 1), package=False)
    assert (now.input, later.input, later.output) == (0.75, 1.5, 7.5)


def test_the_package_agrees_with_the_overlay() -> None:
    pytest.importorskip("genai_prices")
    for name in ("gpt-5-mini", "gemini-3.8-flash", "claude-haiku-5-5"):
        for month in (NOW, date(2027, 2, 1)):
            ours, theirs = token_prices(name, month, package=False), token_prices(name, month)
            assert (ours.input, ours.output, ours.cached) == (theirs.input, theirs.output, theirs.cached)
            assert ours.above == theirs.above


def test_a_long_request_pays_the_tier() -> None:
    row = token_prices("claude-haiku-5-5", NOW, package=False)
    assert row.at(50_000).input == 0.10 and row.at(150_000).input == 0.5


def test_overrides_win_and_unknown_ones_are_named() -> None:
    row = token_prices("openai:gpt-5-mini", NOW, {"gpt-5-mini.input": 9.0}, package=False)
    assert (row.input, row.output, row.grade) == (9.0, 2.0, "override")
    own = token_prices("my-model", NOW, {"my-model.input": 1, "my-model.output": 2}, package=False)
    assert own.output == 2
    with pytest.raises(ConfigError, match="no such price"):
        token_prices("gpt-5-mini", NOW, {"gpt-5-mini.inputs": 1}, package=False)
    with pytest.raises(ConfigError, match="gpt-5-mini"):
        token_prices("gpt5-mini", NOW, package=False)


def test_single_values() -> None:
    assert prices.value("gpu:together-h100", NOW) == 3.99
    assert prices.value("gpu:together-h100", NOW, {"gpu:together-h100": 2.5}) == 2.5
    with pytest.raises(ConfigError):
        prices.value("gpu:nowhere", NOW)
    row = prices.multiplier("openai:gpt-4.1-mini", NOW)
    assert row is not None and row.value == 2.0 and prices.multiplier("gpt-5-mini", NOW) is None


def test_lint_finds_each_oddity() -> None:
    def row(**changes: object) -> PriceRow:
        base = {"key": "k", "kind": "chat", "unit": "USD/M tokens", "source": "s", "read": NOW, "grade": "package", "input": 1.0,
                "output": 2.0}  # fmt: skip
        return PriceRow(**(base | changes))  # type: ignore[arg-type]

    end = date(2027, 11, 1)
    cases = {
        "cache_above_input": row(cached=1.5),
        "zero": row(output=0.0),
        "embedding_dear": row(kind="embedding", value=100.0, input=None, output=None),
        "ended": row(expires=date(2026, 1, 1)),
        "ends_inside": row(expires=date(2027, 1, 14)),
        "old": row(read=date(2026, 1, 1)),
        "unit": row(unit="USD/1000 tokens"),
        "unlikely": row(input=0.0003, output=2.0),
        "output_below_input": row(output=0.5),
        "future": row(read=date(2027, 1, 1)),
        "reversed": row(valid_from=date(2027, 2, 1), valid_until=date(2027, 1, 1)),
    }
    for expected, made in cases.items():
        assert [w.key for w in lint([made], NOW, end)] == [expected]
    assert lint([row(cached=0.1)], NOW, end) == ()
    twice = lint([row(valid_until=date(2027, 1, 1)), row(valid_from=date(2027, 1, 1))], NOW)
    assert [(w.key, w.detail, w.wrong) for w in twice] == [("duplicate", "2027-01-01", True)]
    parted = [row(valid_until=date(2026, 12, 31)), row(valid_from=date(2027, 1, 1))]
    assert lint(parted, NOW) == ()


def test_the_shipped_chat_prices_agree_with_the_package() -> None:
    pytest.importorskip("genai_prices")
    for day in (NOW, date(2027, 6, 1)):
        assert disagreements(overlay(), day) == ()
    wrong = PriceRow("gpt-5-mini", "chat", "USD/M tokens", "s", NOW, "package", input=9.0, output=10.0)
    assert [w.key for w in disagreements([wrong], NOW)] == ["disagrees"]


def test_a_broken_file_names_every_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(
        'schema = 1\n[[row]]\nkey = "a"\nkind = "chat"\nunit = "u"\nsource = "s"\nread = 2026-01-01\ngrade = "package"\n'
        'input = 1\n[[row]]\nkey = "b"\nkind = "magic"\nunit = "u"\nsource = "s"\nread = "today"\ngrade = "package"\n'
        "value = -1\nsauce = 1\n",
        encoding="utf-8",
    )
    with pytest.raises(DataError) as caught:
        load_rows(path)
    assert "a: output is not a number" in str(caught.value) and "b: unknown sauce" in str(caught.value)
