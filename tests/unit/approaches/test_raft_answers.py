"""What RAFT rows answer when the right passage is missing, and how an answer in words quotes it."""

import json
from dataclasses import replace

import pytest
from small_project import DOCUMENTS, NULL, examples
from test_approaches import CONFIG, TEXTS, CountingTrainer, says, setting

from groundtune.approaches.hybrid import make_rows
from groundtune.config import FormatSection, ProjectSection
from groundtune.types import Message

ANSWERED = [example for example in examples() if example.target != NULL]


def words(example):
    answer = json.loads(example.target)["answer"]
    return replace(example, messages=(*example.prompt, Message("assistant", answer)))


def made(rows, tmp_path, schema=None, language="en", **tuning):
    plain = FormatSection(instruction="house")
    config = replace(CONFIG, folder=tmp_path, tuning=replace(CONFIG.tuning, **tuning))
    if rows and not rows[0].target.startswith("{"):
        config = replace(config, format=plain, project=ProjectSection(language=language))
    if schema is not None:
        (tmp_path / "schema.json").write_text(json.dumps(schema))
        config = replace(config, format=replace(config.format, schema="schema.json"))
    return make_rows(replace(setting(says("")), config=config), CountingTrainer(), rows, TEXTS)


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "The documents do not say."), ("zh-TW", "文件中沒有提到。"), ("ja", "文書には記載がありません。")],
)
def test_without_a_refusal_of_its_own_a_row_without_its_passage_is_still_not_answered(tmp_path, language, said):
    rows = made([words(e) for e in ANSWERED], tmp_path, language=language, gold_share=0.5)
    targets = [row.target for row in rows.examples if not row.metadata["gold_shown"]]
    assert rows.gold_dropped >= 2 and set(targets) == {said}


def test_a_json_refusal_is_null_everywhere_as_far_as_the_schema_allows(tmp_path):
    rows = made(ANSWERED, tmp_path, gold_share=0.5)
    assert {row.target for row in rows.examples if not row.metadata["gold_shown"]} == {NULL}
    allows = {"type": "object", "properties": {"answer": {"type": ["string", "null"]}}}
    assert made(ANSWERED, tmp_path, allows, gold_share=0.5).gold_dropped >= 2
    forbids = {"type": "object", "properties": {"answer": {"type": "string"}}}
    rows = made(ANSWERED, tmp_path, forbids, gold_share=0.5)
    assert rows.gold_dropped == 0  # nothing to refuse with: a passage is never taken away from its answer
    assert [row.target for row in rows.examples] == [example.target for example in ANSWERED]


def test_quotes_are_word_for_word_from_the_document_and_only_where_it_is_shown(tmp_path):
    plain = [words(e) for e in ANSWERED]
    rows = made(plain, tmp_path, quotes=True, gold_share=1.0)
    quoted = [row for row in rows.examples if row.target.startswith("“")]
    assert len(quoted) >= 3
    for row in quoted:
        quote = row.target[1:].partition("”")[0]
        assert any(quote in document.text for document in DOCUMENTS)
        assert quote in row.input.replace("**", "")
    assert not any("“" in row.target for row in made(plain, tmp_path, gold_share=1.0).examples)
    refused = made(plain, tmp_path, quotes=True, gold_share=0.5).examples
    assert {row.target for row in refused if not row.metadata["gold_shown"]} == {"The documents do not say."}
