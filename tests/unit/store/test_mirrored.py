"""The record and an outer store: what is acknowledged is in both, whatever fails in between."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from groundtune import registry
from groundtune.errors import SpecError, StoreError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.labels import FolderRule
from groundtune.store.binding import located, shown
from groundtune.store.fake import SHELVES, Shelf
from groundtune.store.migrate import migrate
from groundtune.store.outer import Held
from groundtune.types import Document

TEXTS = {
    f"d{number}": f"Article {number}. The allowance of group {number} is {number * 10} euros." for number in range(12)
}


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    name = f"mirror-{tmp_path.parent.name[-6:]}{tmp_path.name[-20:]}".replace("_", "-")[:40]
    SHELVES.pop(name, None)
    SHELVES[name] = Shelf()
    SHELVES[name].name = name  # type: ignore[attr-defined]
    return SHELVES[name]


def spec_of(shelf: Shelf) -> str:
    return f"fake:{shelf.name}"  # type: ignore[attr-defined]


def opened(tmp_path, shelf: Shelf, **options) -> KnowledgeBase:
    return KnowledgeBase.open(tmp_path / "kb", store=spec_of(shelf), **options)


def documents(**metadata) -> list[Document]:
    return [Document(name, text, metadata) for name, text in TEXTS.items()]


def held(shelf: Shelf) -> dict[str, str]:
    return {name: entry.document.version for name, (entry, _) in shelf.entries.items()}


def test_a_knowledge_base_is_searched_by_the_outer_store(tmp_path, shelf):
    with opened(tmp_path, shelf, embedder="fake:x") as kb:
        kb.add(documents())
        assert held(shelf) == {document.id: document.version for document in documents()}
        assert kb.search("allowance of group 7", k=1)[0].chunk.document_id == "d7"
        for entry, _ in shelf.entries.values():
            assert entry.vectors is not None and len(entry.vectors) == len(entry.chunks)
        shelf.down = 99  # it really is asked
        with pytest.raises(StoreError, match="cannot be reached"):
            kb.search("allowance")
        shelf.down = 0
        kb.delete(["d7"])
        assert "d7" not in held(shelf)
        assert all(hit.chunk.document_id != "d7" for hit in kb.search("allowance of group 7"))
        assert kb.verify().sound


def test_an_outage_loses_nothing(tmp_path, shelf):
    with opened(tmp_path, shelf) as kb:
        kb.add(documents()[:3])
        shelf.down = 1
        with pytest.raises(StoreError, match="cannot be reached"):
            kb.add(documents())
        assert len(kb.documents()) == 12 and len(held(shelf)) == 3
        kb.add([Document("new", "Something else")])  # the next change brings what is pending along
        assert len(held(shelf)) == 13
        shelf.down = 1
        with pytest.raises(StoreError):
            kb.delete(["d1", "d2"])
    with opened(tmp_path, shelf) as kb:  # and so does opening
        assert held(shelf).keys() == {document.id for document in kb.documents()}
        assert kb.verify().sound


def test_what_the_outer_store_should_not_show_is_not_shown(tmp_path, shelf):
    """A deletion or a label that has not arrived there yet holds all the same."""
    with opened(tmp_path, shelf) as kb:
        kb.add(documents())
        stale = dict(shelf.entries)
        kb.delete(["d1"])
        kb.add([Document("d2", "Replaced."), Document("d3", TEXTS["d3"], {"access": "hr"})])
        shelf.entries.update(stale)  # as if none of it had arrived
        everybody = kb.seen_by(())
        assert {hit.chunk.document_id for hit in everybody.search("allowance of group", k=50)} == TEXTS.keys() - {
            "d1", "d2", "d3"
        }  # fmt: skip
        assert {"d1", "d2"}.isdisjoint(hit.chunk.document_id for hit in kb.search("allowance of group", k=50))
        found = kb.verify()
        assert {problem.document for problem in found.problems if problem.kind == "outer"} == {"d1", "d2", "d3"}
        assert kb.verify(repair=True).sound and "d1" not in held(shelf)


def test_folder_rules_reach_the_outer_store(tmp_path, shelf):
    with opened(tmp_path, shelf) as kb:
        kb.add([Document("hr/pay.md", "The pay scale."), Document("open.md", "The pay day.")])
        for labels, expected in ((("hr",), {"hr/pay.md", "open.md"}), ((), {"open.md"})):
            kb.restrict([FolderRule("hr/", ("hr",))])
            assert {hit.chunk.document_id for hit in kb.seen_by(labels).search("pay")} == expected
            hits = registry.load("store", spec_of(shelf)).search("pay", None, 9, {"@reader": labels})
            assert {hit.chunk.document_id for hit in hits} == expected, "the outer store itself keeps to the labels"
        assert shelf.applied == 3, "only what the rule is about is sent again"
        kb.restrict([])
        assert len(kb.seen_by(()).search("pay")) == 2


def test_another_embedder_is_followed(tmp_path, shelf):
    with opened(tmp_path, shelf) as kb:
        kb.add(documents())
    with opened(tmp_path, shelf, embedder="fake:x") as kb:
        assert all(entry.vectors is not None for entry, _ in shelf.entries.values())
        assert any(hit.dense is not None for hit in kb.search("allowance"))
        kb.add([Document("late", "One more allowance.")])
        assert kb.verify().sound
    with opened(tmp_path, shelf, chunk_characters=40) as kb:
        kb.search("allowance")
        assert kb.verify().sound


def test_changing_the_setting_back_and_forth(tmp_path, shelf):
    with KnowledgeBase.open(tmp_path / "kb", embedder="fake:x") as kb:
        kb.add(documents())
    seen = []
    with opened(tmp_path, shelf, embedder="fake:x", progress=lambda *step: seen.append(step)) as kb:
        assert len(held(shelf)) == 12 and seen[-1] == (12, 12, spec_of(shelf))
    with KnowledgeBase.open(tmp_path / "kb", embedder="fake:x") as kb:
        kb.delete(["d0"])
        kb.add([Document("d1", "Changed while nobody told the outer store.")])
    shelf.applied = 0
    with opened(tmp_path, shelf, embedder="fake:x") as kb:
        assert shelf.applied == 1 and "d0" not in held(shelf), "only what differs is sent"
        assert kb.verify().sound


def test_two_knowledge_bases_do_not_share_a_place(tmp_path, shelf):
    with opened(tmp_path, shelf) as kb:
        kb.add(documents())
    with pytest.raises(StoreError, match="another knowledge base"):
        KnowledgeBase.open(tmp_path / "other", store=spec_of(shelf))
    assert len(held(shelf)) == 12


def test_a_moved_knowledge_base_is_noticed(tmp_path, shelf):
    with opened(tmp_path, shelf) as kb:
        kb.add(documents())
        KnowledgeBase.open(tmp_path / "kb").close()  # now it is searched in its folder
        assert kb.search("allowance of group 7", k=1)[0].chunk.document_id == "d7"
        with pytest.raises(StoreError, match="moved away"):
            kb.add([Document("more", "More.")])


def test_what_is_not_an_outer_store(tmp_path):
    with pytest.raises(SpecError, match="pgvector"):
        registry.load("store", f"sqlite:{tmp_path}", outer="sqlite:elsewhere")
    with pytest.raises(SpecError, match="qdrant"):
        KnowledgeBase.open(tmp_path, store="qdrnt:x")
    with pytest.raises(SpecError, match="name of a store"):
        KnowledgeBase.open(tmp_path, store="fake:bad name!")


def test_secrets_and_folders_of_a_spec(tmp_path):
    assert shown("pgvector:postgresql://me:pa%40ss@host:5432/db#x") == "pgvector:postgresql://me@host:5432/db#x"
    assert shown("qdrant:http://host:6333#x") == "qdrant:http://host:6333#x"
    assert located("lancedb:", tmp_path) == f"lancedb:{tmp_path}/lancedb"
    assert located("lancedb:/there#x", tmp_path) == "lancedb:/there#x"
    assert located("lancedb:s3://bucket/there#x", tmp_path) == "lancedb:s3://bucket/there#x"


# -- migrate -------------------------------------------------------------------------------------------------------


def test_migrate_moves_checks_and_goes_on_where_it_stopped(tmp_path, shelf):
    with KnowledgeBase.open(tmp_path / "kb", embedder="fake:x") as kb:
        kb.add(documents())
        chunks = sum(len(kb.chunks(name)) for name in TEXTS)
    moved = migrate(tmp_path / "kb", spec_of(shelf))
    assert (moved.documents, moved.chunks, moved.vectors, moved.sent) == (12, chunks, chunks, 12)
    assert moved.samples == moved.expected == moved.found == chunks
    del shelf.entries["d3"]
    entry, terms = shelf.entries["d4"]
    shelf.entries["d4"] = (type(entry)(entry.document, entry.chunks, None, None, entry.stamp), terms)  # vectors lost
    again = migrate(tmp_path / "kb", spec_of(shelf))
    assert again.sent == 2 and again.vectors == chunks
    with opened(tmp_path, shelf, embedder="fake:x") as kb:
        assert kb.verify().sound and shelf.applied == 14
    back = migrate(tmp_path / "kb", "sqlite")
    assert back.place == "sqlite" and back.documents == 12


def test_migrate_refuses_a_store_that_does_not_find(tmp_path, shelf, monkeypatch):
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        kb.add(documents())
    monkeypatch.setattr("groundtune.store.fake.FakeStore.lexical", lambda *_: [])
    with pytest.raises(StoreError, match="finds only 0 of 12"):
        migrate(tmp_path / "kb", spec_of(shelf))
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        assert kb.search("allowance of group 7")


def test_migrate_leaves_the_old_store_in_use_until_the_end(tmp_path, shelf):
    other = Shelf()
    SHELVES[f"{shelf.name}b"[-40:]] = other  # type: ignore[attr-defined]
    target = f"fake:{f'{shelf.name}b'[-40:]}"  # type: ignore[attr-defined]
    with opened(tmp_path, shelf, embedder="fake:x") as kb:
        kb.add(documents())
        other.down = 3
        with pytest.raises(StoreError, match="cannot be reached"):
            migrate(tmp_path / "kb", target)
        other.down = 0
        kb.add([Document("during", "Written in between.")])
        assert "during" in held(shelf)
    shelf.down = 10**6  # the old one need not be there to move away from it
    assert migrate(tmp_path / "kb", target).documents == 13


_MOVE = """
import sys
from groundtune.store.migrate import migrate
migrate(sys.argv[1], sys.argv[2], lambda done, total, place: print(done, flush=True))
"""


def test_migrate_goes_on_after_kill_9(tmp_path):
    pytest.importorskip("lancedb", reason="needs the lancedb extra")
    with KnowledgeBase.open(tmp_path / "kb", embedder="fake:x") as kb:
        kb.add([Document(f"d{number:03}", f"Article {number}. Allowance {number}.") for number in range(400)])
    spec = f"lancedb:{tmp_path}/lance#moved"
    command = [sys.executable, "-c", textwrap.dedent(_MOVE), str(tmp_path / "kb"), spec]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert [child.stdout.readline().strip() for _ in range(2)] == ["50", "100"]
    child.send_signal(signal.SIGKILL)
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    with KnowledgeBase.open(tmp_path / "kb", embedder="fake:x") as kb:
        assert kb.search("allowance 7", k=1)[0].chunk.document_id == "d007"
    moved = migrate(tmp_path / "kb", spec)
    assert 0 < moved.sent <= 300 and moved.documents == 400 and moved.found >= 0.9 * moved.expected > 40
    with KnowledgeBase.open(tmp_path / "kb", embedder="fake:x", store=spec) as kb:
        assert kb.verify().sound
        assert kb.search("allowance 7", k=1)[0].chunk.document_id == "d007"


_WRITE = """
import sys
import numpy as np
from groundtune.knowledge.base import KnowledgeBase
from groundtune.types import Document
with KnowledgeBase.open(sys.argv[1], embedder="fake:x", store=sys.argv[2]) as kb:
    for number in range(10_000):
        kb.add([Document(f"d{number % 7}", f"version {number}"), Document(f"n{number}", f"new {number}")])
        if number % 3 == 2:
            kb.delete([f"n{number - 1}"])
        print(number, flush=True)
"""


def test_kill_9_while_writing(tmp_path):
    """After each kill both hold the same, and everything that was acknowledged."""
    pytest.importorskip("lancedb", reason="needs the lancedb extra")
    spec = f"lancedb:{tmp_path}/lance#killed"
    command = [sys.executable, "-c", _WRITE, str(tmp_path / "kb"), spec]
    for wait in (2, 5):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        said = [int(child.stdout.readline()) for _ in range(wait)]
        child.send_signal(signal.SIGKILL)
        said += [int(line) for line in child.stdout.read().split("\n")[:-1]]
        child.stdout.close()
        child.wait()
        with KnowledgeBase.open(tmp_path / "kb", embedder="fake:x", store=spec) as kb:
            assert kb.verify().sound
            last = said[-1]
            assert kb.text(f"d{last % 7}") in {f"version {number}" for number in (last, last + 7)}
            assert f"n{last}" in {document.id for document in kb.documents()} or kb.text(f"n{last}") is None
            assert kb.search(f"new {last}", k=1)[0].chunk.text == f"new {last}" or (last + 1) % 3 == 2


def test_random_changes_through_failures(tmp_path, shelf):
    """Whatever fails in whatever order: once the outer store can be reached, both hold the same."""
    chance = np.random.default_rng(3)
    names = [f"d{number}" for number in range(6)]
    with opened(tmp_path, shelf) as kb:
        for step in range(80):
            shelf.down = int(chance.integers(0, 3)) if chance.random() < 0.4 else 0
            name = str(chance.choice(names))
            try:
                if chance.random() < 0.3:
                    kb.delete([name])
                else:
                    kb.add([Document(name, f"text {step}", {"access": "hr"} if chance.random() < 0.3 else {})])
            except StoreError:
                pass
        shelf.down = 0
        kb.add([Document("last", "the last change")])
        expected = {document.id: document.version for document in kb.documents()}
        assert held(shelf) == expected
        assert kb.verify().sound
        listed = {one.id: one for one in registry.load("store", spec_of(shelf)).listing()}
        assert all(isinstance(one, Held) and one.chunks == 1 for one in listed.values())
