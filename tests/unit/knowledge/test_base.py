"""The knowledge base end to end: sync, update, delete, settings, ask."""

import pytest

from groundtune.errors import DataError, StoreError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.types import Document, Generation, Reading, Usage


class Quoter:
    """A reader that finds ``needle``."""

    name = "test"
    threshold = 0.5

    def __init__(self, needle, probability=0.9):
        self.needle, self.probability = needle, probability

    def read(self, question, passages, k=5):
        for index, text in enumerate(passages):
            start = text.find(self.needle)
            if start >= 0:
                end = start + len(self.needle)
                stop = (
                    min([p for p in (text.find(".", end), text.find("。", end)) if p >= 0], default=len(text) - 1) + 1
                )
                begin = max(text.rfind("\n", 0, start), text.rfind(". ", 0, start) + 1, text.rfind("。", 0, start)) + 1
                return [Reading(index, start, end, begin, stop, 1.0, self.probability)]
        return []


class Writer:
    name = "writer"

    def __init__(self, text):
        self.text, self.seen = text, None

    def generate(self, messages, *, max_tokens=256, temperature=0.0, seed=0, schema=None):
        self.seen = messages
        return Generation(self.text, Usage(10, 5), 0.1)


@pytest.fixture
def folder(tmp_path):
    docs = tmp_path / "docs"
    (docs / "sub").mkdir(parents=True)
    (docs / "leave.md").write_text("# Leave\n\n### § 1 Annual leave\n\nStaff get 27 days of annual leave.\n")
    (docs / "sub" / "fees.md").write_text("# 罰則\n\n### 第1條\n\n違反者處新臺幣三千元罰鍰。\n", encoding="utf-8")
    return docs


@pytest.fixture
def kb(tmp_path):
    with KnowledgeBase.open(tmp_path / "state" / "kb") as opened:
        yield opened


def top(kb, query):
    hits = kb.search(query, 1)
    return hits[0].chunk if hits else None


def test_sync_adds_updates_and_deletes(kb, folder):
    first = kb.sync([folder])
    assert first.added == ("leave.md", "sub/fees.md") and first.changed == 2
    assert kb.sync([folder]).unchanged == ("leave.md", "sub/fees.md")
    assert top(kb, "annual leave days").heading == "§ 1 Annual leave"
    assert top(kb, "罰鍰多少").title == "罰則"
    old = kb.documents()[0].version
    (folder / "leave.md").write_text("# Leave\n\nStaff get 30 days.\n")
    (folder / "new.txt").write_text("Parking is free.")
    (folder / "sub" / "fees.md").unlink()
    second = kb.sync([folder])
    assert (second.added, second.updated, second.deleted) == (("new.txt",), ("leave.md",), ("sub/fees.md",))
    assert top(kb, "Staff days").text.endswith("30 days.")
    assert "27 days" in kb.text("leave.md", old)
    assert [document.id for document in kb.documents()] == ["leave.md", "new.txt"]
    assert kb.verify().sound


def test_deletions_concern_only_what_came_from_the_same_path(kb, folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.md").write_text("other folder")
    kb.sync([folder])
    kb.sync([other])
    kb.add([Document("by-hand", "added by hand")])
    (folder / "leave.md").unlink()
    assert kb.sync([folder]).deleted == ("leave.md",)
    assert {document.id for document in kb.documents()} == {"sub/fees.md", "b.md", "by-hand"}


def test_a_document_taken_over_by_another_folder_is_not_deleted_with_the_first(kb, folder, tmp_path):
    newer = tmp_path / "docs-2026"
    newer.mkdir()
    (newer / "leave.md").write_text("# Leave\n\nStaff get 28 days.\n")
    kb.sync([folder])
    assert kb.sync([newer]).updated == ("leave.md",)
    (folder / "leave.md").unlink()
    assert kb.sync([folder]).deleted == ()
    assert "28" in kb.text("leave.md")


def test_an_unreadable_file_keeps_its_last_good_version(kb, folder):
    kb.sync([folder])
    (folder / "leave.md").write_bytes(b"\xff\x00\xfe\x01" * 50)
    report = kb.sync([folder])
    assert list(report.failed) == ["leave.md"] and "UTF-8" in report.failed["leave.md"]
    assert report.deleted == ()
    assert top(kb, "annual leave days").document_id == "leave.md"
    (folder / "leave.md").write_text("# Leave\n\nnow readable\n")
    assert kb.sync([folder]).updated == ("leave.md",)


def test_an_emptied_folder_does_not_empty_the_knowledge_base(kb, folder):
    kb.sync([folder])
    (folder / "leave.md").unlink()
    (folder / "sub" / "fees.md").unlink()
    with pytest.raises(DataError, match="no readable document"):
        kb.sync([folder])
    assert len(kb.documents()) == 2


def test_a_project_can_be_moved(tmp_path):
    here = tmp_path / "project"
    (here / "docs").mkdir(parents=True)
    (here / "docs" / "a.md").write_text("a")
    (here / "docs" / "b.md").write_text("b")
    with KnowledgeBase.open(here / ".groundtune" / "kb") as kb:
        kb.sync([here / "docs"])
    there = here.rename(tmp_path / "moved")
    (there / "docs" / "b.md").unlink()
    with KnowledgeBase.open(there / ".groundtune" / "kb") as kb:
        report = kb.sync([there / "docs"])
    assert report.unchanged == ("a.md",) and report.deleted == ("b.md",)


def test_progress_counts_every_file(kb, folder):
    seen = []
    kb.sync([folder], progress=lambda done, total, name: seen.append((done, total, name)))
    assert seen == [(1, 2, "leave.md"), (2, 2, "sub/fees.md")]


def test_add_and_delete(kb):
    report = kb.add([Document("a", "alpha"), Document("b", "beta", {"year": 2026})])
    assert report.added == ("a", "b")
    assert kb.add([Document("a", "alpha"), Document("b", "beta", {"year": 2027})]).updated == ("b",)
    assert [hit.chunk.document_id for hit in kb.search("beta", filter={"year": 2027})] == ["b"]
    assert kb.delete(["a", "nope"]).deleted == ("a",)
    assert kb.search("alpha") == []
    with pytest.raises(DataError):
        kb.add([Document("c", "x"), Document("c", "y")])
    assert kb.text("c") is None


def test_a_second_connection_sees_every_change(kb, tmp_path):
    with KnowledgeBase.open(tmp_path / "state" / "kb") as other:
        assert other.search("alpha") == []
        kb.add([Document("a", "alpha")])
        assert len(other.search("alpha")) == 1
        other.delete(["a"])
        assert kb.search("alpha") == []


def test_changed_settings_build_the_index_again(tmp_path):
    text = " ".join(f"Sentence {n} about parking." for n in range(200))
    with KnowledgeBase.open(tmp_path) as kb:
        kb.add([Document("a", text)])
        before = len(kb.chunks("a"))
    with KnowledgeBase.open(tmp_path, chunk_characters=300) as kb:
        assert len(kb.chunks("a")) > before
        assert kb.verify().sound
    with KnowledgeBase.open(tmp_path, chunk_characters=300, embedder="fake:x") as kb:
        assert kb.search("parking sentence 7", 3)[0].dense is not None
        assert kb.verify().sound


def test_unchanged_chunks_are_not_embedded_again(tmp_path, monkeypatch):
    from groundtune.models.fake import FakeEmbedder

    counted = []
    original = FakeEmbedder.embed

    def counting(self, texts, *, kind):
        counted.append((kind, len(texts)))
        return original(self, texts, kind=kind)

    monkeypatch.setattr(FakeEmbedder, "embed", counting)
    sections = [f"### Part {n}\n\nText of part {n}.\n" for n in range(5)]
    with KnowledgeBase.open(tmp_path, embedder="fake:x") as kb:
        kb.add([Document("a", "\n".join(sections))])
        sections[2] = "### Part 2\n\nChanged.\n"
        kb.add([Document("a", "\n".join(sections))])
        assert counted == [("document", 5), ("document", 1)]
        assert [len(hits) > 0 for hits in kb.search_many(["Changed", "part 4"], 2)] == [True, True]
        assert counted[-1] == ("query", 2)


def test_a_damaged_file_is_one_sentence(tmp_path):
    (tmp_path / "knowledge.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreError, match="damaged") as caught:
        KnowledgeBase.open(tmp_path)
    assert "知識庫" in caught.value.sentence("zh-TW") and "ナレッジベース" in caught.value.sentence("ja")


# -- ask ---------------------------------------------------------------------------------------------------------------


def test_ask_quotes_the_sentence_and_cites_it(kb, folder):
    kb.sync([folder])
    answer = kb.ask("How many days of annual leave?", reader=Quoter("27 days"))
    assert (answer.text, answer.span) == ("Staff get 27 days of annual leave.", "27 days")
    (citation,) = answer.citations
    assert kb.text(citation.document_id, citation.version)[citation.start : citation.end] == citation.quote
    assert (citation.title, citation.heading) == ("Leave", "§ 1 Annual leave")
    assert not answer.abstained and answer.confidence == 0.9 and answer.seconds > 0 and answer.context


@pytest.mark.parametrize(
    ("question", "start"),
    [("annual leave?", "The documents"), ("罰鍰是多少？", "文件中"), ("罰鍰はいくらですか？", "文書の中に")],
)
def test_ask_abstains_in_the_language_of_the_question(kb, folder, question, start):
    kb.sync([folder])
    answer = kb.ask(question, reader=Quoter("leave", 0.2))
    assert answer.abstained and not answer.citations and answer.text.startswith(start)


def test_ask_abstains_without_documents(kb):
    assert kb.ask("anything?", reader=Quoter("x")).abstained
    assert kb.ask("anything?", Writer("made up"), reader=Quoter("x")).abstained


def test_ask_writes_with_a_model_and_cites(kb, folder):
    kb.sync([folder])
    writer = Writer("27 days [1], not 30 [7].")
    answer = kb.ask("How many days of annual leave?", writer, reader=Quoter("27 days"))
    assert [citation.quote for citation in answer.citations] == ["Staff get 27 days of annual leave."]
    assert answer.dropped_citations == 1 and answer.usage == Usage(10, 5)
    system, user = writer.seen
    assert "passages only" in system.content and user.content.startswith("[1] Leave | § 1 Annual leave\nStaff get")
    assert user.content.endswith("How many days of annual leave?")


def test_ask_knows_the_refusal_of_a_model(kb, folder):
    kb.sync([folder])
    answer = kb.ask("annual leave?", Writer("The documents do not answer this question."), reader=Quoter("27"))
    assert answer.abstained and answer.citations == ()


def test_model_and_reader_by_spec(kb, folder):
    kb.sync([folder])
    answer = kb.ask("annual leave days", "fake:extract", reader="fake:x")
    assert [citation.quote for citation in answer.citations] == ["Staff get 27 days of annual leave."]
