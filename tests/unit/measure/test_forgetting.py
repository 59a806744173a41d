import json
import re

import pytest

from groundtune.errors import ModelRefused
from groundtune.measure.forgetting import check_forgetting, in_form, tasks, trained_keys
from groundtune.types import Generation, Message, Usage

TARGETS = [
    '{"answer": "a", "source": "b"}',
    '{"answer": null, "source": null}',
    '{"answer": "c", "source": "d", "x": 1}',
]


class Said:
    """A model that answers by a function of the last user turn."""

    def __init__(self, name, answer):
        self.name, self._answer = name, answer

    def generate(self, messages, **_):
        return Generation(self._answer(messages[-1].content), Usage(), 0.0)


def able(text):
    """What the set wants: the first accepted answer, something that fits the form, or a refusal."""
    task = next((t for t in tasks() if t.text == text), None)
    if task is None or task.kind == "refuse":
        return "The documents do not say."
    if task.answers:
        return f"It is {task.answers[0]}."
    return next(s for s in ("Yes", "是", "はい", "Rain falls on the town.") if re.fullmatch(task.pattern, s))


def check(after, before=able, **options):
    return check_forgetting(
        Said("base", before), Said("tuned", after), adapter="finetune-1", targets=TARGETS, **options
    )


def test_the_set_is_balanced_answerable_and_shows_its_answers():
    by_language = {lang: [t for t in tasks() if t.lang == lang] for lang in ("en", "zh-TW", "ja")}
    kinds = {lang: sorted(t.kind for t in found) for lang, found in by_language.items()}
    assert kinds["en"] == kinds["zh-TW"] == kinds["ja"] and len(kinds["en"]) == 22
    assert len({t.text for t in tasks()}) == len(tasks())
    for task in tasks():
        assert bool(task.answers) + bool(task.pattern) == (task.kind != "refuse"), task
        if task.kind == "reading":
            assert any(answer in task.passages[0].text for answer in task.answers), task
            assert not task.right(task.passages[0].text.replace(task.answers[0], "")) or len(task.answers) > 1
        elif task.answers:
            assert task.answers[0] in task.question
        assert task.kind == "refuse" or task.right(able(task.text)) and not task.right('{"answer": null}')


def test_an_equal_model_shows_no_difference():
    found = check(able)
    assert [change.part for change in found.changes] == ["general", "refusals", "form"]
    assert [change.effect for change in found.changes] == ["unclear"] * 3 and not found.worse
    assert all(
        change.p == 1.0 and change.difference == 0.0 and change.low < 0.0 < change.high for change in found.changes
    )
    assert found.change("general").n == 48 and found.change("refusals").n == 18 and found.lost == ()
    assert found.scores == {"check.general": 1.0, "check.refusals": 1.0, "check.form": 0.0}


def test_a_model_that_only_writes_the_trained_form_is_found_out():
    found = check(lambda _: '{"answer": "27 days", "source": "Leave policy"}')
    assert {change.part: change.effect for change in found.changes} == {
        "general": "worse", "refusals": "worse", "form": "worse",
    }  # fmt: skip
    form = found.change("form")
    assert (form.before.value, form.after.value, form.difference) == (0.0, 1.0, 1.0)
    assert form.p == pytest.approx(3 * 2 * 0.5**48) or form.p < 1e-12  # exact McNemar, 48 to 0, Holm over three
    assert found.worse and found.by_language == {lang: (1.0, 0.0) for lang in ("en", "zh-TW", "ja")}
    assert len(found.lost) == 3 and found.lost[0].after.startswith("{")
    assert json.loads(json.dumps(found.as_dict()))["changes"][2]["effect"] == "worse"


def test_a_small_loss_is_not_called_one():
    lost = {task.text for task in tasks()[:2]}
    found = check(lambda text: "?" if text in lost else able(text))
    general = found.change("general")
    assert general.difference == pytest.approx(-2 / 48) and general.effect == "unclear" and general.p == 1.0
    assert [one.question for one in found.lost] == [task.question for task in tasks()[:2]]


def test_what_the_base_cannot_do_cannot_be_forgotten():
    found = check(lambda _: "x", before=lambda _: "x")
    assert found.change("general").effect == found.change("refusals").effect == "floor"
    assert check(able, before=lambda _: "x").change("general").effect == "better"  # learned beside its task


def test_the_house_prompt_and_own_questions_are_asked_and_what_is_too_long_is_left_out():
    seen = []

    class Short(Said):
        def generate(self, messages, **options):
            seen.append(messages)
            if len(messages[-1].content) > 500:
                raise ModelRefused("models.too_long", tokens=9, model="m", limit=1)
            return super().generate(messages, **options)

    own = [(Message("user", "Who?"),), (Message("user", "a" * 600),)]
    done = []
    found = check_forgetting(
        Short("base", able), Said("tuned", able), adapter="a", system="House.", unanswerable=own,
        progress=lambda at, total: done.append((at, total)),
    )  # fmt: skip
    assert found.change("refusals").n == 19 and found.change("form") is None
    assert sum(chat[0] == Message("system", "House.") for chat in seen) == 18
    assert done[-1] == (136, 136) and len(done) == 136


def test_the_trained_form_is_what_most_answers_share():
    assert trained_keys(TARGETS) == {"answer", "source"}
    assert trained_keys(["a", "b", *TARGETS]) is None and trained_keys(()) is None
    assert in_form('{"source": 1, "answer": 2, "more": 3}', frozenset({"answer", "source"}))
    assert not in_form('{"answer": 2}', frozenset({"answer", "source"})) and not in_form("[1]", frozenset())


def test_a_null_in_the_house_form_is_a_refusal():
    found = check(lambda t: '{"answer": null, "source": null}', answer_field="answer")
    assert found.change("refusals").after.value == 1.0
