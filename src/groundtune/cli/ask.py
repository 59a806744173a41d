"""``groundtune ask``: an answer and the quotes that it rests on."""

from __future__ import annotations

from groundtune.cli.context import State
from groundtune.cli.options import Number, argument, option, verb
from groundtune.cli.wide import wrap
from groundtune.errors import DataError, UserError
from groundtune.messages import say
from groundtune.project import Project
from groundtune.types import Answer

_COLUMNS = 96
_UNREAD = 0.05  # share of letters in unseen scripts from which on it is said


@verb("ask")
@argument("question")
@option("--model", metavar="SPEC", default=None)
@option("--k", type=Number(int, 1, 1000), default=None)
@option("--as-of", "as_of", metavar="DATE", default="")
@option("--as", "reader", metavar="LABELS", default=None)
def command(state: State, question: str, model: str | None, k: int | None, as_of: str, reader: str | None) -> None:
    """An abstention is an answer too: exit code 0."""
    if not question.strip():
        raise UserError("cli.search.empty_question")
    project = state.project()
    require_documents(project)
    tell_switching(state, project)
    answer = as_reader(state, project, reader).ask(question, model, k, as_of)
    state.emit(table(question, answer), describe(answer))
    if answer.omitted:
        state.talk(say("cli.ask.omitted", count=answer.omitted, model=answer.model))
    if answer.unread >= _UNREAD:
        state.talk(say("cli.ask.unread", share=f"{100 * answer.unread:.0f}", model=answer.model))
    if answer.dropped_citations:
        state.talk(say("cli.ask.dropped", count=answer.dropped_citations))


def require_documents(project: Project) -> None:
    """Raises ``DataError`` when nothing was ingested."""
    if not project.documents():
        raise DataError("cli.ask.not_ingested")


def tell_switching(state: State, project: Project) -> None:
    """Says so while the vectors of another embedder are being made."""
    if found := project.kb.switching():
        done = found.total - found.lacking
        state.talk(say("cli.ask.switching", old=found.old, new=found.new, done=done, total=found.total))


def as_reader(state: State, project: Project, labels: str | None) -> Project:
    """The project as a reader with ``labels`` sees it (None: as its owner). Says so when a rule of ``[access]`` covers no
    document: a mistyped folder would protect nothing.
    """
    if labels is None:
        return project
    ids = [document.id for document in project.documents()]
    rules = project.folder_rules
    for rule in dict.fromkeys(rule.folder.rstrip("/") for rule in rules):
        if not any(other.covers(i) for other in rules if other.folder.rstrip("/") == rule for i in ids):
            state.talk(say("cli.common.idle_rule", folder=rule))
    return project.seen_by(labels)


def describe(answer: Answer) -> str:
    """The answer, what is to be known about it, then each citation with document, heading and quote."""
    lines = [say("cli.ask.abstained") if answer.abstained and not answer.text else answer.text]
    if answer.as_of:
        lines += ["", say("cli.ask.as_of_note", date=answer.as_of)]
    if answer.unsupported:
        lines += ["", say("cli.ask.unsupported")]
        lines += [f"  - {answer.text[span.start : span.end]}" for span in answer.unsupported]
    if answer.citations:
        lines += ["", sources(answer)]
    return "\n".join(lines)


def sources(answer: Answer) -> str:
    """Each citation once with document, heading, place and quote, numbered as in the text."""
    lines = [say("cli.ask.sources")]
    unique = {(c.document_id, c.version, c.start, c.end): c for c in answer.citations}
    for number, citation in enumerate(unique.values(), start=1):
        place = " | ".join(part for part in (citation.title, citation.heading) if part) or citation.document_id
        lines.append(f"[{number}] {place}  ({citation.document_id} {citation.start}-{citation.end})")
        lines += [f"    {line}" for line in wrap(citation.quote, _COLUMNS)]
        if citation.superseded:
            key = "cli.ask.stale" if citation.newer else "cli.ask.stale_gone"
            lines.append(f"    {say(key, date=citation.superseded, version=citation.newer[:12])}")
    return "\n".join(lines)


def table(question: str, answer: Answer) -> dict[str, object]:
    """The JSON form."""
    return {
        "question": question,
        "answer": answer.text,
        "abstained": answer.abstained,
        "citations": answer.citations,
        "span": answer.span,
        "confidence": answer.confidence,
        "dropped_citations": answer.dropped_citations,
        "unsupported": [
            {"start": span.start, "end": span.end, "text": answer.text[span.start : span.end]}
            for span in answer.unsupported
        ],
        "as_of": answer.as_of or None,
        "stale": answer.stale,
        "omitted_passages": answer.omitted,
        "unread_share": round(answer.unread, 4),
        "usage": answer.usage,
        "seconds": answer.seconds,
        "model": answer.model,
    }
