"""``groundtune verify``: does the knowledge base hold exactly what the documents say?"""

from __future__ import annotations

from groundtune.cli.context import State
from groundtune.cli.options import option, verb
from groundtune.knowledge.verify import Problem, VerifyReport
from groundtune.messages import say


@verb("verify")
@option("--repair", is_flag=True)
def command(state: State, repair: bool) -> None:
    """Exit code 1 when something is wrong and was not repaired."""
    report = state.project().kb.verify(repair=repair)
    table = {
        "sound": report.sound,
        "documents": report.documents,
        "chunks": report.chunks,
        "problems": [_row(problem) for problem in report.problems],
        "remaining": [_row(problem) for problem in report.remaining],
    }
    state.emit(table, _describe(report))
    if not report.sound:
        if not repair:
            state.talk(say("cli.verify.hint"))
        raise SystemExit(1)


def _describe(report: VerifyReport) -> str:
    lines = [say("cli.verify.bad", count=len(report.problems))] if report.problems else []
    lines += [f"  - {problem.sentence()}" for problem in report.problems]
    if report.sound and report.problems:
        lines.append(say("cli.verify.repaired"))
    elif report.sound:
        lines.append(say("cli.verify.good", documents=report.documents, chunks=report.chunks))
    elif len(report.remaining) < len(report.problems):
        lines += [say("cli.verify.left", count=len(report.remaining))]
        lines += [f"  - {problem.sentence()}" for problem in report.remaining]
    return "\n".join(lines)


def _row(problem: Problem) -> dict[str, str]:
    return {"kind": problem.kind, "document": problem.document, "sentence": problem.sentence()}
