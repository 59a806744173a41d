"""The whole job on text that nobody here wrote: `python benchmarks/real_text.py --data DATA [--out out/real]`.

For each language two projects are built at run time (see `real_projects.py`): laws with real amendments (knowledge in a house
format) and extraction to JSON (behaviour). Each is ingested, compared and decided; tables and verdicts go to stdout, numbers
to `benchmarks/results/real-<date>.json` with `--keep`. Running it again goes on where it stopped.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from dataclasses import asdict
from pathlib import Path

from real_projects import SHORT, format_project, law_project
from rich.console import Console

from groundtune import messages
from groundtune.measure.updates import measure_freshness
from groundtune.project import Project
from groundtune.report.progress import ProgressPrinter
from groundtune.report.terminal import print_comparison
from groundtune.verdict.words import render_text


def run(folder: Path, language: str, *, law: bool) -> dict[str, object]:
    project = Project.open(folder)
    printer = ProgressPrinter(Console(stderr=True), language)
    if law:
        project.ingest()
    report = project.compare(progress=printer)
    printer.close()
    decision = project.decide()
    print_comparison(report, Console(width=150), language, decision.cost)
    print(render_text(decision.verdict, language))
    kept: dict[str, object] = {
        "project": report.project, "language": language, "questions": report.questions, "unanswerable": report.unanswerable,
        "examples_trained": report.examples_trained, "examples_held_out": report.examples_held_out, "documents": report.documents,
        "winner": decision.verdict.winner, "level": decision.verdict.level, "retrieval": dict(report.retrieval),
        "approaches": {
            a.name: {"skipped": a.skipped, "metrics": {k: asdict(v) for k, v in a.metrics.items()}, "p50": a.latency_p50, "p95": a.latency_p95}
            for a in report.approaches
        },
    }  # fmt: skip
    if law:
        change = measure_freshness(project.config, folder / "documents-old")
        kept["freshness_rag"] = {"before": asdict(change.before), "after": asdict(change.after)}
        print(f"freshness of rag, {change.after.n} changed questions: {kept['freshness_rag']}")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/real"))
    parser.add_argument("--languages", nargs="*", default=list(SHORT))
    parser.add_argument("--parts", nargs="*", default=["law", "format"])
    parser.add_argument("--questions", type=int, default=90)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/")
    args = parser.parse_args()
    if not (args.data / "law").is_dir():
        sys.exit(f"{args.data} does not hold the development data (no folder law/ in it). Give its path with --data.")
    found = []
    for language in args.languages:
        messages.use(SHORT[language])
        for part in args.parts:
            folder = args.out / f"{part}-{SHORT[language]}"
            if part == "law":
                law_project(args.data, language, folder, questions=args.questions)
            else:
                format_project(args.data, language, folder)
            print(f"\n=== {folder.name} ===", flush=True)
            found.append(run(folder, SHORT[language], law=part == "law"))
    if args.keep:
        path = (
            Path(__file__).parent
            / "results"
            / f"real-{datetime.date.today().isoformat()}-{'-'.join(args.languages)}.json"
        )
        path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
