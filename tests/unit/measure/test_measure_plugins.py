"""Scorers of installed packages: named in the settings, held to [0, 1], and never able to spoil a comparison in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune import registry
from groundtune.config import CompareSection, Config, RetrievalSection
from groundtune.errors import CannotRun, ConfigError, SpecError
from groundtune.measure.needs import _weights
from groundtune.measure.plugins import foreign_scores, load_scorers, metric_names
from groundtune.measure.results import METRICS, ItemResult
from groundtune.measure.summary import metrics_of
from groundtune.types import Answer, Question, Score


class Fixed:
    def __init__(self, name: str, value: Any) -> None:
        self.name, self.value = name, value

    def score(self, item: Question, answer: Answer) -> Score:
        if isinstance(self.value, Exception):
            raise self.value
        return Score(self.value)


@pytest.fixture
def provide(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"half": Fixed("half", 0.5), "taken": Fixed("success", 1.0)}
    monkeypatch.setattr(registry, "load", lambda kind, spec: made[spec])


def config(*names: str) -> Config:
    return replace(Config(), compare=CompareSection(scorers=names))


def test_names_must_be_free(provide: None) -> None:
    assert [scorer.name for scorer in load_scorers(config("half"))] == ["half"]
    with pytest.raises(ConfigError, match="success"):
        load_scorers(config("taken"))
    with pytest.raises(ConfigError, match="half"):
        load_scorers(config("half", "half"))


def test_an_unknown_scorer_is_named() -> None:
    with pytest.raises(SpecError, match="nosuch"):
        load_scorers(config("nosuch"))


def test_scores_are_taken_or_refused() -> None:
    question, answer = Question("q"), Answer("a")
    assert foreign_scores([Fixed("a", 0.5), Fixed("b", None)], question, answer) == {"a": 0.5, "b": None}
    with pytest.raises(CannotRun, match="ValueError: broken"):
        foreign_scores([Fixed("a", ValueError("broken"))], question, answer)
    with pytest.raises(CannotRun, match="between 0 and 1"):
        foreign_scores([Fixed("a", 3)], question, answer)
    with pytest.raises(CannotRun, match="between 0 and 1"):
        foreign_scores([Fixed("a", float("nan"))], question, answer)


def test_means_of_foreign_scores_come_last() -> None:
    items = [
        ItemResult(str(n), "question", str(n), "q", "e", "o", scores={"polite": n % 2, "success": 1.0})
        for n in range(4)
    ]
    assert metric_names(items) == (*METRICS, "polite")
    found = metrics_of(items)
    assert list(found) == ["success", "polite"] and found["polite"].value == 0.5


def test_a_changed_module_of_the_project_asks_again(tmp_path: Path) -> None:
    assert RetrievalSection().retriever == "" == _weights("", tmp_path)
    assert _weights("langchain:my_app:retriever", tmp_path) == ""
    module = tmp_path / "my_app.py"
    module.write_text("retriever = 1", encoding="utf-8")
    before = _weights("langchain:my_app:retriever", tmp_path)
    module.write_text("retriever = 2", encoding="utf-8")
    assert before and _weights("langchain:my_app:retriever", tmp_path) not in (before, "")
