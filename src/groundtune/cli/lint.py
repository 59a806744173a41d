"""``groundtune lint``: are the examples fit for training?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict

from groundtune.cli.context import State
from groundtune.cli.options import verb
from groundtune.errors import DataError
from groundtune.messages import say
from groundtune.tuning.data import load_examples, load_questions
from groundtune.tuning.lint import Finding, LintReport, lint

_SHOWN = 5


@verb("lint")
def command(state: State) -> None:
    """Documents are read into the knowledge base first: facts are looked up in what they say now."""
    project = state.project()
    config = project.config
    examples = load_examples(config.path(config.project.examples))
    path = config.path(config.project.questions)
    questions = load_questions(path) if config.project.questions and path.is_file() else ()
    try:
        project.ingest()
    except DataError as error:  # examples can be checked without documents; that nothing was looked up is said
        state.talk(error.sentence())
    report = lint(
        examples,
        questions,
        project.documents(),
        max_tokens=config.tuning.max_tokens,
        instruction=config.format.instruction,
    )
    state.emit(table(report), describe(report))
    if report.count("error"):
        raise SystemExit(1)


def table(report: LintReport) -> dict[str, object]:
    """The JSON form, with every finding as a sentence."""
    findings = [{**asdict(f), "sentence": f.sentence(), "fix": f.fix()} for f in report.findings]
    return {
        "examples": report.examples, "knowledge_share": report.knowledge_share, "advice": report.advice,
        "advice_sentence": report.advice_sentence(), "errors": report.count("error"),
        "warnings": report.count("warning"), "findings": findings,
    }  # fmt: skip


def describe(report: LintReport) -> str:
    """A summary, the advice, and the findings by rule with what to do."""
    lines = [report.summary(), report.advice_sentence()]
    by_rule: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_rule[finding.rule].append(finding)
    for findings in by_rule.values():
        lines += ["", f"{say(f'cli.lint.severity_{findings[0].severity}')}:"]
        for finding in findings[:_SHOWN]:
            place = f"{say('cli.lint.line', line=finding.line)}: " if finding.line else ""
            lines.append(f"  - {place}{finding.sentence()}")
        if len(findings) > _SHOWN:
            lines.append(f"    {say('cli.lint.more', count=len(findings) - _SHOWN)}")
        lines.append(f"  {say('cli.lint.fix', fix=findings[0].fix())}")
    return "\n".join(lines)
