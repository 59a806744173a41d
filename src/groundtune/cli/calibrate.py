"""``groundtune calibrate``: how sure must the reader be before it answers?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from groundtune.cli.ask import require_documents
from groundtune.cli.context import State
from groundtune.cli.options import Number, option, verb
from groundtune.errors import DataError
from groundtune.knowledge.calibrate import Calibration, Rate, Rates, calibrate, holds_answer, judge_question
from groundtune.messages import say
from groundtune.project import Project
from groundtune.tuning.data import load_questions

_KINDS = ("false_answers", "over_refusals", "wrong")


@verb("calibrate")
@option("--max-false-answers", "most", type=Number(float, 0, 1), default=None, metavar="RATE")
@option("--dry-run", is_flag=True)
def command(state: State, most: float | None, dry_run: bool) -> None:
    """Keeps the threshold in the knowledge base, where ``ask`` finds it."""
    project = state.project()
    require_documents(project)
    found = fit_threshold(project, most)
    if not dry_run:
        project.kb.keep_threshold(found, date.today().isoformat())
    state.emit(_table(found, kept=not dry_run), _describe(found, kept=not dry_run))
    if found.few:
        state.talk(say("cli.calibrate.few", answerable=found.answerable, unanswerable=found.unanswerable))


def fit_threshold(project: Project, most: float | None = None) -> Calibration:
    """Read every question of questions.jsonl once and fit. Raises ``DataError`` for missing or too few questions."""
    path = project.config.path(project.config.project.questions)
    if not path.is_file():
        raise DataError("core.file_missing", path=path)
    questions = load_questions(path)
    hits = project.kb.search_many([question.text for question in questions], k=project.config.retrieval.k)
    judged = [
        judge_question(question, found, project.reader, holds_answer)
        for question, found in zip(questions, hits, strict=True)
    ]
    return calibrate(judged, project.reader, max_false_answers=most)


def _describe(found: Calibration, kept: bool) -> str:
    key = "cli.calibrate.kept" if kept else "cli.calibrate.not_kept"
    lines = [say(key, threshold=f"{found.threshold:.3f}", before=f"{found.default_threshold:.3f}", reader=found.reader)]
    lines.append(say("cli.calibrate.out_of_sample", answerable=found.answerable, unanswerable=found.unanswerable))
    for kind in _KINDS:
        new, old = getattr(found.fitted, kind), getattr(found.default, kind)
        lines.append(f"  {say(f'cli.calibrate.{kind}', rate=_rate(new), before=_rate(old))}")
    return "\n".join(lines)


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    share = "-" if rate.value is None else f"{100 * rate.value:.1f} %"
    return f"{share} ({rate.count}/{rate.n}, {100 * low:.1f}-{100 * high:.1f} %)"


def _table(found: Calibration, kept: bool) -> Mapping[str, Any]:
    return {
        "threshold": found.threshold,
        "default_threshold": found.default_threshold,
        "reader": found.reader,
        "kept": kept,
        "answerable": found.answerable,
        "unanswerable": found.unanswerable,
        "few_questions": found.few,
        "fitted": _rates(found.fitted),
        "default": _rates(found.default),
    }


def _rates(rates: Rates) -> Mapping[str, Any]:
    return {
        kind: {"rate": rate.value, "count": rate.count, "n": rate.n, "low": rate.interval[0], "high": rate.interval[1]}
        for kind in _KINDS
        for rate in [getattr(rates, kind)]
    }
