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
    "lexical": ["DELETE FROM postings"],
    "lexical one term": ["DELETE FROM postings WHERE term = 'alpha'"],
    "lexical count": ["UPDATE postings SET packed = x'05000000' WHERE term = 'alpha'"],
    "lexical torn": ["UPDATE postings SET packed = x'050000' WHERE term = 'alpha'"],
    "lexical place": ["UPDATE postings SET packed = x'02090000' WHERE term = 'alpha'"],
    "lexical term": ["UPDATE postings SET term = 'omega' WHERE term = 'alpha'"],
    "lexical strays": ["INSERT INTO postings VALUES (99, 'alpha', x'02000000')"],
    "lexical segment": ["DELETE FROM segments WHERE id = (SELECT max(id) FROM segments)"],
    "lexical rows": ["UPDATE segments SET rows = rows || rows"],
    "lexical twice": [
        "UPDATE segments SET rows = CAST(rows || rows AS BLOB), lengths = CAST(lengths || lengths AS BLOB)"
    ],
    "lexical lengths": ["UPDATE segments SET lengths = zeroblob(length(lengths))"],
    "lexical grave": ["INSERT INTO graves (chunk) SELECT rowid FROM chunks LIMIT 1"],
    "vectors": ["DELETE FROM vectors WHERE key = (SELECT min(key) FROM vectors)"],
    "vectors all": ["DELETE FROM vectors"],
    "vectors stray": ["INSERT INTO vectors (key, vector) VALUES ((1 << 40) | 9999, zeroblob(1024))"],
    "vectors space": ["INSERT INTO vectors (key, vector) SELECT (7 << 40) | rowid, zeroblob(1024) FROM chunks"],
    "vectors short": ["UPDATE vectors SET vector = zeroblob(512) WHERE key = (SELECT min(key) FROM vectors)"],
    "vectors nan": ["UPDATE vectors SET vector = CAST(substr(vector, 5) || x'0000c07f' AS BLOB)"],
    "vectors spaces": ["DELETE FROM spaces"],
    "manifest": ["DELETE FROM documents WHERE id = 'a'"],
    "manifest metadata": ["UPDATE documents SET metadata = '{\"title\": \"wrong\"}' WHERE id = 'a'"],
    "manifest source": ["INSERT INTO sources VALUES ('ghost', 'docs', 'x')"],
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
