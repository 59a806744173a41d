"""Settings at the top of a document are its metadata and no passage; metadata that changes alone is stored."""

import pytest

from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.chunk import chunk_document
from groundtune.types import Document

TEXT = "---\ntitle: Fees\nowner: harbour office\nkeywords:\n  - toll\n  - 規費\n---\n# Fees\n\nA boat pays 5.\n"


def test_front_matter_is_no_passage():
    chunks = chunk_document(Document("d", TEXT))
    assert [chunk.text for chunk in chunks] == ["# Fees\n\nA boat pays 5."]
    assert all(chunk.text == TEXT[chunk.start : chunk.end] for chunk in chunks)
    long = TEXT + "\n".join(f"Rule {n}: a boat of {n} metres pays {n * 7}.\n" for n in range(200))
    assert "owner" not in "".join(chunk.text for chunk in chunk_document(Document("d", long)))


@pytest.mark.parametrize("text", ["---\ntitle: Fees\n---\n", "---\ntitle: Fees\n---"])
def test_a_document_of_nothing_else_keeps_it(text):
    assert [chunk.text for chunk in chunk_document(Document("d", text))] == [text.strip()]


def test_dashes_that_are_no_front_matter_stay():
    text = "---\nnot closed: yes\n\nA boat pays 5.\n"
    assert "not closed" in chunk_document(Document("d", text))[0].text


def test_it_becomes_metadata_that_can_be_asked_for(tmp_path):
    with KnowledgeBase.open(tmp_path) as kb:
        kb.add([Document("a", TEXT), Document("b", "# Fees\n\nA boat pays 6.")])
        (held,) = [document for document in kb.documents() if document.id == "a"]
        assert held.text == TEXT and held.title == "Fees"
        assert held.metadata["owner"] == "harbour office" and held.metadata["keywords"] == "toll, 規費"
        assert {hit.chunk.document_id for hit in kb.search("boat", filter={"owner": "harbour office"})} == {"a"}


def test_front_matter_does_not_say_how_a_text_is_cut(tmp_path):
    with KnowledgeBase.open(tmp_path) as kb:
        kb.add([Document("a", "---\nformat: code\npath: /etc\n---\nText.", {"path": "a.md"})])
        assert dict(kb.documents()[0].metadata) == {"path": "a.md"}


def test_metadata_that_changes_alone_is_stored_and_embeds_nothing(tmp_path):
    with KnowledgeBase.open(tmp_path, embedder="fake:x") as kb:
        kb.add([Document("a", "A boat pays 5.", {"owner": "x"})])
        report = kb.add([Document("a", "A boat pays 5.", {"owner": "y"})])
        assert report.updated == ("a",) and report.embedded == 0
        assert kb.documents()[0].metadata["owner"] == "y"
        assert [hit.chunk.document_id for hit in kb.search("boat", filter={"owner": "y"})] == ["a"]
        assert kb.search("boat", filter={"owner": "x"}) == []
        assert kb.add([Document("a", "A boat pays 5.", {"owner": "y"})]).unchanged == ("a",)
        assert kb.verify().sound
