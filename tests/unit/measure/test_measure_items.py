"""One answer to one result: success by its definition, metrics that do and do not apply, labels."""

import json

import pytest

from groundtune.measure.format import HouseFormat
from groundtune.measure.items import Item, Rubric, failed_item, score_item
from groundtune.measure.retrieval import EvidenceRank
from groundtune.types import Answer, Chunk, Citation, Document, Evidence, Hit, Question

SCHEMA = {
    "type": "object",
    "properties": {k: {"type": ["string", "null"]} for k in ("answer", "source", "article")},
    "required": ["answer", "source", "article"],
    "additionalProperties": False,
}
DOCUMENT = Document("leave.md", "# Leave\n\n### § 1 Annual\nStaff get 25 days a year.\n\n### § 2 Sick\nPaid for 9 days.\n",
                    {"title": "Leave policy"})  # fmt: skip
EVIDENCE = Evidence("leave.md", "Staff get 25 days a year.")
ASKED = Question("How much leave?", ("25 days", "25"), EVIDENCE, id="q1",
                 metadata={"article": "§ 1", "old_answer": "22 days"})  # fmt: skip
UNANSWERABLE = Question("Who founded it?", (), None, False, id="q2")
RUBRIC = Rubric(
    HouseFormat(SCHEMA, "answer", "source", "article"),
    {"leave.md": DOCUMENT.text},
    {"leave.md": "Leave policy"},
    lambda d, v: DOCUMENT.text if (d, v) == ("leave.md", DOCUMENT.version) else None,
    ranks={"question:q1": EvidenceRank(1, 2)},
    k=5,
)
PLAIN = Rubric(texts=RUBRIC.texts, titles=RUBRIC.titles, version_text=RUBRIC.version_text)


def house(answer, source="Leave policy", article="§ 1"):
    return json.dumps({"answer": answer, "source": source, "article": article})


def hit(quote):
    start = DOCUMENT.text.index(quote)
    return Hit(Chunk("c", "leave.md", DOCUMENT.version, quote, start, start + len(quote), "d"), 1.0)


GOLD, OTHER = hit("Staff get 25 days a year."), hit("Paid for 9 days.")


def result(answer, question=ASKED, rubric=RUBRIC, retrieves=False, **extra):
    answer = answer if isinstance(answer, Answer) else Answer(answer, **extra)
    return score_item(Item(question.id, "question", "leave.md", question), answer, rubric, retrieves=retrieves)


@pytest.mark.parametrize(
    ("output", "success", "em", "valid", "label"),
    [
        (house("25 days"), 1.0, 1.0, 1.0, "ok"),
        (house("25 days", "Wrong", "§ 9"), 1.0, 1.0, 1.0, "ok"),
        (f"Here: {house('25 days')}", 0.0, 1.0, 0.0, "format"),
        ("25 days", 0.0, 1.0, 0.0, "format"),
        ("You get 25 days.", 0.0, 0.0, 0.0, "format"),
        (house("22 days"), 0.0, 0.0, 1.0, "stale"),
        (house("40 days"), 0.0, 0.0, 1.0, "hallucination"),
        (house(None, None, None), 0.0, 0.0, 1.0, "over_refusal"),
        ('{"answer": "25 days"}', 0.0, 1.0, 0.0, "format"),
        ("", 0.0, 0.0, 0.0, "over_refusal"),
    ],
)
def test_success_is_the_right_answer_in_the_house_format(output, success, em, valid, label):
    found = result(output)
    assert (found.scores["success"], found.scores["answer_em"], found.scores["format_valid"]) == (success, em, valid)
    assert found.label == label


@pytest.mark.parametrize(
    ("output", "abstained", "success", "label"),
    [
        (house(None, None, None), False, 1.0, "ok"),  # null in the answer field is a refusal
        (house("Bob"), False, 0.0, "unsupported_answer"),
        ("I do not know.", True, 0.0, "format"),
        ("Bob", False, 0.0, "unsupported_answer"),
    ],
)
def test_an_unanswerable_question_wants_a_refusal_in_the_house_format(output, abstained, success, label):
    found = result(output, UNANSWERABLE, abstained=abstained)
    assert (found.scores["success"], found.label) == (success, label)
    assert found.scores["false_answer"] == float(not found.abstained)
    assert "answer_em" not in found.scores
    assert "over_refusal" not in found.scores


def test_without_a_house_format_the_answer_must_stand_in_the_output():
    good = result("In a year you get 25 days off.", rubric=PLAIN)
    assert good.scores["success"] == good.scores["answer_in_output"] == 1.0
    assert good.scores["answer_em"] == 0.0
    assert good.scores["format_valid"] is None
    assert result("In a year you get 2 days off.", rubric=PLAIN).scores["success"] == 0.0
    assert result("No.", UNANSWERABLE, PLAIN, abstained=True).scores["success"] == 1.0
    assert result("25 days", rubric=PLAIN, abstained=True).scores["success"] == 0.0


def test_source_and_place_are_scored_when_configured():
    right = result(house("25 days")).scores
    wrong = result(house("25 days", "leave policy!", "§ 2")).scores
    assert (right["source_right"], right["place_right"]) == (1.0, 1.0)
    assert (wrong["source_right"], wrong["place_right"]) == (1.0, 0.0)
    assert "source_right" not in result("25 days", rubric=PLAIN).scores


def test_citations_are_scored_against_the_stored_version():
    quote = GOLD.chunk
    good = Citation("leave.md", DOCUMENT.version, quote.start, quote.end, quote.text)
    bad = Citation("leave.md", DOCUMENT.version, 0, 4, "Lies")
    scores = result(house("25 days"), citations=(good, bad)).scores
    assert (scores["citation_precision"], scores["citation_recall"], scores["quote_verbatim"]) == (0.5, 1.0, 0.5)
    none = result(house("25 days")).scores
    assert (none["citation_precision"], none["citation_recall"], none["quote_verbatim"]) == (None, 0.0, None)


@pytest.mark.parametrize(
    ("context", "output", "shown", "label"),
    [
        ((GOLD, OTHER), house("25 days"), True, "ok"),
        ((GOLD, OTHER), house("9 days"), True, "distractor"),
        ((GOLD, OTHER), house("a year"), True, "reading"),
        ((OTHER,), house("9 days"), False, "retrieval_packing"),
        ((hit("25 days"),), house("7 days"), True, "hallucination"),
    ],
)
def test_what_was_shown_decides_between_retrieval_and_reading(context, output, shown, label):
    found = result(Answer(output, context=context), retrieves=True)
    assert (found.evidence_shown, found.label) == (shown, label)
    assert found.retrieved == ("leave.md",) * len(context)


def test_rank_decides_between_ranking_and_recall():
    deep = Rubric(**{**RUBRIC.__dict__, "ranks": {"question:q1": EvidenceRank(1, 30)}})
    nowhere = Rubric(**{**RUBRIC.__dict__, "ranks": {}})
    assert result(house("x"), rubric=deep, retrieves=True).label == "retrieval_ranking"
    assert result(house("x"), rubric=nowhere, retrieves=True).label == "retrieval_recall"


@pytest.mark.parametrize(
    ("target", "output", "success", "f1", "valid", "label"),
    [
        (house("25 days"), house("25 DAYS."), 1.0, 1.0, 1.0, "ok"),
        (house("25 days"), house("25 days", "Other"), 0.0, 2 / 3, 1.0, "reading"),
        (house("25 days"), "```\n" + house("25 days") + "\n```", 0.0, 1.0, 0.0, "format"),
        (house("25 days"), "no", 0.0, 0.0, 0.0, "hallucination"),
        (house(None, None, None), house(None, None, None), 1.0, 1.0, 1.0, "ok"),
    ],
)
def test_held_out_examples_are_compared_field_by_field(target, output, success, f1, valid, label):
    answer = json.loads(target)["answer"]
    question = Question("?", (answer,) if answer else (), None, answer is not None, id="e1")
    found = score_item(Item("e1", "example", "g", question, target), Answer(output), RUBRIC, retrieves=False)
    assert found.scores["example_success"] == success
    assert found.scores["field_f1"] == pytest.approx(f1)
    assert found.scores["example_format_valid"] == valid
    assert "success" not in found.scores
    assert found.label == label
    assert found.expected == target


def test_free_text_examples_have_no_failure_label():
    item = Item("e1", "example", "g", Question("?", ("Dear Sir, thanks.",)), "Dear Sir, thanks.")
    found = score_item(item, Answer("Dear Madam, thanks."), PLAIN, retrieves=False)
    assert found.scores["field_f1"] == pytest.approx(2 / 3)
    assert (found.scores["example_success"], found.label) == (0.0, "")
    assert score_item(item, Answer("dear sir, thanks"), PLAIN, retrieves=False).label == "ok"


def test_without_questions_success_is_the_examples_success():
    rubric = Rubric(**{**RUBRIC.__dict__, "examples_decide": True})
    item = Item("e1", "example", "g", Question("?", ("25 days",)), house("25 days"))
    assert score_item(item, Answer(house("25 days")), rubric, retrieves=False).scores["success"] == 1.0


def test_a_failed_item_has_no_scores():
    found = failed_item(Item("q1", "question", "leave.md", ASKED), "The server said no.")
    assert (found.scores, found.label, found.error, found.expected) == ({}, "error", "The server said no.", "25 days")
