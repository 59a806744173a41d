"""Does a verdict still hold after documents, traffic or prices changed?"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
from verdict_reports import five

from groundtune.config import Config, CostSection
from groundtune.measure.results import Report
from groundtune.verdict.status import Holds, Status, status
from groundtune.verdict.words import render_status

TODAY = date(2026, 12, 23)


def docs(n: int, changed: int = 0) -> dict[str, str]:
    return {f"d{i}": "new" if i < changed else "old" for i in range(n)}


def look(measured: Report, config: Config | None = None, **options: object) -> Status:
    base: dict[str, object] = {"documents": docs(150), "documents_then": docs(150), "today": TODAY}
    return status(measured, config or Config(), **(base | options))  # type: ignore[arg-type]


MEASURED = five(150, prompt=0.05, rag=0.8, finetune=0.15)


def test_nothing_changed() -> None:
    found = look(MEASURED)
    assert found.holds is Holds.YES and found.changed_share == 0 and found.report_age_days == 30
    assert found.now.winner == "rag"


def test_a_few_changed_documents_do_not_matter_and_many_do() -> None:
    few = look(MEASURED, documents=docs(150, changed=3))
    assert few.holds is Holds.YES and few.changed_share == pytest.approx(0.02) and len(few.changed) == 3
    many = look(MEASURED, documents=docs(150, changed=60))
    assert many.holds is Holds.MEASURE_AGAIN and many.affected_share == pytest.approx(0.4)


def test_added_and_removed_documents_count() -> None:
    now = {k: v for k, v in docs(150).items() if k != "d0"} | {"extra": "x"}
    assert look(MEASURED, documents=now).changed == ("d0", "extra")


def test_traffic_can_turn_the_verdict() -> None:
    # At small volume the gain of RAG does not pay its set-up; at the real traffic it does.
    config = Config(cost=CostSection(value_per_correct_answer=0.01, queries_per_month=100))
    measured = five(300, prompt=0.5, rag=0.7)
    same = look(measured, config, documents=docs(300), documents_then=docs(300))
    turned = look(measured, config, documents=docs(300), documents_then=docs(300), volume=1_000_000.0)
    assert same.holds is Holds.YES and turned.holds is Holds.NO
    assert (turned.before.winner, turned.now.winner) == ("prompt", "rag")


def test_unknown_digests_are_said() -> None:
    found = look(MEASURED, documents_then=None)
    assert found.changed_share is None and any(s.key == "status.documents_unknown" for s in found.changes)
    stored = replace(MEASURED, settings={"document_digests": json.dumps(docs(150))})
    assert look(stored, documents_then=None).changed_share == 0


@pytest.mark.parametrize("lang", ["en", "zh-TW", "ja"])
def test_words(lang: str) -> None:
    found = look(MEASURED, documents=docs(150, changed=3), volume=5.0)
    assert "{" not in render_status(found, lang) and json.loads(found.to_json(lang))["holds"] == "yes"
