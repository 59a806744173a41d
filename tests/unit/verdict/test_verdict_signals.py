"""What the data of a project answers by itself: updates, form, citations, traffic."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from groundtune.config import Config, CostSection, FormatSection, RequirementsSection
from groundtune.verdict.advise import Interview, advise
from groundtune.verdict.signals import Signal, read_signals, shape
from groundtune.verdict.words import render_advice

TODAY = date(2026, 11, 23)
JSON = [json.dumps({"answer": str(i), "grade": "A"}) for i in range(20)]


def found(config: Config, targets: list[str] | None = None) -> dict[str, Signal]:
    return {signal.name: signal for signal in read_signals(config, targets or [], TODAY)}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "documents").mkdir()
    return Config(folder=tmp_path)


def touch(config: Config, name: str, days_ago: int) -> None:
    path = config.folder / "documents" / name
    path.write_text("text", encoding="utf-8")
    then = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC) - timedelta(days=days_ago)
    os.utime(path, (then.timestamp(), then.timestamp()))


def test_file_times_tell_how_often_documents_change(config: Config) -> None:
    for number, days_ago in enumerate((90, 83, 76, 69, 62, 55, 48, 41, 34, 27, 20, 13, 6)):
        touch(config, f"{number}.md", days_ago)
    signal = found(config)["updates"]
    assert signal.value == pytest.approx(12 / (90 / 30.4)) and signal.fact.key == "signal.updates_files"
    assert Interview().with_signals([signal]).update_frequency == "weekly"


def test_files_of_one_day_say_nothing(config: Config) -> None:
    for number in range(5):
        touch(config, f"{number}.md", 3)
    assert found(config) == {}


def test_the_git_log_counts_before_file_times(config: Config) -> None:
    def git(*arguments: str, day: str = "") -> None:
        env = {**os.environ, "GIT_AUTHOR_DATE": day, "GIT_COMMITTER_DATE": day, "GIT_CONFIG_GLOBAL": os.devnull}
        env |= {
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@b",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@b",
        }
        subprocess.run(["git", "-C", str(config.folder), *arguments], check=True, env=env, capture_output=True)

    git("init", "-q")
    for number, day in enumerate(("2026-05-23", "2026-07-23", "2026-09-23", "2026-11-22")):
        (config.folder / "documents" / "a.md").write_text(str(number), encoding="utf-8")
        git("add", "documents")
        git("commit", "-q", "-m", "x", day=f"{day}T12:00:00")
    signal = found(config)["updates"]
    assert signal.fact.key == "signal.updates_git" and signal.value == pytest.approx(3 / (184 / 30.4))
    assert Interview().with_signals([signal]).update_frequency == "monthly"


def test_form_of_examples() -> None:
    assert shape(JSON[0]) == "{answer,grade}" and shape("Dear all,\nthe fee is 5.") == ""
    assert shape("# Title\n\n- a\n- b\n") == "head item"
    assert shape("【結論】\n摘要：漲價\n1. 甲\n2. 乙") == "head label=摘要 item"
    signals = found(Config(), JSON)
    assert signals["fixed"].value is True and "100" in signals["fixed"].fact.text("ja")
    mixed = [*JSON[:10], *("plain prose" for _ in range(9))]
    assert found(Config(), mixed)["fixed"].value is False
    assert found(Config(), JSON[:5]) == {} and "fixed" not in found(Config(), ["plain prose"] * 30)


def test_need_of_citations() -> None:
    cited = [f"{n} 天（第{n}條）" for n in range(1, 11)]
    assert found(Config(), cited)["citations"].value is True
    assert "citations" not in found(Config(), ["5 days"] * 10)
    assert found(Config(format=FormatSection(source_field="origin")))["citations"].fact.params == {"field": "origin"}
    assert found(Config(), [json.dumps({"answer": "1", "source": "x"})] * 9)["citations"].value is True


def test_feedback_gives_a_floor_of_the_traffic(config: Config) -> None:
    path = config.state / "feedback.jsonl"
    path.parent.mkdir()
    start = datetime(2026, 11, 1, tzinfo=UTC)
    rows = [{"metadata": {"time": (start + timedelta(days=n)).isoformat()}} for n in range(15)]
    path.write_text("\n".join([*map(json.dumps, rows), "{broken"]), encoding="utf-8")
    assert found(config)["volume"].value == pytest.approx(15 / 14 * 30.4)


def test_groundtune_toml_wins_over_the_data_and_all_is_said() -> None:
    told = Config(cost=CostSection(updates_per_month=30), requirements=RequirementsSection(citations=True))
    signals = [Signal("updates", 0.1, found(Config(), JSON)["fixed"].fact), *read_signals(Config(), JSON, TODAY)]
    made = Interview.from_config(told, 20).with_signals(signals)
    assert made.update_frequency == "daily" and made.origins["update_frequency"] == "toml"
    assert made.fixed_format_or_tone is True and made.origins["fixed_format_or_tone"] == "data"
    advice = advise(made, told, start=TODAY)
    for lang, words in (("en", "have the same form"), ("zh-TW", "格式相同"), ("ja", "同じ書式")):
        assert words in render_advice(advice, lang)
    table = json.loads(advice.to_json("en"))
    assert table["interview"]["facts"]["fixed_format_or_tone"]["key"] == "signal.form"


@pytest.mark.parametrize(
    ("rate", "choice"),
    [(0.0, "never"), (0.01, "never"), (0.09, "yearly"), (0.5, "monthly"), (4, "weekly"), (25, "daily"), (500, "live")],
)
def test_rates_become_choices(rate: float, choice: str) -> None:
    signal = Signal("updates", rate, found(Config(), JSON)["fixed"].fact)
    assert Interview().with_signals([signal]).update_frequency == choice
