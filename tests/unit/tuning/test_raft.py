from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.text.prompts import Shown, render
from groundtune.tuning.raft import quote_for, raft_example, refusal_like
from groundtune.types import Example, Message

GOLD = Shown("Leave | Days", "There are 27 days.")
OTHERS = [Shown("Pay", "Pay day is the 25th."), Shown("IT", "Lock the screen."), Shown("Site", "Bay 5 is closed.")]
REFUSAL = '{"answer": null}'


def asked(question="How many days?"):
    return Example(
        (Message("system", "s"), Message("user", question), Message("assistant", '{"answer": "27"}')), id="e"
    )


def raft(**options):
    settings = {"keep_gold": True, "seed": 0, "refusal": REFUSAL} | options
    return raft_example(asked(settings.pop("question", "How many days?")), GOLD, OTHERS, **settings)


@settings(deadline=None)
@given(st.integers(0, 50))
def test_gold_stands_somewhere_among_the_distractors_in_the_form_of_inference(seed):
    row = raft(seed=seed)
    orders = [[*OTHERS[:i], GOLD, *OTHERS[i:]] for i in range(4)]
    assert row.input in [render("How many days?", order) for order in orders]
    assert row.target == '{"answer": "27"}' and row.metadata["gold_shown"] is True
    assert row == raft(seed=seed)


def test_every_place_is_used():
    places = {raft(question=f"q{i}").input.index("27 days") for i in range(60)}
    assert len(places) == 4


def test_without_gold_the_target_is_the_refusal_or_stays():
    row = raft(keep_gold=False)
    assert row.input == render("How many days?", OTHERS) and row.target == REFUSAL
    assert row.metadata["gold_shown"] is False
    assert raft(keep_gold=False, refusal=None).target == '{"answer": "27"}'


def test_unanswerable_examples_keep_their_target_and_see_distractors():
    row = raft_example(asked(), None, OTHERS, keep_gold=True, seed=0, refusal=REFUSAL)
    assert row.input == render("How many days?", OTHERS) and row.target == '{"answer": "27"}'


def test_the_gold_text_is_never_a_distractor():
    row = raft_example(asked(), GOLD, [*OTHERS, Shown("Copy", GOLD.text)], keep_gold=False, seed=0, refusal=REFUSAL)
    assert GOLD.text not in row.input


def test_answers_in_words_begin_with_the_sentence_they_rest_on_word_for_word():
    gold = Shown("Leave | Days", "Leave is paid. There are **27 days** a year, and 3 more later. Ask HR.")
    quote = quote_for(gold, "27 days")
    assert quote == "There are 27 days a year, and 3 more later."
    words = Example((Message("user", "How many?"), Message("assistant", "27")), id="e")

    def made(example=words, quote=quote, keep_gold=True):
        options = {"keep_gold": keep_gold, "seed": 0, "refusal": "Not said.", "quote": quote}
        return raft_example(example, gold, OTHERS, **options).target

    assert made() == f"“{quote}”\n27"
    assert made(quote="There are 28 days a year") == "27"  # not in the passage: never quoted
    assert made(keep_gold=False) == "Not said."
    assert made(asked()) == asked().target  # JSON keeps its form
    said = Example((Message("user", "How many?"), Message("assistant", f"As it says: {quote}")), id="e")
    assert made(said) == said.target
    chinese = Shown("請假", "特休假有 27 天，得分次請。其餘另訂。")
    sentence = quote_for(chinese, "27 天")
    assert raft_example(words, chinese, OTHERS, keep_gold=True, seed=0, refusal=None, quote=sentence).target == (
        "「特休假有 27 天，得分次請。」\n27"
    )
    assert quote_for(gold, "nothing of it") == "" == quote_for(gold, "")


def test_a_refusal_takes_the_form_of_the_answers():
    assert refusal_like('{"answer": "27", "source": {"title": "x"}}') == '{"answer": null, "source": null}'
    assert refusal_like("27 days") is None and refusal_like("[1]") is None and refusal_like("{}") is None
