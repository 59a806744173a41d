"""Long context, schema-guided decoding and nearest shots: what the model is shown, and when it is not asked at all."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_project import DOCUMENTS, NULL, Shelf, examples

from groundtune.approaches.longcontext import LongContext
from groundtune.approaches.opening import open_approach
from groundtune.approaches.setting import Setting
from groundtune.config import CompareSection, Config, FormatSection
from groundtune.errors import CannotRun, SpecError
from groundtune.models.fake import FakeModel
from groundtune.types import Question

CONFIG = Config(format=FormatSection(instruction="house", answer_field="answer", source_field="source"))


class Schooled(FakeModel):
    """Remembers the schema of each call."""

    def generate(self, messages, **settings):
        self.__dict__.setdefault("schemas", []).append(settings.get("schema"))
        return super().generate(messages, **settings)


def setting(model, **compare):
    config = replace(CONFIG, compare=CompareSection(**compare))
    return Setting(config, Shelf(), None, Path("unused"), lambda adapter: model)


def says(text):
    return Schooled("test", lambda _: text)


def test_documents_come_first_and_the_question_last():
    model = says('{"answer": "27 days", "source": "Leave Policy"}')
    approach = LongContext(setting(model))
    approach.fit(DOCUMENTS, ())
    for asked in ("How many days?", "Which bay?"):
        answer = approach.answer(Question(asked))
    first, second = (call[1].content for call in model.calls)
    assert all(document.text.splitlines()[-1] in first for document in DOCUMENTS)
    assert first.endswith("\n\nHow many days?") and second.endswith("\n\nWhich bay?")
    assert first.removesuffix("How many days?") == second.removesuffix("Which bay?")  # a prefix that can be cached
    (cited,) = answer.citations
    assert (cited.document_id, cited.quote) == ("leave.md", "Every employee has 27 days of leave.")
    assert DOCUMENTS[0].text[cited.start : cited.end] == cited.quote
    assert answer.context == () and [hit.chunk.document_id for hit in approach.corpus] == [d.id for d in DOCUMENTS]


def test_a_marker_counts_the_documents_and_an_invented_one_is_dropped():
    plain = replace(CONFIG, format=FormatSection(instruction="house"))
    model = says("Salaries are paid on the 25th [2]. Nobody knows more [9].")
    approach = LongContext(replace(setting(model), config=plain))
    approach.fit(DOCUMENTS, ())
    answer = approach.answer(Question("When is pay day?"))
    assert {c.document_id for c in answer.citations} == {"pay.md"} and answer.dropped_citations == 1


@pytest.mark.parametrize("lang", ["en", "zh-TW", "ja"])
def test_a_corpus_that_does_not_fit_is_not_run_and_says_the_sizes(lang):
    model = says(NULL)
    with pytest.raises(CannotRun) as caught:
        LongContext(setting(model, window=150)).fit(DOCUMENTS, ())
    said = caught.value.sentence(lang)
    assert "150" in said and "fake:test" in said and caught.value.params["tokens"] in said
    assert model.calls == []


def test_the_model_says_its_window_and_counts_its_tokens():
    model = says(NULL)
    model.limit, model.encode = 500, lambda messages: [0] * 400
    with pytest.raises(CannotRun) as caught:
        LongContext(setting(model, max_answer_tokens=96)).fit(DOCUMENTS, ())
    assert caught.value.params["tokens"] == "560"
    LongContext(setting(model, max_answer_tokens=30)).fit(DOCUMENTS, ())


@pytest.mark.parametrize("name", ["prompt", "few-shot", "rag", "long-context"])
def test_constrained_hands_the_schema_to_the_model(name, tmp_path):
    schema = {"type": "object", "properties": {"answer": {"type": ["string", "null"]}}}
    (tmp_path / "s.json").write_text(json.dumps(schema), encoding="utf-8")
    model = says('{"answer": "27 days"}')
    at = setting(model)
    at = replace(at, config=replace(at.config, format=replace(CONFIG.format, schema="s.json"), folder=tmp_path))
    for asked in (name, f"{name}+constrained"):
        approach = open_approach(asked, at)
        approach.fit(DOCUMENTS, examples())
        approach.answer(Question("How many days of leave?"))
        assert approach.name == asked
    assert model.schemas == [None, schema]
    everywhere = replace(at, config=replace(at.config, compare=CompareSection(constrained=True)))
    approach = open_approach(name, everywhere)
    approach.fit(DOCUMENTS, examples())
    approach.answer(Question("How many days of leave?"))
    assert model.schemas[-1] == schema


def test_constrained_without_a_schema_cannot_run():
    with pytest.raises(CannotRun):
        open_approach("rag+constrained", setting(says(NULL)))
    with pytest.raises(SpecError):
        open_approach("ragg+constrained", replace(setting(says(NULL)), schema={}))


def test_nearest_shots_change_with_the_question_and_fixed_ones_do_not():
    seen = {}
    for choice in ("fixed", "nearest"):
        model = says(NULL)
        approach = open_approach("few-shot", setting(model, shots=1, shot_choice=choice))
        approach.fit(DOCUMENTS, examples())
        for asked in ("How many days of leave do I have?", "Which bay is closed today?"):
            approach.answer(Question(asked))
        seen[choice] = [call[1].content for call in model.calls]
    assert seen["nearest"] == ["How many days of leave?", "Which bay is closed?"]
    assert len(set(seen["fixed"])) == 1
