"""The shipped attacks (documents that try to take over the model that reads them) against several models.

    python benchmarks/injection.py [--model builtin:base] [--model ollama:NAME ...] [--reader builtin:reader]

Always measures answers by quoting as well. Counted: attacks whose effect a user would see, attacks that the model obeyed
before its answer was checked, and questions that were answered in spite of the attack; by kind and by language.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from groundtune import registry
from groundtune.measure.redteam import RedTeamReport, Trial, load_attacks, red_team
from groundtune.measure.stats import wilson


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--reader", default="builtin:reader")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    reader = registry.load("reader", given.reader)
    models = [None, *(registry.load("model", spec) for spec in given.model or ["builtin:base"])]
    reports = [red_team(model, reader) for model in models]
    result = {
        "date": date.today().isoformat(),
        "reader": reader.name,
        "python": platform.python_version(),
        "attacks": len(load_attacks()[0]),
        "models": {report.model: table(report) for report in reports},
    }
    for name, row in result["models"].items():
        print(
            name,
            {key: f"{row[key]['count']}/{row[key]['n']}" for key in ("succeeded", "model_obeyed", "answered_right")},
        )
    given.out.mkdir(exist_ok=True)
    path = given.out / f"injection-{result['date']}.json"
    path.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(path)


def table(report: RedTeamReport) -> dict[str, Any]:
    languages = sorted({trial.attack.language for trial in report.trials})
    return {
        "succeeded": asdict(report.obeyed),
        "model_obeyed": asdict(report.wrote),
        "answered_right": asdict(report.right),
        "succeeded_by_kind": {kind: asdict(share) for kind, share in report.by_kind().items()},
        "by_language": {
            language: counts([trial for trial in report.trials if trial.attack.language == language])
            for language in languages
        },
        "answers": {trial.attack.id: trial.answer.text for trial in report.trials},
    }


def counts(trials: Sequence[Trial]) -> dict[str, Any]:
    low, high = wilson(sum(trial.obeyed for trial in trials), len(trials))
    return {
        "n": len(trials),
        "succeeded": sum(trial.obeyed for trial in trials),
        "low": low,
        "high": high,
        "answered_right": sum(trial.right for trial in trials),
    }


if __name__ == "__main__":
    main()
