"""``groundtune demo``: the whole job on the bundled sample, offline: ingest, ask, update, compare, decide, cost."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from groundtune import messages
from groundtune.cli import ask as asking
from groundtune.cli import compare as comparing
from groundtune.cli import ingest as ingesting
from groundtune.cli.context import State, console
from groundtune.cli.options import option, verb
from groundtune.errors import UserError
from groundtune.measure.freshness import changed_questions, old_answer
from groundtune.messages import say
from groundtune.project import Project
from groundtune.report.terminal import print_comparison
from groundtune.tuning.data import load_questions
from groundtune.types import Answer, Question
from groundtune.verdict.words import render_cost, render_text

_SAMPLES = Path(__file__).resolve().parent.parent / "builtin" / "samples"
_MARK = ".groundtune-demo"
_QUICK = 20
_ASKED = 2


@dataclass(frozen=True)
class Again:
    """One question before and after the update of the documents."""

    question: Question
    before: Answer
    after: Answer

    @property
    def changed(self) -> bool:
        return self.before.text != self.after.text


@verb("demo")
@option("--folder", default="out/demo", show_default=True)
@option("--quick", is_flag=True)
def command(state: State, folder: str, quick: bool) -> None:
    """In the language in use; running it again starts from a fresh copy but keeps the answers already given."""
    root = (state.folder or Path()) / folder
    prepare(root, messages.language())
    project = comparing.with_limit(Project.open(root), _QUICK if quick else None)
    asked = _freshness(state, project, root)
    state.talk("\n" + say("cli.demo.step_compare"))
    report = comparing.run(project)
    state.talk("\n" + say("cli.demo.step_decide"))
    decision = project.decide()
    lang = messages.language()
    if state.json:
        data = {
            "folder": root,
            "freshness": [{"question": a.question.text, "before": a.before.text, "after": a.after.text} for a in asked],
            "report": json.loads(report.to_json()),
            "verdict": json.loads(decision.verdict.to_json(lang)),
            "cost": json.loads(decision.cost.to_json(lang)),
            "html": decision.run.html_path,
        }
        state.emit(data, "")
    else:
        print_comparison(report, console(), lang, decision.cost)
        state.emit(None, "\n" + render_text(decision.verdict, lang) + "\n" + render_cost(decision.cost, lang))
        state.emit(None, say("cli.compare.report", path=decision.run.html_path))
    state.talk(say("cli.demo.done", folder=root))


def prepare(root: Path, lang: str) -> None:
    """Copy the sample with last year's documents. Raises ``UserError`` for a folder that is something else."""
    if root.exists() and (not root.is_dir() or (any(root.iterdir()) and not (root / _MARK).is_file())):
        raise UserError("cli.demo.not_ours", folder=root)
    root.mkdir(parents=True, exist_ok=True)
    (root / _MARK).write_text(lang + "\n", encoding="utf-8")
    for name in ("groundtune.toml", "questions.jsonl", "examples.jsonl", "schema.json"):
        shutil.copyfile(_SAMPLES / lang / name, root / name)
    replace_documents(root, lang, "documents-2025")


def replace_documents(root: Path, lang: str, edition: str) -> None:
    """Make ``documents/`` hold exactly one edition."""
    target = root / "documents"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(_SAMPLES / lang / edition, target)


def _freshness(state: State, project: Project, root: Path) -> tuple[Again, ...]:
    state.talk(say("cli.demo.step_ingest"))
    _ingest(state, project)
    state.talk("\n" + say("cli.demo.step_ask"))
    chosen = choose(project)
    before = [project.ask(question.text) for question in chosen]
    for question, answer in zip(chosen, before, strict=True):
        _tell(state, f"> {question.text}\n{asking.describe(answer)}\n")
    state.talk(say("cli.demo.step_update"))
    replace_documents(root, messages.language(), "documents")
    _ingest(state, project)
    found = tuple(Again(q, b, project.ask(q.text)) for q, b in zip(chosen, before, strict=True))
    for again in found:
        _tell(state, f"> {again.question.text}\n{_outcome(again)}\n\n{asking.sources(again.after)}\n")
    return found


def choose(project: Project) -> tuple[Question, ...]:
    """Questions whose answer the new edition changes, preferring those whose old answer the old edition gives."""
    path = project.config.path(project.config.project.questions)
    changed = changed_questions(load_questions(path))
    answered = [q for q in changed if old_answer(q) and old_answer(q) in project.ask(q.text).text]
    return (*answered, *(q for q in changed if q not in answered))[:_ASKED]


def _ingest(state: State, project: Project) -> None:
    _tell(state, ingesting.describe(project.ingest()))


def _outcome(again: Again) -> str:
    word = say("cli.demo.changed" if again.changed else "cli.demo.same")
    return f"{say('cli.demo.before')}: {again.before.text or '-'} → {say('cli.demo.after')}: {again.after.text or '-'} ({word})"


def _tell(state: State, text: str) -> None:
    """Part of the story: data for a person, talk for a program."""
    if state.json:
        state.talk(text)
    else:
        state.emit(None, text)
