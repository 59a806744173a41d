"""The verdict from the command line: how little a few questions decide, prices of one's own, advice from the data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

LANGUAGES = ("en", "zh-TW", "ja")


def thirty_questions() -> list[dict[str, Any]]:
    """Every tenth is one that the documents answer word for word."""
    quote = "Full-time staff receive 27 days of paid annual leave a year."
    known = {"answers": ["27 days"], "evidence": {"document": "leave.md", "quote": quote}}
    return [
        {"question": f"How many days of annual leave do full-time staff receive in year {n}?", **known}
        if n % 10 == 0
        else {"question": f"What did supplier {n} charge for delivery?", "answers": [f"{n} pounds"]}
        for n in range(30)
    ]


@pytest.fixture
def project(make_project: Callable[..., Path]) -> Path:
    return make_project(thirty_questions())


def test_thirty_questions_are_told_how_little_they_decide(groundtune: Cli, project: Path) -> None:
    groundtune.run("ingest", "-C", project)
    groundtune.run("compare", "-C", project, "--approach", "rag", "--approach", "prompt")
    verdict = groundtune.json("decide", "-C", project)
    assert (verdict["level"], verdict["winner"], verdict["n"]) == ("inconclusive", None, 30)
    assert verdict["items_needed"] > 30
    assert "step.coarse" in {step["key"] for step in verdict["next_steps"]}
    for lang in LANGUAGES:
        said = groundtune.run("decide", "-C", project, "--lang", lang).stdout
        assert str(verdict["items_needed"]) in said and "30" in said


def test_prices_of_ones_own(groundtune: Cli, project: Path) -> None:
    def dollars(*arguments: str) -> float:
        table = groundtune.json("cost", *arguments)
        return float(next(a["total"] for a in table["approaches"] if a["name"] == "prompt"))

    listed = dollars()
    assert dollars("--price", "gpt-5-mini.input=25", "--price", "gpt-5-mini.output=200") > 50 * listed
    toml = project / "groundtune.toml"
    own = '[cost]\nprice_overrides = ["gpt-5-mini.input=25", "gpt-5-mini.output=200"]\n'
    toml.write_text(toml.read_text(encoding="utf-8") + own, encoding="utf-8")
    assert dollars("-C", str(project)) > 50 * listed
    assert (
        dollars("-C", str(project), "--price", "gpt-5-mini.input=0.25", "--price", "gpt-5-mini.output=2") < 2 * listed
    )
    assert "is not a price" in groundtune.fails("cost", "--price", "gpt-5-mini.input", code=2)
    assert "nothing in this plan has that price" in groundtune.fails("cost", "--price", "gpt-6-luna.input=1", code=2)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_price_list_is_linted(groundtune: Cli, lang: str) -> None:
    table = groundtune.json("cost", "--lint-prices", "--lang", lang)
    assert table["wrong"] == 0 and table["rows"] > 50
    assert {row["key"] for row in table["found"]} <= {"ended", "ends_inside", "old"}
    assert "ft:gpt-4.1-nano" in groundtune.run("cost", "--lint-prices", "--lang", lang).stdout


def test_advice_reads_the_examples(groundtune: Cli, make_project: Callable[..., Path]) -> None:
    reply = [json.dumps({"answer": str(n), "source": "x"}) for n in range(20)]
    rows = [
        {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": text}]}
        for n, text in enumerate(reply)
    ]
    root = make_project(examples=rows)
    table = groundtune.json("advise", "-C", root)
    assert table["interview"]["fixed_format_or_tone"] is True and table["interview"]["citations_needed"] is True
    assert table["interview"]["origins"]["fixed_format_or_tone"] == "data" and table["first"] == "rag"
    refused = groundtune.json("advise", "-C", root, "--no-fixed-format-or-tone")
    assert refused["interview"]["origins"]["fixed_format_or_tone"] == "flag"
