"""``groundtune questions``: candidates from the documents, and a review before they count."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from groundtune import registry
from groundtune.cli.ask import require_documents
from groundtune.cli.context import State
from groundtune.cli.options import Number, option, verb
from groundtune.knowledge.diff import Change
from groundtune.measure.candidate_file import (
    Entry,
    candidates_path,
    decided,
    keep,
    load_candidates,
    store_candidates,
    with_new,
)
from groundtune.measure.candidates import Candidate, make_candidates
from groundtune.messages import say
from groundtune.project import Project

_CHOICES = {"k": "kept", "e": "edit", "d": "dropped", "q": "quit"}


@verb("questions")
@option("--count", type=Number(int, 1), default=30, show_default=True)
@option("--model", metavar="SPEC", default=None)
@option("--changed", is_flag=True)
@option("--review", is_flag=True)
def command(state: State, count: int, model: str | None, changed: bool, review: bool) -> None:
    """Nothing goes to questions.jsonl that nobody has looked at."""
    project = state.project()
    questions = project.config.path(project.config.project.questions or "questions.jsonl")
    path = candidates_path(questions)
    entries = load_candidates(path)
    if review:
        _review(state, questions, path, entries)
        return
    require_documents(project)
    known = len(entries)
    writer = registry.load("model", model) if model else None
    documents = project.documents()
    changes = _changes(project)
    if changed:
        documents = tuple(document for document in documents if document.id in changes)
    looked_at = {entry.candidate.quote for entry in entries}
    made = make_candidates(documents, count, changes=changes, model=writer, known=looked_at)
    if changed:
        made = tuple(candidate for candidate in made if candidate.kind == "changed")
    entries = with_new(entries, made)[: known + count]
    store_candidates(path, entries)
    fresh = entries[known:]
    kinds = Counter(entry.candidate.kind for entry in fresh)
    lines = [say("cli.questions.made", count=len(fresh), path=path)]
    lines += [f"  {say(f'cli.questions.kind_{kind}')}: {number}" for kind, number in kinds.most_common()]
    lines.append(say("cli.questions.next"))
    state.emit({"made": len(fresh), "kinds": kinds, "path": path, "candidates": fresh}, "\n".join(lines))


def _changes(project: Project) -> dict[str, Sequence[Change]]:
    found: dict[str, Sequence[Change]] = {}
    for document in project.documents():
        if len(project.kb.history(document.id)) > 1:
            changes = project.kb.diff(document.id).changes
            if changes:
                found[document.id] = changes
    return found


def _review(state: State, questions: Path, path: Path, entries: tuple[Entry, ...]) -> None:
    """One after the other; each decision is on disk before the next question is shown."""
    left = [at for at, entry in enumerate(entries) if entry.state == "new"]
    for number, at in enumerate(left, start=1):
        candidate = entries[at].candidate
        state.talk(_shown(candidate, number, len(left)))
        choice = _choice(state)
        if choice == "quit":
            break
        if choice == "edit":
            candidate = _edited(state, candidate)
            choice = "kept"
        if choice == "kept":
            keep(questions, candidate)
            entries = decided(entries, at, "kept", candidate)
        else:
            entries = decided(entries, at, "dropped")
        store_candidates(path, entries)
    counts = Counter(entry.state for entry in entries)
    table = {name: counts[name] for name in ("kept", "dropped", "new")}
    state.emit(table, say("cli.questions.reviewed", None, path=questions, **table))


def _shown(candidate: Candidate, number: int, total: int) -> str:
    answer = candidate.answer or say("cli.questions.no_answer")
    lines = [
        "",
        f"{number}/{total}  {say(f'cli.questions.kind_{candidate.kind}')}  {candidate.document}",
        f"  {say('cli.questions.question')} {candidate.question}",
        f"  {say('cli.questions.answer')} {answer}",
    ]
    if candidate.old_answer:
        lines.append(f"  {say('cli.questions.old_answer')} {candidate.old_answer}")
    if candidate.quote:
        lines.append(f"  {say('cli.questions.evidence')} {candidate.quote}")
    return "\n".join(lines)


def _choice(state: State) -> str:
    while True:
        line = _line(say("cli.questions.ask"))
        if line is None:
            return "quit"
        found = _CHOICES.get(line.strip().casefold()[:1])
        if found:
            return found
        state.talk(say("cli.questions.again"))


def _edited(state: State, candidate: Candidate) -> Candidate:
    """An empty line keeps what is there. The evidence stays: it must stand in the document word for word."""
    question = _line(f"  {say('cli.questions.question')} ") or ""
    answer = (_line(f"  {say('cli.questions.answer')} ") or "") if candidate.answerable else ""
    return replace(
        candidate, question=question.strip() or candidate.question, answer=answer.strip() or candidate.answer
    )


def _line(prompt: str) -> str | None:
    """A line from the terminal; None at its end."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None
