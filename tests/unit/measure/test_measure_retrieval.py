"""Evidence ranks and coverage."""

from groundtune.measure.retrieval import EvidenceRank, evidence_rank, evidence_shown, recall_table
from groundtune.types import Chunk, Evidence, Hit, Question

TEXT = "One. Staff get 25 days. Interns get 12 days. Four."
TEXTS = {"a": TEXT}
QUESTION = Question("?", ("25 days",), Evidence("a", "Staff get 25 days. Interns get 12 days."))


def hit(text, document="a"):
    start = TEXT.index(text)
    return Hit(Chunk(text, document, "v", text, start, start + len(text), "d"), 1.0)


def test_evidence_may_be_spread_over_passages():
    assert evidence_shown(QUESTION, TEXTS, [hit("Interns get 12 days."), hit("Staff get 25 days.")])
    assert evidence_shown(QUESTION, TEXTS, [hit("Staff get 25 days.")])  # the part that holds the answer
    assert evidence_shown(QUESTION, TEXTS, [hit("Interns get 12 days.")]) is False
    assert evidence_shown(QUESTION, TEXTS, [hit("Staff get 25 days.", "b")]) is False
    assert evidence_shown(QUESTION, TEXTS, []) is False
    assert evidence_shown(Question("?", ("x",)), TEXTS, []) is None


def test_rank_of_document_and_quote():
    hits = [hit("Four.", "b"), hit("One."), hit("Interns get 12 days."), hit(TEXT)]
    assert evidence_rank(QUESTION, TEXTS, lambda text, k: hits[:k]) == EvidenceRank(2, 4)
    assert evidence_rank(QUESTION, TEXTS, lambda text, k: []) == EvidenceRank()


def test_recall_table():
    table = recall_table([EvidenceRank(1, 1), EvidenceRank(1, 4), EvidenceRank(2, None), EvidenceRank()], k=4)
    assert (table["document_recall@1"], table["document_recall@3"], table["document_recall@4"]) == (0.5, 0.75, 0.75)
    assert (table["evidence_recall@1"], table["evidence_recall@3"], table["evidence_recall@4"]) == (0.25, 0.25, 0.5)
    assert table["evidence_mrr"] == (1 + 1 / 4) / 4
    assert recall_table([], k=4) == {}
