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


@verb("ask")
@argument("question")
@option("--model", metavar="SPEC", default=None)
@option("--k", type=Number(int, 1, 1000), default=None)
def command(state: State, question: str, model: str | None, k: int | None) -> None:
    """An abstention is an answer too: exit code 0."""
    if not question.strip():
        raise UserError("cli.search.empty_question")
    project = state.project()
    require_documents(project)
    answer = project.ask(question, model, k)
    state.emit(table(question, answer), describe(answer))
    if answer.dropped_citations:
        state.talk(say("cli.ask.dropped", count=answer.dropped_citations))


def require_documents(project: Project) -> None:
    """Raises ``DataError`` when nothing was ingested."""
    if not project.documents():
        raise DataError("cli.ask.not_ingested")


def describe(answer: Answer) -> str:
    """The answer, then each citation with document, heading and quote."""
    text = say("cli.ask.abstained") if answer.abstained and not answer.text else answer.text
    return "\n".join([text, *(["", sources(answer)] if answer.citations else [])])


def sources(answer: Answer) -> str:
    """Each citation with document, heading, place and quote."""
    lines = [say("cli.ask.sources")]
    for number, citation in enumerate(answer.citations, start=1):
        place = " | ".join(part for part in (citation.title, citation.heading) if part) or citation.document_id
        lines.append(f"[{number}] {place}  ({citation.document_id} {citation.start}-{citation.end})")
        lines += [f"    {line}" for line in wrap(citation.quote, _COLUMNS)]
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
        "usage": answer.usage,
        "seconds": answer.seconds,
        "model": answer.model,
    }
