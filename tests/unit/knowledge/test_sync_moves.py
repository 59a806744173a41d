"""Synchronising: renamed files, what is embedded, states of documents, helper processes, progress."""

import pytest

from groundtune.knowledge import study
from groundtune.knowledge.base import KnowledgeBase
from groundtune.types import Document


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(4):
        (docs / f"{number}.md").write_text(
            f"# Rule {number}\n\nTopic{number} is explained here.\n\n## More\n\nPart two.\n"
        )
    return docs


@pytest.fixture
def kb(tmp_path):
    with KnowledgeBase.open(tmp_path / "kb", embedder="fake:x") as opened:
        yield opened


def test_a_moved_file_is_renamed_and_not_embedded_again(kb, folder):
    first = kb.sync([folder])
    assert len(first.added) == 4 and first.embedded == 8
    (folder / "sub").mkdir()
    (folder / "2.md").rename(folder / "sub" / "new name.md")
    report = kb.sync([folder])
    assert report.renamed == {"sub/new name.md": "2.md"} and report.changed == 1
    assert (report.added, report.deleted, report.embedded) == ((), (), 0)
    hit = kb.search("topic2", 1)[0]
    assert hit.chunk.document_id == "sub/new name.md" and hit.dense is not None
    assert kb.text("2.md") is None and kb.verify().sound
    assert kb.sync([folder]).changed == 0


def test_a_moved_and_changed_file_is_a_new_document(kb, folder):
    kb.sync([folder])
    (folder / "2.md").unlink()
    (folder / "9.md").write_text("# Rule 2\n\nSomething else.\n")
    report = kb.sync([folder])
    assert (report.added, report.deleted, report.renamed) == (("9.md",), ("2.md",), {})


def test_two_copies_of_a_moved_file_are_one_rename_and_one_addition(kb, folder):
    kb.sync([folder])
    text = (folder / "2.md").read_text()
    (folder / "2.md").unlink()
    (folder / "a.md").write_text(text)
    (folder / "b.md").write_text(text)
    report = kb.sync([folder])
    assert report.renamed == {"a.md": "2.md"} and report.added == ("b.md",) and report.deleted == ()
    assert kb.verify().sound


def test_a_file_that_is_still_there_is_not_renamed(kb, folder):
    kb.sync([folder])
    (folder / "copy.md").write_text((folder / "2.md").read_text())
    report = kb.sync([folder])
    assert report.added == ("copy.md",) and report.renamed == {}


def test_only_what_changed_is_embedded(kb, folder):
    kb.sync([folder])
    (folder / "1.md").write_text("# Rule 1\n\nTopic1 is explained here.\n\n## More\n\nPart two, changed.\n")
    report = kb.sync([folder])
    assert report.updated == ("1.md",) and report.embedded == 1


def test_states_of_documents(kb, folder):
    kb.sync([folder])
    (folder / "1.md").write_text("# changed\n\nother text\n")
    (folder / "2.md").unlink()
    (folder / "new.md").write_text("# new\n\nnew text\n")
    found = {one.id: one for one in kb.states([folder])}
    assert {name: one.state for name, one in found.items()} == {
        "0.md": "ready", "1.md": "changed", "2.md": "gone", "3.md": "ready", "new.md": "new",
    }  # fmt: skip
    assert found["0.md"].chunks == 2 and found["0.md"].version and found["0.md"].since.startswith("20")
    with kb._store._write() as connection:
        connection.execute("DELETE FROM vectors WHERE chunk IN (SELECT rowid FROM chunks WHERE document_id = '3.md')")
    assert {one.id: one.state for one in kb.states()}["3.md"] == "no_vectors"


def test_progress_counts_every_file(kb, folder):
    seen = []
    kb.sync([folder], progress=lambda done, total, id: seen.append((done, total, id)))
    assert seen == [(n + 1, 4, f"{n}.md") for n in range(4)]


def test_helper_processes_give_the_same_knowledge_base(kb, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "WORTH_HELPERS", 1)
    monkeypatch.setattr(study.parallel, "helpers", lambda: 2)
    (folder / "broken.md").write_bytes(b"\xff\x00\xfe\x01" * 50)
    (folder / "zh.md").write_text("# 罰則\n\n違反者處新臺幣三千元罰鍰。\n", encoding="utf-8")
    report = kb.sync([folder])
    assert len(report.added) == 5 and "UTF-8" in report.failed["broken.md"]
    kb.add([Document(f"by-hand-{n}", f"Document number {n} about subject{n}.") for n in range(6)])
    assert kb.verify().sound and kb.search("罰鍰3,000元", 1)[0].chunk.document_id == "zh.md"
    with KnowledgeBase.open(tmp_path / "alone", embedder="fake:x") as other:
        monkeypatch.setattr(study, "WORTH_HELPERS", 1000)
        other.sync([folder])
        other.add([Document(f"by-hand-{n}", f"Document number {n} about subject{n}.") for n in range(6)])
        for document in kb.documents():
            assert kb.chunks(document.id) == other.chunks(document.id)
        for query in ("topic3 explained", "三千元", "subject4"):
            ours, theirs = kb.search(query, 3), other.search(query, 3)
            assert [(h.chunk.id, h.score) for h in ours] == [(h.chunk.id, h.score) for h in theirs]


def test_a_batch_is_written_as_a_whole_or_not_at_all(kb):
    with pytest.raises(ValueError, match="vectors"):
        kb._store.apply_all(
            [
                ([kb._preparer.prepare(kb._store, Document("a", "first text"))], None),
                ([_short(kb._preparer.prepare(kb._store, Document("b", "second text")))], None),
            ]
        )
    assert kb.documents() == () and kb.verify().sound


def _short(prepared):
    from dataclasses import replace

    return replace(prepared, vectors=prepared.vectors[:0])
