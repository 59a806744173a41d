from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.text.prompts import Shown, render
from groundtune.tuning.raft import raft_example
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
