"""The traps of TRL 1.16 that are about data, template and mask: each is refused or repaired, never silent."""

import pytest
from letters import Letters

from groundtune.errors import DataError, TrainingError
from groundtune.messages import LANGUAGES
from groundtune.tuning import rows
from groundtune.tuning.convert import convert
from groundtune.tuning.data import load_examples
from groundtune.tuning.lint import lint
from groundtune.tuning.template import mask_problem
from groundtune.types import Example, Message


def example(question="item red", answer='{"is": "red"}', system="sort", name="e1"):
    turns = (Message("system", system), Message("user", question), Message("assistant", answer))
    return Example(turns, id=name, metadata={"line": 1})


def chat(*turns, **extra):
    return {"messages": [dict(zip(("role", "content", "weight"), turn, strict=False)) for turn in turns], **extra}


def test_1_the_prompt_is_never_trained():
    tokenizer = Letters()
    (row,) = rows.build_rows([example()], tokenizer, 100)
    assert mask_problem(row.input_ids, row.labels, example(), tokenizer) is None
    # what TRL does with "messages" rows and completion_only_loss: everything carries the loss
    assert mask_problem(row.input_ids, row.input_ids, example(), tokenizer) == "mask_prompt"


def test_2_the_end_token_is_added_when_the_template_writes_none():
    tokenizer = Letters(end=False)
    (row,) = rows.build_rows([example()], tokenizer, 100)
    assert tokenizer.decode(row.input_ids).endswith('{"is": "red"}<end>')
    assert "no_end_token" in [f.rule for f in lint([example()], tokenizer=tokenizer).findings]
    without = (rows.IGNORED, *row.labels[1:-1])
    assert mask_problem(row.input_ids[:-1], without, example(), tokenizer) == "mask_no_end"


def test_2_without_any_end_token_training_is_refused():
    tokenizer = Letters(end=False, eos=False)
    with pytest.raises(TrainingError, match="no end token"):
        rows.build_rows([example()], tokenizer, 100)
    assert "no_end_at_all" in [f.rule for f in lint([example()], tokenizer=tokenizer).findings]


def test_3_over_long_prompts_are_refused_and_not_dropped():
    long = example("item " + "red " * 40)
    with pytest.raises(TrainingError, match="longer than 60 tokens"):
        rows.build_rows([example(), long], Letters(), 60)
    assert "prompt_too_long" in [f.rule for f in lint([long], tokenizer=Letters(), max_tokens=60).findings]


def test_3_when_every_prompt_is_too_long_the_sentence_says_so():
    long = [example("item " + "red " * 40, name=f"e{i}") for i in range(12)]
    with pytest.raises(TrainingError) as refused:
        rows.build_rows(long, Letters(), 60)
    assert refused.value.params["count"] == 12 and "12" in refused.value.sentence() and "60" in refused.value.sentence()


def test_4_over_long_answers_are_refused_and_not_cut():
    long = example(answer="red " * 40)
    with pytest.raises(TrainingError, match="longer than 60 tokens"):
        rows.build_rows([long], Letters(), 60)
    (finding,) = [f for f in lint([long], tokenizer=Letters(), max_tokens=60).findings if f.rule == "answer_cut"]
    assert finding.severity == "error" and int(str(finding.params["cut"])) > 100
    (row,) = rows.build_rows([long], Letters(), 1000)
    cut = (*row.labels[:60],)
    assert mask_problem(row.input_ids[:60], cut, long, Letters()) == "mask_cut"


def test_5_a_turn_of_weight_zero_is_context_and_never_trained():
    row = chat(("user", "q1"), ("assistant", "BAD", 0), ("user", "q2"), ("assistant", "good"))
    (made,) = convert(row)
    assert made.messages[-1].content == "good" and "weight_zero" in made.notes
    built = rows.build_rows([Example(made.messages, id="e")], Letters(), 100)
    trained = Letters().decode([label for label in built[0].labels if label != rows.IGNORED])
    assert trained == "good<end>"


def test_5_an_example_without_weight_is_refused(tmp_path):
    path = tmp_path / "e.jsonl"
    path.write_text(
        '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "BAD", "weight": 0}]}'
    )
    with pytest.raises(DataError, match="weight 0"):
        load_examples(path)


def test_6_empty_answers_are_refused():
    with pytest.raises(TrainingError, match="is empty"):
        rows.build_rows([example(answer=" ")], Letters(), 100)
    assert "empty_answer" in [f.rule for f in lint([example(answer=" ")], tokenizer=Letters()).findings]
    nothing = (rows.IGNORED,) * 4 + (1,)
    assert mask_problem((9, 9, 9, 9, 1), nothing, example(), Letters()) == "mask_nothing"
    assert mask_problem((9, 9), (rows.IGNORED,) * 2, example(), Letters()) == "mask_nothing"


def test_6_a_missing_template_is_refused():
    tokenizer = Letters()
    tokenizer.chat_template = None
    with pytest.raises(TrainingError, match="no chat template"):
        rows.build_rows([example()], tokenizer, 100)
    assert [f.rule for f in lint([example()], tokenizer=tokenizer).findings][0] == "no_template"


def test_a_template_that_changes_or_refuses_is_named():
    changed = lint([example()], tokenizer=Letters(shout=True)).findings[0]
    assert changed.rule == "template_changes" and '{"IS": "RED"}' in changed.sentence("en")
    turns = (Message("user", "a"), Message("user", "b"), Message("assistant", "c"))
    twice = Example(turns, id="twice", metadata={"line": 3})
    refused = lint([twice], tokenizer=Letters(strict=True)).findings[0]
    assert (refused.rule, refused.line) == ("template_refuses", 3) and "must alternate" in refused.sentence("en")
    with pytest.raises(TrainingError, match="refuses example “twice”"):
        rows.build_rows([twice], Letters(strict=True), 100)
    for language in LANGUAGES:
        assert refused.sentence(language) and refused.fix(language)


@pytest.mark.tune
def test_real_tokenizer_template_marks_and_special_tokens(tmp_path):
    from tiny_models import CHAT_TEMPLATE, tokenizer

    marked = CHAT_TEMPLATE.replace(
        "{{ m['content'] }}<|end|>",
        "{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}<|end|>{% endgeneration %}"
        "{% else %}{{ m['content'] }}<|end|>{% endif %}",
    )
    plain, good = tokenizer(), tokenizer(marked)
    clean = example("How long is the warranty?", "two years")
    assert [f.rule for f in lint([clean], tokenizer=plain).findings] == ["too_few", "template_unmarked"]
    assert [f.rule for f in lint([clean], tokenizer=good).findings] == ["too_few"]
    (row,) = rows.build_rows([clean], good, 200)
    assert mask_problem(row.input_ids, row.labels, clean, good) is None
    assert mask_problem(row.input_ids, row.input_ids, clean, good) == "mask_prompt"
    broken = example("How long?", "two<|end|> years")
    assert "special_in_text" in [f.rule for f in lint([broken], tokenizer=good).findings]
    gemma = "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% endfor %}"
    refused = lint([clean], tokenizer=tokenizer(gemma)).findings[0]
    assert refused.rule == "template_refuses" and "System role not supported" in refused.sentence("en")
