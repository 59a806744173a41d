"""Drift is found and repaired from the stored text."""

import pytest

from groundtune.knowledge.base import KnowledgeBase
from groundtune.types import Document

DRIFTS = {
    "chunks": ["UPDATE chunks SET text = 'wrong' WHERE document_id = 'a'"],
    "chunks lost": ["DELETE FROM chunks WHERE document_id = 'a' AND ordinal = 0"],
    "chunks moved": ["UPDATE chunks SET start = start + 1, end = end + 1 WHERE document_id = 'a'"],
    "chunks heading": ["UPDATE chunks SET heading = 'wrong' WHERE document_id = 'a' AND ordinal = 0"],
    "chunks stray": ["UPDATE chunks SET document_id = 'ghost', ordinal = 9 WHERE document_id = 'a' AND ordinal = 0"],
    "terms": ["UPDATE chunks SET body_terms = 'nonsense' WHERE document_id = 'a'"],
    "lexical": ["INSERT INTO lexical (lexical) VALUES ('delete-all')"],
    "vectors": ["DELETE FROM vectors WHERE chunk = (SELECT min(chunk) FROM vectors)"],
    "vectors all": ["DELETE FROM vectors"],
    "vectors stray": ["INSERT INTO vectors VALUES (9999, zeroblob(256))"],
}


@pytest.fixture
def kb(tmp_path):
    with KnowledgeBase.open(tmp_path, embedder="fake:x") as opened:
        opened.add([Document("a", "### One\n\nAlpha text.\n\n### Two\n\nBeta text.\n"), Document("b", "Gamma text.")])
        yield opened


@pytest.mark.parametrize("name", list(DRIFTS))
def test_drift_is_detected_and_repaired(kb, name):
    healthy = kb.verify()
    assert healthy.sound and healthy.problems == () and (healthy.documents, healthy.chunks) == (2, 3)
    expected = {document.id: kb.chunks(document.id) for document in kb.documents()}
    with kb._store._write() as connection:
        for statement in DRIFTS[name]:
            connection.execute(statement)
    found = kb.verify()
    assert name.split()[0] in {problem.kind for problem in found.problems} and not found.sound
    assert all(problem.sentence(lang) for problem in found.problems for lang in ("en", "zh-TW", "ja"))
    assert kb.verify().problems == found.problems, "looking must not change anything"
    repaired = kb.verify(repair=True)
    assert repaired.problems == found.problems and repaired.sound
    assert kb.verify().problems == ()
    assert {document.id: kb.chunks(document.id) for document in kb.documents()} == expected
    assert kb.search("alpha", 1)[0].chunk.text.endswith("Alpha text.")


def test_a_lost_text_is_reported_and_not_hidden(kb):
    with kb._store._write() as connection:
        connection.execute("UPDATE versions SET text = 'tampered' WHERE document_id = 'b'")
    report = kb.verify(repair=True)
    assert not report.sound and ("text", "b") in {(problem.kind, problem.document) for problem in report.remaining}
