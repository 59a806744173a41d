"""Citation recall and precision by ALCE's definition, with an exact stand-in for entailment and with ours."""

import pytest

from groundtune.measure.support import (
    CitedSentence,
    citations_of,
    cited_sentences,
    entails,
    sentence_citations,
    unsupported_share,
)
from groundtune.types import Answer, Chunk, Citation, Hit, Span

PASSAGES = ("alpha", "beta", "gamma")


def needs(*wanted):
    """Entails when every wanted passage is in the premise; the claim names them."""
    return lambda premise, claim: all(word in premise for word in claim.split("+"))


@pytest.mark.parametrize(
    ("sentences", "precision", "recall"),
    [
        ([CitedSentence("alpha", (0,))], 1.0, 1.0),
        ([CitedSentence("alpha", (1,))], 0.0, 0.0),
        ([CitedSentence("alpha")], 0.0, 0.0),  # ALCE: precision 0 without citations
        ([CitedSentence("alpha+beta", (0, 1))], 1.0, 1.0),  # neither alone, both needed
        ([CitedSentence("alpha", (0, 1))], 0.5, 1.0),  # beta supports nothing and is not needed
        ([CitedSentence("alpha+beta", (0, 2))], 0.0, 0.0),  # recall 0: none of them counts
        ([CitedSentence("alpha", (0,)), CitedSentence("beta")], 1.0, 0.5),
        ([CitedSentence("alpha", (0,), fabricated=1)], 0.0, 0.0),  # ours: the invented number is in the denominator
        ([CitedSentence("alpha", (0,)), CitedSentence("beta", (1,), fabricated=2)], 0.25, 0.5),
    ],
)
def test_alce(sentences, precision, recall):
    found = sentence_citations(sentences, PASSAGES, needs())
    assert (found.precision, found.recall) == (pytest.approx(precision), pytest.approx(recall))


def test_no_sentences_no_precision():
    assert sentence_citations([], PASSAGES).precision is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Leave is 25 days [1]. Meals are free.[2][9]", [((0,), 0), ((1,), 1)]),
        ("有薪假為25天[1]。餐點免費[2、3]。", [((0,), 0), ((1, 2), 0)]),
        ("休暇は25日です【1】。食事は無料です。", [((0,), 0), ((), 0)]),
        ("Twice [1][1] named.", [((0,), 0)]),
        ("", []),
    ],
)
def test_markers_belong_to_their_sentence(text, expected):
    passages = ["Leave is 25 days.", "Meals are free.", "x"]
    assert [(s.cited, s.fabricated) for s in cited_sentences(text, passages)] == expected


def hit(text, name="d"):
    return Hit(Chunk(name, name, "v", text, 0, len(text), name), 1.0)


def test_an_answer_is_scored_by_its_markers_or_by_what_was_attached():
    context = (hit("Annual leave is 25 days."), hit("Lunch costs 8 pounds."))
    marked = Answer("Annual leave is 25 days [1]. Lunch costs 9 pounds [2].", context=context)
    assert citations_of(marked, marked.text).recall == 0.5 and citations_of(marked, marked.text).precision == 0.5
    quote = Citation("d", "v", 0, 24, "Annual leave is 25 days.")
    attached = Answer("25 days", citations=(quote,), context=context)
    assert citations_of(attached, "25 days").recall == 1.0
    invented = Answer("25 days", citations=(quote,), dropped_citations=1, context=context)
    assert (citations_of(invented, "25 days").precision, citations_of(invented, "25 days").recall) == (0.0, 0.0)
    two = "Annual leave is 25 days. Lunch is free."
    spread = Answer(two, citations=(Citation("d", "v", 0, 24, quote.quote, sentence=Span(0, 24)),), context=context)
    assert citations_of(spread, two).recall == 0.5 and citations_of(spread, two).precision == 1.0
    assert citations_of(Answer("25 days", context=context), "25 days").recall == 0.0


@pytest.mark.parametrize(
    ("premise", "claim", "held"),
    [
        ("For all staff annual leave is 25 days.", "annual leave is 25 days", True),
        ("For all staff annual leave is 25 days.", "annual leave is 26 days", False),
        ("全體員工之特別休假為25天。", "特別休假為25天", True),
        ("全體員工之特別休假為25天。", "特別休假為30天", False),
        ("年次有給休暇は25日です。", "年次有給休暇は25日", True),
        ("", "anything", False),
    ],
)
def test_words_and_numbers_stand_in_for_entailment(premise, claim, held):
    assert entails(premise, claim) is held


def test_the_share_of_sentences_that_nothing_supports():
    passages = ["Annual leave is 25 days. Lunch costs 8 pounds."]
    text = "Annual leave is 25 days [1]. Dinner is served on the roof. Lunch costs 8 pounds."
    assert unsupported_share(text, lambda claim: passages) == pytest.approx(1 / 3)
    assert unsupported_share("  ", lambda claim: passages) is None
    joined = "Annual leave costs 8 pounds."  # its words are there, but in no one sentence
    assert unsupported_share(joined, lambda claim: passages) == 1.0
