"""Puts measured tables into README.md between their marks: `python benchmarks/readme_tables.py NAME FOLDER [FOLDER ...]`.

NAME is `demo`, `more` or `real`; each FOLDER is a project folder with a finished comparison.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from groundtune.project import Project
from groundtune.report.markdown import to_markdown

README = Path(__file__).parent.parent / "README.md"


def table(folder: str) -> str:
    project = Project.open(folder)
    run = project.latest()
    if run is None:
        sys.exit(f"{folder} has no finished comparison. Run: groundtune -C {folder} compare")
    report = run.report()
    verdict = run.winner() or "inconclusive"
    return f"{to_markdown(report, 'en', project.cost(report)).rstrip()} Project {report.project}. Verdict: **{verdict}**.\n"


def main() -> None:
    name, *folders = sys.argv[1:]
    text = README.read_text(encoding="utf-8")
    body = "\n".join(table(folder) for folder in folders)
    marks = f"<!-- {name}-table -->"
    end = f"<!-- /{name}-table -->"
    text = re.sub(f"{re.escape(marks)}.*?{re.escape(end)}", lambda _: f"{marks}\n{body}{end}", text, flags=re.DOTALL)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
