"""``groundtune lint``: are the examples fit for training?"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune import registry
from groundtune.cli.context import State
from groundtune.cli.options import argument, option, verb
from groundtune.errors import DataError, MissingExtra, TrainingError
from groundtune.messages import say
from groundtune.tuning.data import Problem, load_examples, load_questions, read_examples
from groundtune.tuning.facts import known_facts
from groundtune.tuning.findings import Finding, Level, LintReport
from groundtune.tuning.lint import lint
from groundtune.tuning.probe import ProbeSettings, probe
from groundtune.types import Document, Example

if TYPE_CHECKING:
    from groundtune.project import Project

_SHOWN = 5
_TRAINABLE = ("builtin", "hf")


@verb("lint")
@argument("file", required=False)
@option("--base", metavar="SPEC", default=None)
@option("--keep-going", is_flag=True)
@option("--probe", "ask", is_flag=True)
@option("--no-template", is_flag=True)
def command(state: State, file: str | None, base: str | None, keep_going: bool, ask: bool, no_template: bool) -> None:
    """Documents are read into the knowledge base first: facts are looked up in what they say now."""
    project = state.project()
    config = project.config
    path = Path(file) if file else config.path(config.project.examples)
    problems: tuple[Problem, ...] = ()
    if keep_going:
        read = read_examples(path)
        examples, problems = read.examples, read.problems
    else:
        examples = load_examples(path)
    asked = config.path(config.project.questions)
    questions = load_questions(asked) if config.project.questions and asked.is_file() else ()
    try:
        project.ingest()
    except DataError as error:  # examples can be checked without documents; the advice says that nothing was looked up
        if error.key != "knowledge.empty_folder":
            state.talk(error.sentence())
    documents = project.documents()
    spec = base or config.models.base
    report = lint(
        examples,
        questions,
        documents,
        None if no_template else _tokenizer(state, spec, insist=base is not None),
        max_tokens=config.tuning.max_tokens,
        instruction=config.format.instruction,
        schema=_schema(project),
        problems=problems,
        levels=_levels(state, spec, examples, documents) if ask else None,
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
        "warnings": report.count("warning"), "findings": findings, "levels": dict(report.levels),
        "probe_sentence": report.probe_sentence(),
    }  # fmt: skip


def describe(report: LintReport) -> str:
    """A summary, the advice, and the findings by rule with what to do."""
    lines = [report.summary(), report.advice_sentence()]
    if report.levels:
        lines.append(report.probe_sentence())
    by_rule: dict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        by_rule[finding.rule].append(finding)
    for rule, findings in by_rule.items():
        lines += ["", f"{say(f'cli.lint.severity_{findings[0].severity}')} [{rule}]:"]
        for finding in findings[:_SHOWN]:
            place = f"{say('cli.lint.line', line=finding.line)}: " if finding.line else ""
            lines.append(f"  - {place}{finding.sentence()}")
        if len(findings) > _SHOWN:
            lines.append(f"    {say('cli.lint.more', count=len(findings) - _SHOWN)}")
        lines.append(f"  {say('cli.lint.fix', fix=findings[0].fix())}")
    return "\n".join(lines)


def _tokenizer(state: State, spec: str, *, insist: bool) -> Any:  # noqa: ANN401
    """The tokenizer that training would use; None, said on stderr, where there is none (``insist`` raises instead)."""
    if spec.partition(":")[0] not in _TRAINABLE and not insist:
        state.talk(say("cli.lint.no_tokenizer", base=spec))
        return None
    from groundtune.tuning.lora import load_tokenizer

    if insist and ":" not in spec and Path(spec).is_dir():
        spec = f"hf:{spec}"
    try:
        return load_tokenizer(spec)
    except (MissingExtra, TrainingError) as error:
        if insist:
            raise
        state.talk(error.sentence())
        return None


def _levels(state: State, spec: str, examples: Sequence[Example], documents: Sequence[Document]) -> Mapping[str, Level]:
    """What the base model knows without the documents, asked on a sample of the facts."""
    knowledge = known_facts(examples, {document.id: document.text for document in documents})
    if not knowledge:
        state.talk(say("cli.lint.nothing_to_probe"))
        return {}
    model = registry.load("model", spec)

    def tell(done: int, total: int) -> None:
        if done == total or done % 10 == 0:
            state.talk(say("cli.lint.probing", done=done, total=total))

    return probe(model, knowledge, examples, ProbeSettings(), tell)


def _schema(project: Project) -> Mapping[str, Any] | None:
    """The house schema, None without one or when it cannot be read (``compare`` says why)."""
    name = project.config.format.schema
    if not name:
        return None
    try:
        found = json.loads(project.config.path(name).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
