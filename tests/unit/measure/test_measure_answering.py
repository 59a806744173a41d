"""Asking: cached answers are not asked again, errors are kept apart, an unreachable model stops the run."""

import pytest

from groundtune.errors import ModelRefused, ModelUnreachable
from groundtune.measure.answering import GIVE_UP_AFTER, Asking
from groundtune.measure.cache import AnswerCache
from groundtune.measure.items import Item
from groundtune.types import Answer, Question

ITEMS = [Item(str(i), "question", "g", Question(f"q{i}")) for i in range(12)]


class Scripted:
    name = "scripted"

    def __init__(self, fail=lambda text: None):
        self.asked, self.fail = [], fail

    def fit(self, documents, examples):
        pass

    def answer(self, question):
        self.asked.append(question.text)
        if error := self.fail(question.text):
            raise error
        return Answer(f"to {question.text}", seconds=2.5)


@pytest.fixture
def cache(tmp_path):
    with AnswerCache(tmp_path / "c.sqlite") as opened:
        yield opened


def key(item):
    return item.id


def unreachable():
    return ModelUnreachable("core.file_missing", path="the server")


@pytest.mark.parametrize("workers", [1, 3])
def test_answers_are_kept_and_not_asked_again(cache, workers):
    heard = []
    first = Asking(Scripted(), cache, key, listener=heard.append, workers=workers).run(ITEMS)
    assert [o.answer.text for o in first] == [f"to q{i}" for i in range(12)]
    assert [p.done for p in heard] == list(range(1, 13))
    assert heard[-1].seconds_left == 0.0 and heard[0].total == 12
    again = Scripted()
    assert Asking(again, cache, key, workers=workers).run(ITEMS) == first
    assert again.asked == []
    assert again.asked == [] and first[3].answer.seconds == 2.5  # cached answers keep their own time


def test_refresh_asks_everything(cache):
    Asking(Scripted(), cache, key).run(ITEMS)
    again = Scripted()
    Asking(again, cache, key, refresh=True).run(ITEMS)
    assert len(again.asked) == 12


def test_a_refusal_is_an_error_of_that_item_and_is_asked_again(cache):
    def fail(text):
        return ModelRefused("core.file_missing", path="policy") if text == "q3" else None

    outcomes = Asking(Scripted(fail), cache, key).run(ITEMS)
    assert [o.item.id for o in outcomes if o.error] == ["3"]
    again = Scripted()
    outcomes = Asking(again, cache, key).run(ITEMS)
    assert again.asked == ["q3"] and not any(o.error for o in outcomes)


def test_an_unreachable_model_stops_the_run_and_keeps_what_there_is(cache):
    dead = Scripted(lambda text: unreachable() if text not in ("q0", "q1") else None)
    with pytest.raises(ModelUnreachable):
        Asking(dead, cache, key).run(ITEMS)
    assert len(dead.asked) == 2 + GIVE_UP_AFTER
    alive = Scripted()
    Asking(alive, cache, key).run(ITEMS)
    assert alive.asked == [f"q{i}" for i in range(2, 12)]


def test_fewer_items_than_the_limit_all_unreachable(cache):
    with pytest.raises(ModelUnreachable):
        Asking(Scripted(lambda text: unreachable()), cache, key).run(ITEMS[:2])


def test_single_outages_do_not_stop_it(cache):
    flaky = Scripted(lambda text: unreachable() if int(text[1:]) % 2 else None)
    outcomes = Asking(flaky, cache, key).run(ITEMS)
    assert sum(bool(o.error) for o in outcomes) == 6
