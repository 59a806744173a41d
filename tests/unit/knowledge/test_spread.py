"""Reading, cutting and embedding by an engine: the same knowledge base as without one, and what only an engine can meet."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundtune import messages
from groundtune.errors import GroundtuneError, UserError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.source import Source
from groundtune.knowledge.spread import Study, spread
from groundtune.knowledge.study import Job

LOST = GroundtuneError("ray.worker_lost", count=4, reason="killed")


class Nearby:
    """An engine in this process: everything is pickled on its way there and back, and ``deadly`` sources kill."""

    workers = 2

    def __init__(self, deadly=()):
        self.deadly = set(deadly)
        self.sent = []

    def map(self, work, items, lost=None):
        there = pickle.loads(pickle.dumps(work)).open()
        for item in items:
            self.sent.append((type(work).__name__, item))
            if isinstance(item, Job) and self.deadly & {source.id for source in item.sources}:
                yield lost(item, LOST)
                continue
            yield pickle.loads(pickle.dumps(there(pickle.loads(pickle.dumps(item)))))


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    for number in range(70):
        text = f"# Rule {number}\n\n" + "\n\n".join(f"Clause {n} of rule {number} allows {n} days." for n in range(30))
        (folder / f"{number:02}.md").write_text(text, encoding="utf-8")
    (folder / "sub" / "fees.md").write_text("# 罰則\n\n### 第1條\n\n違反者處新臺幣三千元罰鍰。\n", encoding="utf-8")
    (folder / "sub" / "leave.md").write_text("# 休暇\n\n社員は年に27日の休暇を取れます。\n", encoding="utf-8")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    return folder


def held(kb):
    """Everything that the knowledge base says, vectors too."""
    space = kb._preparer.space
    return {
        document.id: (document, kb.chunks(document.id), {k: v.tolist() for k, v in kb._store.vectors(document.id, space).items()})
        for document in kb.documents()
    }  # fmt: skip


def told(report):
    return replace(report, seconds=0.0)


def edit(docs):
    """One document changed, one under another name, one gone, one new."""
    (docs / "03.md").write_text("# Rule 3\n\nClause 1 of rule 3 allows 99 days.\n\nNothing else.\n")
    (docs / "04.md").rename(docs / "four.md")
    (docs / "05.md").unlink()
    (docs / "new.md").write_text("# New\n\nSomething new.\n")


@pytest.mark.parametrize("embedder", ["", "fake:", "builtin:embed"])
def test_the_same_as_without_an_engine(tmp_path, docs, embedder):
    engine = Nearby()
    with (
        KnowledgeBase.open(tmp_path / "here" / "kb", embedder=embedder) as here,
        KnowledgeBase.open(tmp_path / "there" / "kb", embedder=embedder) as there,
    ):
        for change in (None, edit, None):
            if change:
                change(docs)
            assert told(there.sync([docs], engine=engine)) == told(here.sync([docs]))
            assert held(there) == held(here) and there.verify().sound
            assert there.search("罰鍰", 3) == here.search("罰鍰", 3)
        assert len(here.documents()) == 72
    assert {name for name, _ in engine.sent} == ({"Study", "Embed"} if embedder else {"Study"})


def test_paths_from_the_working_directory(tmp_path, docs, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engine = Nearby()
    with KnowledgeBase.open("kb") as kb:
        assert len(kb.sync(["docs"], engine=engine).added) == 72
        assert kb.sync(["docs"], engine=engine).changed == 0
    assert all(source.path.is_absolute() for _, job in engine.sent for source in job.sources)


def test_what_kills_a_worker_fails_alone(tmp_path, docs):
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        report = kb.sync([docs], engine=Nearby({"07.md"}))
        assert set(report.failed) == {"broken.pdf", "07.md"} and len(report.added) == 71
        assert "4 workers" in report.failed["07.md"] and kb.verify().sound
        assert kb.sync([docs], engine=Nearby()).added == ("07.md",)


def _job(path: Path) -> Job:
    return Job((Source(path.name, path, path.parent),), {}, {}, 1200, "en")


def test_a_file_that_the_workers_cannot_see(tmp_path):
    path = tmp_path / "here.md"
    there = Study("", ()).open()
    answer = there(_job(path))  # a machine without the file
    path.write_text("# Here\n\nOnly here.\n")

    class Elsewhere(Nearby):
        def map(self, work, items, lost=None):
            return (answer for _ in items)

    with pytest.raises(UserError) as caught:
        list(spread(Elsewhere(), iter([_job(path)]), _preparer()))
    sentences = {caught.value.sentence(lang) for lang in messages.LANGUAGES}
    assert len(sentences) == 3 and all("here.md" in sentence for sentence in sentences)
    path.unlink()  # gone since the files were listed: as without an engine
    (batch,) = spread(Elsewhere(), iter([_job(path)]), _preparer())
    assert batch.results[0].failed


def test_an_embedder_that_a_worker_cannot_load(tmp_path):
    with pytest.raises(UserError, match="cannot load") as caught:
        Study("nobody:x", ()).open()
    assert "nobody" in caught.value.sentence("ja")


def _preparer():
    from groundtune.knowledge.prepare import Preparer

    return Preparer()


def test_vectors_of_workers_are_counted(tmp_path, docs):
    with KnowledgeBase.open(tmp_path / "kb", embedder="fake:") as kb:
        report = kb.sync([docs], engine=Nearby())
        chunks = [chunk for document in kb.documents() for chunk in kb.chunks(document.id)]
        assert report.embedded == len(chunks)
        vectors = kb._store.vectors("00.md", kb._preparer.space)
        assert np.allclose([np.linalg.norm(vector) for vector in vectors.values()], 1.0, atol=1e-2)
