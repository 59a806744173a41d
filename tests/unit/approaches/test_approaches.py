import json
from pathlib import Path

import pytest
from small_project import DOCUMENTS, NULL, Shelf, examples

from groundtune import registry
from groundtune.approaches.fewshot import FewShot
from groundtune.approaches.finetune import FineTune
from groundtune.approaches.hybrid import RagFineTune, make_rows
from groundtune.approaches.prompt import Prompt
from groundtune.approaches.rag import Rag
from groundtune.approaches.setting import Setting, make_setting
from groundtune.config import CompareSection, Config, FormatSection, ModelsSection, RetrievalSection, TuningSection
from groundtune.errors import DataError, TrainingError
from groundtune.models.fake import FakeModel, open_reader
from groundtune.ports import Approach
from groundtune.tuning.lora import LoraTrainer
from groundtune.types import Adapter, Question

CONFIG = Config(
    models=ModelsSection(base="hf:somewhere", reader="fake:x"),
    retrieval=RetrievalSection(k=3, context_sentences=3),
    format=FormatSection(instruction="house", answer_field="answer", source_field="source"),
    tuning=TuningSection(distractors=2, gold_share=0.75),
    compare=CompareSection(shots=2),
)
TEXTS = {document.id: document.text for document in DOCUMENTS}


class CountingTrainer(LoraTrainer):
    """Keeps the rows instead of training; a token is a word."""

    def __init__(self, most=1000):
        super().__init__(CONFIG.tuning)
        self.most = most
        self.trained = []

    def limit(self, base):
        return self.most

    def lengths(self, examples, base):
        return [sum(len(m.content.split()) for m in example.messages) for example in examples]

    def train(self, examples, *, base, out):
        self.trained.append(tuple(examples))
        return Adapter(out, base, "digest")


def setting(model, tmp_path=Path("unused"), knowledge=None, opened=None):
    def open_model(adapter):
        if opened is not None:
            opened.append(adapter)
        return model

    return Setting(CONFIG, knowledge or Shelf(), open_reader("x"), tmp_path, open_model)


def says(text):
    return FakeModel("test", lambda _: text)


def test_all_are_registered_under_their_names():
    for name in ("prompt", "few-shot", "rag", "finetune", "rag+finetune"):
        approach = registry.resolve("approach", name)(setting(says("")))
        assert approach.name == name
        typed: Approach = approach
        assert callable(typed.answer)


def test_prompt_sends_the_instruction_and_the_question():
    model = says('{"answer": "27"}')
    approach = Prompt(setting(model))
    approach.fit(DOCUMENTS, examples())
    answer = approach.answer(Question("How many days?"))
    assert [(m.role, m.content) for m in model.calls[0]] == [("system", "house"), ("user", "How many days?")]
    assert (answer.text, answer.span, answer.abstained) == ('{"answer": "27"}', "27", False)
    assert answer.context == () and answer.citations == () and answer.usage.input_tokens > 0
    assert Prompt(setting(says(NULL))).answer(Question("?")).abstained


def test_few_shot_puts_the_same_shots_before_every_question():
    model = says(NULL)
    approach = FewShot(setting(model))
    approach.fit(DOCUMENTS, examples())
    approach.answer(Question("one?"))
    approach.answer(Question("two?"))
    assert [m.role for m in model.calls[0]] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert model.calls[0][:-1] == model.calls[1][:-1]
    assert NULL in [m.content for m in model.calls[0]]


def test_rag_shows_passages_and_cites_what_the_answer_rests_on():
    shelf = Shelf()
    model = says('{"answer": "27 days", "source": "Leave Policy"}')
    approach = Rag(setting(model, knowledge=shelf))
    approach.fit(DOCUMENTS, ())
    answer = approach.answer(Question("How many days of leave has an employee?"))
    prompt = model.calls[0][-1].content
    assert shelf.asked == [("How many days of leave has an employee?", 3)]
    assert prompt.startswith("[1] Leave Policy | Leave\n") and prompt.endswith(
        "\n\nHow many days of leave has an employee?"
    )
    assert answer.context and all(
        TEXTS[hit.chunk.document_id][hit.chunk.start : hit.chunk.end] == hit.chunk.text for hit in answer.context
    )
    assert all(hit.chunk.text in prompt for hit in answer.context)
    citation = answer.citations[0]
    assert "27 days" in citation.quote and TEXTS["leave.md"][citation.start : citation.end] == citation.quote


def test_a_refusal_cites_nothing():
    answer = Rag(setting(says(NULL))).answer(Question("How many days of leave has an employee?"))
    assert answer.abstained and answer.citations == () and answer.context


def test_rag_needs_a_knowledge_base():
    bare = Setting(CONFIG, None, None, Path("x"), lambda _: says(""))
    with pytest.raises(DataError, match="groundtune ingest"):
        Rag(bare).fit((), ())


def test_finetune_trains_on_the_bare_chats_and_answers_with_the_adapter(tmp_path):
    opened, trainer = [], CountingTrainer()
    approach = FineTune(setting(says(NULL), tmp_path, opened=opened), trainer=trainer)
    with pytest.raises(TrainingError, match="groundtune tune"):
        approach.answer(Question("?"))
    approach.fit(DOCUMENTS, examples())
    (rows,) = trainer.trained
    assert [[m.role for m in row.messages] for row in rows] == [["system", "user", "assistant"]] * 6
    assert rows[0].messages[0].content == "house" and rows[0].input == "How many days of leave?"
    approach.answer(Question("?"))
    assert approach.adapter is not None and opened == [approach.adapter.path]
    assert Path(approach.adapter.path).parent == tmp_path / "adapters"
    assert Path(approach.adapter.path).name.startswith("finetune-")


def test_a_base_that_cannot_be_trained_is_refused_before_anything_else():
    from dataclasses import replace

    shelf = Shelf()
    config = replace(CONFIG, models=ModelsSection(base="openai:gpt-5-mini", reader=""))
    remote = Setting(config, shelf, None, Path("x"), lambda _: says(""))
    for kind in (FineTune, RagFineTune):
        with pytest.raises(TrainingError, match="cannot be fine-tuned"):
            kind(remote).fit(DOCUMENTS, examples())
    assert shelf.asked == []


def test_raft_rows_show_gold_drop_it_for_a_share_and_keep_refusals():
    rows = make_rows(setting(says("")), CountingTrainer(), examples(), TEXTS)
    assert (rows.with_gold, rows.gold_dropped, rows.without_gold) == (4, 1, 1)
    quotes = ["27 days", "on the 25th", "Bay 5", "Josie", "", "twice"]
    for row, original, quote in zip(rows.examples, examples(), quotes, strict=True):
        assert row.input.startswith("[1] ") and row.input.endswith(f"\n\n{original.input}")
        assert row.messages[-2].role == "user"
        if row.metadata["gold_shown"]:
            assert quote in row.input and row.target == original.target
        elif quote:
            assert quote not in row.input and row.target == NULL
        else:
            assert row.target == NULL
    assert rows == make_rows(setting(says("")), CountingTrainer(), examples(), TEXTS)


def test_rows_that_are_too_long_lose_distractors_not_the_gold_passage():
    sizes = CountingTrainer().lengths(make_rows(setting(says("")), CountingTrainer(), examples(), TEXTS).examples, "")
    limit = max(sizes) - 1
    rows = make_rows(setting(says("")), CountingTrainer(limit), examples(), TEXTS)
    shorter = CountingTrainer().lengths(rows.examples, "")
    assert max(shorter) <= limit
    assert (rows.with_gold, rows.gold_dropped) == (4, 1)


def test_hybrid_trains_on_raft_rows_and_answers_with_passages(tmp_path):
    opened, trainer, model = [], CountingTrainer(), says('{"answer": "27 days"}')
    approach = RagFineTune(setting(model, tmp_path, opened=opened), trainer=trainer)
    approach.fit(DOCUMENTS, examples())
    assert approach.rows is not None and trainer.trained == [approach.rows.examples]
    answer = approach.answer(Question("How many days of leave has an employee?"))
    assert approach.adapter is not None and opened == [approach.adapter.path]
    assert Path(approach.adapter.path).name.startswith("rag-finetune-")
    assert model.calls[0][-1].content.startswith("[1] ") and answer.citations and answer.context


def test_training_and_answering_show_a_question_in_the_same_form(tmp_path):
    model, trainer = says(NULL), CountingTrainer()
    approach = RagFineTune(setting(model, tmp_path), trainer=trainer)
    approach.fit(DOCUMENTS, examples())
    unanswerable = examples()[4]
    approach.answer(Question(unanswerable.input))
    trained = trainer.trained[0][4].prompt
    assert [m.role for m in trained] == [m.role for m in model.calls[0]]
    assert trained[0] == model.calls[0][0]
    assert set(trained[1].content.split("\n")[1::3]) <= set(model.calls[0][1].content.split("\n"))


def test_make_setting_opens_models_once_and_passes_the_adapter(tmp_path):
    from dataclasses import replace

    config = replace(CONFIG, models=ModelsSection(base="fake:fixed=x", reader=""), folder=tmp_path)
    made = make_setting(config, None)
    assert made.reader is None and made.run_folder == tmp_path / ".groundtune"
    assert made.open_model(None) is made.open_model(None)
    assert made.open_model("some/adapter") is not made.open_model(None)


@pytest.mark.tune
def test_a_tiny_model_is_tuned_with_and_without_context_and_answers(tmp_path):
    from dataclasses import replace

    from tiny_llama import make_base

    base = make_base(tmp_path / "base")
    config = replace(
        CONFIG,
        models=ModelsSection(base=f"hf:{base}", reader="fake:x"),
        tuning=TuningSection(epochs=2, rank=4, max_tokens=256, distractors=1),
        compare=CompareSection(max_answer_tokens=8),
    )
    made = make_setting(config, Shelf(), run_folder=tmp_path / "run")
    rows = [replace(e, id=f"{e.id}-{n}") for n in range(2) for e in examples()]
    for kind in (FineTune, RagFineTune):
        approach = kind(made)
        approach.fit(DOCUMENTS, rows)
        answer = approach.answer(Question("How many days?"))
        assert answer.usage.output_tokens > 0 and answer.model
        note = json.loads((Path(approach.adapter.path) / "adapter.json").read_text())
        assert note["settings"]["rows"] == 12
        again = kind(made)
        again.fit(DOCUMENTS, rows)
        assert again.adapter == approach.adapter
