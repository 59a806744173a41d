"""Access labels: nothing that a reader may not see comes out by any path."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundtune.errors import ConfigError, DataError, GroundtuneError
from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.labels import FolderRule, annotated, front_matter, parse_labels, parse_rules
from groundtune.models.fake import FakeModel, open_reader
from groundtune.ports import READER
from groundtune.types import Document

SECRET = "osmium"  # in the answer, never in a question
BAIT = "zirconium"
QUESTION = "What is the salary code of the director?"


def pay(extra: str = "", **metadata: str) -> Document:
    return Document("hr/pay.md", f"{extra}# Pay\n\nThe salary code of the director is {BAIT} {SECRET}.\n", metadata)


PUBLIC = Document("leave.md", "# Leave\n\nThe director gives 27 days of leave. No salary code is needed.\n")


@pytest.fixture
def kb(tmp_path: Path):
    with KnowledgeBase.open(tmp_path / "kb", embedder="fake:x") as opened:
        opened.add([PUBLIC])
        yield opened


def everything(view: KnowledgeBase, moment: str) -> str:
    """Whatever a reader can get out, by every path there is, errors too."""
    writer = FakeModel("echo", lambda messages: messages[-1].content)
    found: list[object] = []

    def take(get: Callable[[], object]) -> None:
        try:
            found.append(get())
        except GroundtuneError as error:
            found.append(str(error))

    for name in ("hr/pay.md", "pay.md", "pay", "documents/hr/pay.md"):
        for version in (None, pay().version, pay("---\naccess: hr\n---\n").version):
            take(lambda name=name, version=version: view.text(name, version))
        take(lambda name=name: view.chunks(name))
        take(lambda name=name: view.history(name))
        take(lambda name=name: view.diff(name))
        take(lambda name=name: view.diff(name, "1", "2"))
        take(lambda name=name: view.at(moment).text(name))
        take(lambda name=name: view.at(moment).chunks(name))
    take(view.documents)
    take(view.at(moment).documents)
    for query in (QUESTION, BAIT, "zirconum"):
        take(lambda query=query: view.search(query, 50))
        take(lambda query=query: view.search(query, 50, {"document_id": "hr/pay.md"}))
        take(lambda query=query: view.search(query, 50, {READER: ("hr",)}))
        take(lambda query=query: view.search_many([query, QUESTION], 50))
        take(lambda query=query: view.at(moment).search(query, 50))
        for as_of in ("", moment):
            take(lambda query=query, as_of=as_of: view.ask(query, reader=open_reader(), as_of=as_of, threshold=0.0))
            take(lambda query=query, as_of=as_of: view.ask(query, writer, reader=open_reader(), as_of=as_of))
    return repr(found) + repr(writer.calls)


def now() -> str:
    time.sleep(0.01)
    moment = datetime.now(UTC).isoformat()
    time.sleep(0.01)
    return moment


def restrict_by_metadata(kb: KnowledgeBase) -> None:
    kb.add([pay(access="HR, legal")])


def restrict_by_front_matter(kb: KnowledgeBase) -> None:
    kb.add([pay("---\ntitle: Pay\naccess:\n  - HR\n  - legal\n---\n")])


def restrict_by_folder(kb: KnowledgeBase) -> None:
    kb.add([pay()])
    kb.restrict([FolderRule("hr/", ("hr", "legal"))])


WAYS = (restrict_by_metadata, restrict_by_front_matter, restrict_by_folder)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_leaks_by_any_path(kb: KnowledgeBase, way: Callable[[KnowledgeBase], None]) -> None:
    way(kb)
    moment = now()
    kb.add([Document("later.md", "Something newer.")])
    for labels in ((), "", "sales", ["h", "r", "hrx", "legal hr"], "H R X"):
        said = everything(kb.seen_by(labels), moment)
        assert SECRET not in said, labels
        assert "27 days" in said
    for labels in ("hr", "Legal", ["sales", "ＨＲ"]):
        assert SECRET in everything(kb.seen_by(labels), moment)
    assert SECRET in everything(kb, moment)


def test_what_is_restricted_today_is_restricted_in_its_past(kb: KnowledgeBase) -> None:
    kb.add([pay()])
    moment = now()
    assert kb.seen_by("").search(BAIT)[0].chunk.document_id == "hr/pay.md"
    kb.add([Document("hr/pay.md", "# Pay\n\nMoved.\n", {"access": "hr"})])
    assert SECRET not in everything(kb.seen_by("sales"), moment)
    assert SECRET in everything(kb.seen_by("hr"), moment)


def test_what_was_restricted_stays_so_in_its_past(kb: KnowledgeBase) -> None:
    kb.add([pay(access="hr")])
    moment = now()
    kb.add([Document("hr/pay.md", "# Pay\n\nNow open to all: see the board.\n")])
    view = kb.seen_by("sales")
    assert SECRET not in everything(view, moment) and "board" in everything(view, moment)
    kb.delete(["hr/pay.md"])
    assert SECRET not in everything(view, moment)


def test_labels_that_change_after_a_look_back_count_at_once(kb: KnowledgeBase) -> None:
    kb.add([pay()])
    moment = now()
    kb.add([Document("other.md", "other")])
    assert SECRET in everything(kb.seen_by(""), moment)
    kb.restrict([FolderRule("hr/", ("hr",))])
    assert SECRET not in everything(kb.seen_by(""), moment)
    kb.restrict([])
    kb.add([pay(access="hr")])
    assert SECRET not in everything(kb.seen_by(""), moment)


def test_a_view_of_a_view_only_narrows(kb: KnowledgeBase) -> None:
    kb.add([pay(access="hr")])
    assert kb.seen_by("sales").seen_by("hr").search(BAIT, 5, {"document_id": "hr/pay.md"}) == []
    assert kb.seen_by("hr,sales").seen_by("hr").text("hr/pay.md") and kb.seen_by("hr").seen_by(None).text("hr/pay.md")


@pytest.mark.parametrize("access", ["", " ", ",", "hr，legal", "['hr']", "null", "%", "_", "*", "hr'--", '"hr"', "0"])
def test_what_cannot_be_read_as_labels_is_for_nobody(kb: KnowledgeBase, access: str) -> None:
    kb._store.apply([kb._preparer.prepare(kb._store, pay(access=access))])  # past ``add``, which tidies labels up
    readers = ("", "sales", "%", "_", "*", "null2", "hr")
    seen = [
        labels for labels in readers if any(h.chunk.document_id == "hr/pay.md" for h in kb.seen_by(labels).search(BAIT))
    ]
    assert seen == [
        labels for labels in seen if parse_labels(labels) and parse_labels(labels)[0] in parse_labels(access)
    ]
    assert kb.search(BAIT)[0].chunk.document_id == "hr/pay.md"


labels = st.sets(st.sampled_from(["hr", "legal", "sales", "it"]), max_size=3)


@given(own=labels, folder=labels, reader=labels)
@settings(deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_store_and_the_definition_agree(
    kb: KnowledgeBase, own: set[str], folder: set[str], reader: set[str]
) -> None:
    kb.add([Document("hr/x.md", BAIT, {"access": ",".join(sorted(own))} if own else {})])
    kb.restrict([FolderRule("hr/", tuple(sorted(folder)))] if folder else [])
    allowed = (not own or bool(own & reader)) and (not folder or bool(folder & reader))
    view = kb.seen_by(reader)
    assert ("hr/x.md" in [hit.chunk.document_id for hit in view.search(BAIT)]) is allowed
    assert (view.text("hr/x.md") is not None) is allowed is bool(view.chunks("hr/x.md"))
    # what was restricted stays so in its past, so each example starts from nothing
    kb.delete(["hr/x.md"])
    kb._store.history.drop(kb._store.history.rows("hr/x.md"))


def test_rules_cover_folders_and_documents() -> None:
    rules = parse_rules(["hr/ = HR, 法務", "plan.md=board"])
    assert rules == (FolderRule("hr/", ("hr", "法務")), FolderRule("plan.md", ("board",)))
    assert rules[0].covers("hr/x/y.md") and not rules[0].covers("hrx.md") and not rules[0].covers("a/hr/x.md")
    assert rules[1].covers("plan.md") and not rules[1].covers("plan.md.bak") and FolderRule("", ("a",)).covers("x")
    for line in ("hr", "= hr", "hr =", "hr = ,"):
        with pytest.raises(ConfigError, match=r"\[access\]"):
            parse_rules([line])


def test_a_rule_for_one_document_covers_no_other(kb: KnowledgeBase) -> None:
    kb.add([pay(), Document("hr/pay.md.txt", "open zeppelin")])
    kb.restrict([FolderRule("hr/pay.md", ("hr",))])
    assert [d.id for d in kb.seen_by("").documents()] == ["hr/pay.md.txt", "leave.md"]


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("---\naccess: HR, Legal\nvalid_from: 2024-01-01\n---\nx", {"access": "HR, Legal", "valid_from": "2024-01-01"}),
        ("---\r\naccess: [HR, \"legal\"]\r\n---\r\nx", {"access": "HR, legal"}),
        ("---\naccess:\n  - HR\n  - 法務 # note\n---\n", {"access": "HR, 法務"}),
        ("\ufeff---\nvalid-to: '2024-01-01' # end\n...\n", {"valid_to": "2024-01-01"}),
        ("---\naccess:\n---\n", {}), ("x\n---\naccess: hr\n---\n", {}), ("---\naccess: hr\n", {}), ("", {}),
    ],
)  # fmt: skip
def test_front_matter(head: str, found: dict[str, str]) -> None:
    assert front_matter(head) == found


def test_annotations_keep_the_text_and_what_the_caller_said() -> None:
    document = Document("a", "---\naccess: hr\nvalid_from: 民國113年1月1日\nowner: x\n---\nbody", {"title": "T"})
    made = annotated(document)
    assert made.text == document.text and made.metadata == {
        "title": "T",
        "access": "hr",
        "valid_from": "民國113年1月1日",
        "owner": "x",
    }
    assert annotated(Document("a", document.text, {"access": "Board"})).metadata["access"] == "board"
    assert annotated(Document("a", "plain", {"title": "T"})) == Document("a", "plain", {"title": "T"})
    with pytest.raises(DataError, match="valid_to"):
        annotated(Document("a", "x", {"valid_to": "soon"}))


def test_a_bad_date_is_one_failed_document(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("---\nvalid_from: someday\n---\nA.\n")
    (tmp_path / "docs" / "b.md").write_text("---\naccess: hr\n---\nB.\n")
    report = kb.sync([tmp_path / "docs"])
    assert report.added == ("b.md",) and "someday" in report.failed["a.md"]
    assert kb.seen_by("").text("b.md") is None


def test_rules_are_kept_with_the_knowledge_base(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        kb.add([pay()])
        kb.restrict([FolderRule("hr/", ("hr",))])
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        assert kb.seen_by("").documents() == () and json.loads(kb._store.get_meta("access_folders"))
