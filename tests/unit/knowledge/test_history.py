"""Every version of a document: when it held, what differs, what an earlier date shows, what can be dropped."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.errors import DataError, UserError
from groundtune.knowledge.asof import FOLDER
from groundtune.knowledge.base import KnowledgeBase
from groundtune.knowledge.diff import inline
from groundtune.knowledge.history import DocumentVersion, choose, droppable, lives, version_at
from groundtune.models.fake import open_reader
from groundtune.text.dates import parse_period
from groundtune.types import Document

QUICK = settings(deadline=None, derandomize=True, max_examples=40)

DAY = 86400.0


def law(amount: str, since: str = "", until: str = "", **more: str) -> Document:
    dates = {key: value for key, value in (("valid_from", since), ("valid_to", until)) if value}
    text = f"# Parking act\n\n### Article 1\n\nThe fine for parking is {amount}. It is paid at once.\n"
    return Document("act.md", text, {"title": "Parking act", **dates, **more})


@pytest.fixture
def kb(tmp_path: Path):
    with KnowledgeBase.open(tmp_path / "kb") as opened:
        yield opened


def instant(text: str) -> float:
    period = parse_period(text)
    assert period is not None
    return period.last


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def says(kb: KnowledgeBase, as_of: str = "") -> str:
    answer = kb.ask("What is the fine for parking?", reader=open_reader(), as_of=as_of)
    return "" if answer.abstained else answer.text


def test_the_version_of_a_date_answers(kb: KnowledgeBase) -> None:
    kb.add([law("100 euros", "2020-01-01"), Document("other.md", "Dogs are allowed in the park.")])
    kb.add([law("200 euros", "2024-01-01")])
    assert says(kb) == "The fine for parking is 200 euros."
    assert says(kb, "2024-01-01") == "The fine for parking is 200 euros."
    assert says(kb, "2023-12-31") == "The fine for parking is 100 euros."
    assert says(kb, "2019-12-31") == ""
    assert [hit.chunk.document_id for hit in kb.at("2023").search("fine for parking dogs")] == ["act.md"]


def test_an_answer_from_the_past_says_so(kb: KnowledgeBase) -> None:
    kb.add([law("100 euros", "2020-01-01")])
    kb.add([law("200 euros", "2024-01-01")])
    old = kb.ask("What is the fine for parking?", reader=open_reader(), as_of="2022-05-01")
    (citation,) = old.citations
    assert old.stale and old.as_of == "2022-05-01" and citation.superseded == "2024-01-01"
    assert citation.newer == law("200 euros").version and citation.version == law("100 euros").version
    assert kb.text("act.md", citation.version)[citation.start : citation.end] == citation.quote
    assert not kb.ask("What is the fine for parking?", reader=open_reader()).stale


def test_a_current_document_that_has_run_out_is_marked(kb: KnowledgeBase) -> None:
    kb.add([law("100 euros", "2020-01-01", "2021-12-31")])
    answer = kb.ask("What is the fine for parking?", reader=open_reader())
    assert answer.stale and answer.citations[0].superseded == "2022-01-01" and answer.citations[0].newer == ""
    assert says(kb, "2021-12-31") and not says(kb, "2022-01-01")


def test_without_dates_the_day_of_storing_counts(kb: KnowledgeBase) -> None:
    kb.add([law("100 euros")])
    between = time.time()
    time.sleep(0.02)
    kb.add([law("200 euros")])
    assert says(kb, iso(between)) == "The fine for parking is 100 euros."
    first, second = kb.history("act.md")
    assert first.end == second.start and second.end is None and (first.current, second.current) == (False, True)


def test_a_deleted_document_is_found_at_the_time(kb: KnowledgeBase) -> None:
    kb.add([law("100 euros", "2020-01-01"), Document("b.md", "Bees live here.", {"valid_from": "2020-01-01"})])
    kb.delete(["act.md"])
    assert says(kb) == "" and says(kb, "2021") == "The fine for parking is 100 euros."
    (only,) = kb.history("act.md")
    assert not only.current and only.until
    answer = kb.ask("What is the fine for parking?", reader=open_reader(), as_of="2021")
    assert answer.stale and answer.citations[0].newer == ""


def test_a_retroactive_correction_wins(kb: KnowledgeBase) -> None:
    kb.add([law("100 euros", "2022-01-01")])
    kb.add([law("150 euros", "2021-01-01")])
    assert says(kb, "2023") == "The fine for parking is 150 euros."


def test_going_back_to_an_earlier_text_is_not_out_of_date(kb: KnowledgeBase) -> None:
    for amount, since in (("100 euros", "2020"), ("200 euros", "2021"), ("100 euros", "2022")):
        kb.add([law(amount, since)])
    assert [v.number for v in kb.history("act.md")] == [1, 2, 3]
    assert not kb.ask("What is the fine for parking?", reader=open_reader(), as_of="2020").stale
    assert kb.ask("What is the fine for parking?", reader=open_reader(), as_of="2021").stale


def test_metadata_alone_makes_no_version(kb: KnowledgeBase) -> None:
    kb.add([law("100 euros", "2020-01-01")])
    kb.add([law("100 euros", "2020-01-01", owner="finance")])
    assert len(kb.history("act.md")) == 1


def test_the_index_of_a_date_is_kept_and_made_again_when_the_past_changes(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.add([law("100 euros", "2020-01-01")])
    kb.add([law("200 euros", "2024-01-01")])
    folder = tmp_path / "kb" / FOLDER
    assert says(kb, "2022") == says(kb, "2023") and len(list(folder.iterdir())) == 1
    kb.add([law("110 euros", "2021-06-01")])
    assert says(kb, "2022") == "The fine for parking is 110 euros."
    for year in ("2010", "2011"):
        kb.add([Document(f"{year}.md", "x", {"valid_from": year})])
        kb.add([Document(f"{year}.md", "y", {"valid_from": "2030"})])
        assert says(kb, year) == ""
    assert len([path for path in folder.iterdir() if not path.name.startswith(".")]) <= 4


def test_ranking_of_a_date_is_that_of_the_time(tmp_path: Path) -> None:
    def corpus(edition: int) -> list[Document]:
        fees = [(n, n * 7 + edition * (n % 3)) for n in range(40)]
        return [Document(f"d{n}.md", f"Rule {n}: {'zone ' * (n % 4)}fee {fee}{' euros' * (n % 5)}.") for n, fee in fees]

    with KnowledgeBase.open(tmp_path / "a") as kb, KnowledgeBase.open(tmp_path / "b") as fresh:
        for base in (kb, fresh):
            base.add(corpus(0))
        time.sleep(0.01)
        moment = iso(time.time())
        time.sleep(0.01)
        kb.add(corpus(1))
        past = kb.at(moment)
        for query in ("fee zone", "rule 14 fee 98 euros", "zone 1 fee 91", "euros"):
            then, now = past.search(query, 12), fresh.search(query, 12)
            assert [round(hit.score, 6) for hit in then] == [round(hit.score, 6) for hit in now]
            above = [{h.chunk.text for h in hits if h.score > hits[-1].score + 1e-6} for hits in (then, now)]
            assert above[0] == above[1]  # equal scores may come in any order
        assert {document.version for document in past.documents()} == {d.version for d in corpus(0)}


def test_versions_are_named_by_number_id_or_date(kb: KnowledgeBase) -> None:
    kb.add([law("100 euros", "2020-01-01")])
    kb.add([law("200 euros", "2024-01-01")])
    life = kb.history("act.md")
    for asked in ("1", life[0].version[:8], "2023-05-05", "2023"):
        assert choose(life, asked, "act.md").number == 1
    assert choose(life, "2024-06-01", "act.md").number == 2
    for asked in ("3", "0", "zz", "2019", "abcdefabcdef"):
        with pytest.raises(UserError, match="act.md"):
            choose(life, asked, "act.md")
    with pytest.raises(UserError, match="not a date"):
        kb.at("yesterday")


def test_documents_are_found_by_file_name(kb: KnowledgeBase) -> None:
    kb.add([Document("rules/leave.md", "a"), Document("x/same.md", "b"), Document("y/same.md", "c")])
    for asked in ("rules/leave.md", "leave.md", "leave", "documents/rules/leave.md"):
        assert kb.history(asked)[0].document_id == "rules/leave.md"
    for asked in ("same.md", "nothing", ""):
        with pytest.raises(DataError, match="no document"):
            kb.history(asked)


def test_diff_by_sentence_and_by_character(kb: KnowledgeBase) -> None:
    old = "# 罰則\n\n### 第1條\n\n違反者處新臺幣三千元罰鍰。主管機關為內政部。舊的一句。\n\n### 第2條\n\n不變。\n"
    new = "# 罰則\n\n### 第1條\n\n違反者處新臺幣五千元罰鍰。主管機關為內政部。\n\n### 第2條\n\n不變。\n\n### 第3條\n\n本法自公布日施行。\n"
    kb.add([Document("law.md", old)])
    kb.add([Document("law.md", new)])
    found = kb.diff("law")
    assert [(c.kind, c.heading) for c in found.changes] == [
        ("changed", "第1條"), ("removed", "第1條"), ("added", "第3條"), ("added", "第3條"),
    ]  # fmt: skip
    change = found.changes[0]
    assert [(p.op, p.text) for p in change.parts if p.op != "same"] == [("removed", "三"), ("added", "五")]
    assert change.old_span and old[change.old_span.start : change.old_span.end] == change.old
    assert change.new_span and new[change.new_span.start : change.new_span.end] == change.new
    assert kb.diff("law", "1", "1").changes == () and kb.diff("law", "2", "1").changes[0].new.endswith("三千元罰鍰。")


words = st.lists(st.sampled_from(["fee", "27", "days", "罰", "鍰", "、", "。", " ", "the", "は"]), max_size=12)


@given(words, words)
@QUICK
def test_parts_give_both_sentences_back(a: list[str], b: list[str]) -> None:
    old, new = " ".join(a), " ".join(b)
    parts = inline(old, new)
    came, gone = ("".join(p.text for p in parts if p.op != op) for op in ("removed", "added"))
    assert came == new or not new.split()
    assert "".join(gone.split()) == "".join(old.split())


def test_compact_never_drops_a_current_version(kb: KnowledgeBase) -> None:
    for n, amount in enumerate(("100", "200", "300", "400")):
        kb.add([law(f"{amount} euros", f"202{n}-01-01")])
    kb.add([Document("gone.md", "Bees.", {"valid_from": "2020-01-01"})])
    kb.delete(["gone.md"])
    first = kb.history("act.md")[0].version
    assert says(kb, "2020-06-01").endswith("100 euros.")
    assert [v.number for v in kb.compact(keep=2, dry_run=True)] == [1, 2] and len(kb.history("act.md")) == 4
    assert [v.number for v in kb.compact(keep=2)] == [1, 2]
    assert kb.text("act.md", first) is None and says(kb).endswith("400 euros.") and kb.verify().sound
    assert says(kb, "2020-06-01") == "" and says(kb, "2022-06-01").endswith("300 euros.")
    assert [v.number for v in kb.compact(before="2023-01-01")] == [1]
    assert len(kb.history("act.md")) == 1 and kb.history("gone.md")
    assert [v.document_id for v in kb.compact(before="2100-01-01")] == ["gone.md"]
    assert kb.compact(keep=1) == () and kb.compact(before="2100") == () and says(kb).endswith("400 euros.")


times = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), min_size=1, max_size=8)


class Row:
    """A stored version as the store gives it."""

    def __init__(self, seq: int, version: str, since: float, until: float | None, metadata: dict[str, str]) -> None:
        self.seq, self.document_id, self.version, self.characters = seq, "d", version, 1
        self.since, self.until, self.metadata = since, until, metadata


@given(times, st.integers(1, 4), st.integers(0, 60))
@QUICK
def test_one_version_at_most_holds_at_any_time_and_dropping_spares_the_current(
    steps: list[tuple[str, int]], keep: int, at: int
) -> None:
    rows, now = [], 0.0
    for seq, (text, wait) in enumerate(steps):
        rows.append(Row(seq, text, now, None, {}))
        now += wait
        rows[-1].until = now
    rows[-1].until = None
    life = lives(rows)["d"]
    held = [version for version in life if version.holds_at(float(at))]
    assert len(held) == 1 == len([version_at(life, float(at))]) and held[0] == version_at(life, float(at))
    expected = next(row.version for row in reversed(rows) if row.since <= at)
    assert held[0].version == expected
    gone = droppable(rows, keep=keep)
    left = [row for row in rows if row not in gone]
    assert rows[-1] in left and len(lives(left)["d"]) == min(keep, len(life))


def test_versions_know_their_days() -> None:
    version = DocumentVersion(1, "d", "v", "t", instant("2024-03-01"), instant("2024-03-02"), 0.0, False, 1, 1)
    assert (version.since, version.until) == ("2024-03-01", "2024-03-02") and replace(version, end=None).until == ""
