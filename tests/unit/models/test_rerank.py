"""Rerankers: tiny cross-encoders with random weights, through sentence-transformers and without it."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from groundtune.errors import ModelError, ModelUnreachable, SpecError
from groundtune.models import rerank as room
from groundtune.registry import load
from groundtune.types import Chunk, Hit, digest


def hit(text: str, title: str = "", heading: str = "") -> Hit:
    return Hit(Chunk(digest(text), "d", "v", text, 0, len(text), digest(text), title, heading), 0.5, 0.4, 0.3)


HITS = [hit("The warranty lasts two years."), hit("保固期為兩年。", "手冊"), hit("休暇は年十二日です。", "", "§ 2")]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    return tiny_models.encoder(tmp_path_factory.mktemp("encoder"), scores=True)


@pytest.fixture(params=["sentence-transformers", "transformers"])
def reranker(request: Any, encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "sentence-transformers":
        pytest.importorskip("sentence_transformers")
    else:
        monkeypatch.setattr(room.importlib.util, "find_spec", lambda name: None)
    made = load("reranker", f"hf:{encoder}")
    monkeypatch.undo()
    return made


@pytest.mark.tune
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_the_same_hits_in_another_order(reranker: Any) -> None:
    made = reranker.rerank("保固期多久？", HITS)
    assert {one.chunk.id for one in made} == {one.chunk.id for one in HITS}
    assert [one.score for one in made] == sorted((one.score for one in made), reverse=True)
    assert all(0 < one.score < 1 for one in made) and len({one.score for one in made}) == 3
    assert all((one.lexical, one.dense) == (0.4, 0.3) for one in made), "where a hit came from is kept"
    again = reranker.rerank("保固期多久？", list(reversed(HITS)))
    assert [one.chunk.id for one in again] == [one.chunk.id for one in made]
    assert [one.score for one in again] == pytest.approx([one.score for one in made], abs=1e-5)
    assert reranker.rerank("x", []) == []


@pytest.mark.tune
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_many_and_long_passages(reranker: Any) -> None:
    made = reranker.rerank("?", [hit(f"{number} " + "保固期為兩年。" * 60) for number in range(40)])
    assert len(made) == 40


@pytest.mark.tune
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_both_ways_give_the_same_scores(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers")
    first = room.open_reranker(str(encoder)).rerank("保固期？", HITS)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    second = room.open_reranker(str(encoder)).rerank("保固期？", HITS)
    assert [one.chunk.id for one in first] == [one.chunk.id for one in second]
    assert [one.score for one in first] == pytest.approx([one.score for one in second], abs=1e-5)


def test_title_and_heading_are_read() -> None:
    assert room.passage(hit("text", "title", "heading")) == "title\nheading\ntext"


@pytest.mark.tune
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    """transformers would give it a head of random numbers and go on."""
    folder = tiny_models.llama(tmp_path / "llama")
    with pytest.raises(ModelError) as caught:
        load("reranker", f"hf:{folder}")
    assert caught.value.key == "models.not_a_reranker"


@pytest.mark.tune
def test_nothing_there_and_no_name(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        load("reranker", "hf:")
    with pytest.raises(ModelUnreachable):
        load("reranker", "hf:nobody/nothing-of-this-name")


def test_the_fake_one_counts_shared_terms() -> None:
    made = load("reranker", "fake:").rerank("warranty years", [hit("parking"), hit("warranty"), hit("warranty years")])
    assert [(one.chunk.text, one.score) for one in made] == [
        ("warranty years", 1.0),
        ("warranty", 0.5),
        ("parking", 0.0),
    ]
