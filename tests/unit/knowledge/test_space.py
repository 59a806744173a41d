"""Another embedder: its vectors are made beside the old ones, also across a crash."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from groundtune import registry
from groundtune.errors import DataError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.models.fake import FakeEmbedder
from groundtune.types import Document

THINGS = ("harbour", "library", "canteen", "garage", "workshop", "archive", "kitchen", "office")


def documents(count=40):
    return [
        Document(
            f"d{n}",
            f"The {THINGS[n % 8]} number {n} opens at seven. Visitors of place{n} register at desk{n} first. "
            f"Its manager keeps the keys of cabinet{n} in the {THINGS[n % 5]} safe.",
        )
        for n in range(count)
    ]


@pytest.fixture
def built(tmp_path):
    with KnowledgeBase.open(tmp_path, embedder="fake:old") as kb:
        kb.add(documents())
    return tmp_path


def nearest(kb, query):
    """The best hit by vectors and words, whatever the self-test chose."""
    vector = kb._preparer.embedder.embed([query], kind="query")[0]
    return kb._store.search(query, vector, 1, space=kb._preparer.space)[0]


def names(kb):
    return [(space.name, space.whole) for space in kb._store.spaces()]


def test_the_new_vectors_take_over(built):
    seen = []
    with KnowledgeBase.open(built, embedder="fake:new", progress=lambda *step: seen.append(step)) as kb:
        assert names(kb) == [("fake:new", True)] and kb.verify().sound
        assert nearest(kb, "desk7").dense is not None
        choice = kb.retrieval()
        assert choice is not None and choice.space == "fake:new" and choice.source == "made"
    assert seen[-1][:2] == (40, 40) and seen[-1][2] == "fake:new"


def test_others_are_answered_from_the_old_vectors_meanwhile(built, monkeypatch):
    with KnowledgeBase.open(built, embedder="fake:old") as old:
        during = []

        def look(done, total, name):
            hit = nearest(old, "desk7")
            during.append((hit.chunk.document_id, hit.dense is not None))

        with KnowledgeBase.open(built, embedder="fake:new", progress=look) as new:
            assert during and set(during) == {("d7", True)}
            assert nearest(new, "desk7").dense is not None
        hit = nearest(old, "desk7")  # the old vectors are gone: words still find it
        assert hit.chunk.document_id == "d7" and hit.dense is None


def test_what_is_written_meanwhile_gets_both(built):
    with KnowledgeBase.open(built, embedder="fake:old") as old:
        written = []

        def write(done, total, name):
            if not written:
                written.append(old.add([Document("late", "The lighthouse is painted every spring.")]))

        with KnowledgeBase.open(built, embedder="fake:new", progress=write) as new:
            assert new.verify().sound
            assert nearest(new, "lighthouse").dense is not None


CHILD = """
import sys
import threading
from groundtune import registry
from groundtune.errors import DataError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.models.fake import FakeEmbedder
original = FakeEmbedder.embed
def slow(self, texts, *, kind):
    import time
    time.sleep(0.02)
    return original(self, texts, kind=kind)
FakeEmbedder.embed = slow
KnowledgeBase.open(sys.argv[1], embedder="fake:new", progress=lambda *step: print(step[0], flush=True)).close()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_kill_while_the_new_vectors_are_made(tmp_path, monkeypatch):
    with KnowledgeBase.open(tmp_path, embedder="fake:old") as kb:
        kb.add(documents(200))
    source = str(Path(sys.modules["groundtune"].__file__).parent.parent)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    made = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL and 0 < made < 200
    with KnowledgeBase.open(tmp_path, embedder="fake:old") as kb:
        assert nearest(kb, "desk7").dense is not None, "the old vectors answer"
    embedded = []
    original = FakeEmbedder.embed

    def counting(self, texts, *, kind):
        if self.name == "fake:new" and kind == "document":
            embedded.append(len(texts))
        return original(self, texts, kind=kind)

    monkeypatch.setattr(FakeEmbedder, "embed", counting)
    monkeypatch.setattr("groundtune.knowledge.space._compare", lambda *_: None)
    with KnowledgeBase.open(tmp_path, embedder="fake:new") as kb:
        assert names(kb) == [("fake:new", True)] and kb.verify().sound
    assert sum(embedded) <= 200 - made, "what was made before the crash is not made again"


def test_documents_written_without_vectors_get_them_when_the_embedder_is_back(built):
    with KnowledgeBase.open(built) as kb:
        kb.add([Document("late", "The lighthouse is painted every spring.")])
        assert names(kb) == [("fake:old", False)] and kb.verify().sound
    with KnowledgeBase.open(built, embedder="fake:old") as kb:
        assert names(kb) == [("fake:old", True)] and kb.verify().sound
        assert nearest(kb, "lighthouse").dense is not None


class Slow:
    """An embedder that waits for a signal before each batch."""

    name, dimension = "fake:slow", 16

    def __init__(self):
        self.inner = FakeEmbedder("slow")
        self.dimension = self.inner.dimension
        self.go, self.asked = threading.Event(), threading.Event()

    def embed(self, texts, *, kind):
        self.asked.set()
        assert self.go.wait(30)
        return self.inner.embed(texts, kind=kind)


@pytest.fixture
def slow(monkeypatch):
    made = Slow()
    load = registry.load

    def loaded(kind, spec, *more, **options):
        return made if (kind, spec) == ("embedder", "fake:slow") else load(kind, spec, *more, **options)

    monkeypatch.setattr(registry, "load", loaded)
    yield made
    made.go.set()


def test_in_the_background_the_old_vectors_answer_until_the_new_ones_are_whole(built, slow):
    with KnowledgeBase.open(built, embedder="fake:slow", background=True) as kb:
        assert slow.asked.wait(30), "the thread has begun"
        state = kb.switching()
        assert (state.old, state.new, state.lacking, state.total) == ("fake:old", "fake:slow", 40, 40)
        assert kb._asked().space == "fake:old" and kb.search("desk7")[0].chunk.document_id == "d7"
        slow.go.set()
        kb._switch._thread.join(60)
        assert kb.switching() is None and names(kb) == [("fake:slow", True)]
        assert kb.search("desk7")[0].chunk.document_id == "d7" and kb.verify().sound


def test_closing_stops_it_and_the_next_one_goes_on(built, slow, monkeypatch):
    monkeypatch.setattr("groundtune.knowledge.space._FIRST", 8)
    kb = KnowledgeBase.open(built, embedder="fake:slow", background=True)
    assert slow.asked.wait(30)
    threading.Timer(0.2, slow.go.set).start()
    kb.close()
    with KnowledgeBase.open(built, embedder="fake:old") as old:
        lacking = old._store.missing("fake:slow")
        assert lacking < 40 and ("fake:old", True) in names(old), "what was made is kept, and the old one still answers"
    with KnowledgeBase.open(built, embedder="fake:slow") as kb:
        assert names(kb) == [("fake:slow", True)]


def test_an_embedder_that_fails_in_the_background_leaves_the_old_one_answering(built, slow, monkeypatch):
    def fail(texts, *, kind):
        raise DataError("knowledge.no_text", document="x")

    monkeypatch.setattr(slow, "embed", fail)
    with KnowledgeBase.open(built, embedder="fake:slow", background=True) as kb:
        kb._switch._thread.join(60)
        assert kb.switching().lacking == 40 and kb.search("desk7")[0].chunk.document_id == "d7"


def test_without_an_old_one_nothing_runs_in_the_background(tmp_path):
    with KnowledgeBase.open(tmp_path, embedder="fake:new", background=True) as kb:
        kb.add(documents(4))
        assert kb._switch is None and kb.switching() is None
