"""report.json: the printed schema is the generated one, and a report fits it."""

import json
from pathlib import Path

import jsonschema

from groundtune.measure.results import ApproachResult, Estimate, ItemResult, Quote, Report
from groundtune.measure.schema import report_schema

PRINTED = Path(__file__).parents[3] / "docs" / "reference" / "report.schema.json"


def test_printed_schema_is_current():
    assert json.loads(PRINTED.read_text(encoding="utf-8")) == report_schema()


def test_a_report_fits_and_a_broken_one_does_not():
    item = ItemResult(
        "q-1",
        "question",
        "d",
        "?",
        "yes",
        "no",
        scores={"success": 0.0, "answer_f1": None},
        citations=(Quote("d", 0, 2, "ab"),),
    )
    result = ApproachResult("rag", "m", metrics={"success": Estimate(0.5, None, None, 1)}, items=(item,))
    report = Report("p", "en", "2026", "0", "b", "r", 1, 0, 0, 0, 1, approaches=(result,))
    check = jsonschema.Draft202012Validator(report_schema())
    table = json.loads(report.to_json())
    assert not list(check.iter_errors(table))
    table["approaches"][0]["items"][0]["seconds"] = "fast"
    assert list(check.iter_errors(table))
