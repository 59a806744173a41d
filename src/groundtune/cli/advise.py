"""``groundtune advise``: the decision framework for someone who has no data yet."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from groundtune import messages
from groundtune.cli.context import State, find_start
from groundtune.cli.options import Number, OneOf, option, verb
from groundtune.config import Config
from groundtune.errors import UserError
from groundtune.messages import say
from groundtune.project import Project
from groundtune.tuning.data import load_examples
from groundtune.verdict.advise import ANSWERS, Interview, InterviewQuestion, advise, questions
from groundtune.verdict.signals import read_signals
from groundtune.verdict.words import render_advice


def _flags(function: Callable[..., Any]) -> Callable[..., Any]:
    for question in reversed(questions("en")):
        flag, key = "--" + question.name.replace("_", "-"), f"verdict.ask.{question.name}"
        if question.kind == "yes_no":
            add = option(f"{flag}/--no-{flag[2:]}", question.name, default=None, help_key=key)
        elif question.kind == "choice":
            add = option(flag, question.name, type=OneOf(list(question.choices)), default=None, help_key=key)
        else:
            kind = int if isinstance(question.default, int) else float
            add = option(flag, question.name, type=Number(kind, 0), default=None, metavar="NUMBER", help_key=key)
        function = add(function)
    return function


@verb("advise")
@option("--ask", is_flag=True)
@_flags
def command(state: State, ask: bool, **flags: Any) -> None:  # noqa: ANN401 - the fields of Interview
    """Flags win over the toml, the toml over the defaults; questions are asked where neither is there."""
    config, start = _config(state)
    given = {name: value for name, value in flags.items() if value is not None}
    interview = replace(start, **given, origins={**start.origins, **dict.fromkeys(given, "flag")})
    if ask or not (given or config or state.json):
        if not sys.stdin.isatty() and not ask:
            raise UserError("cli.advise.no_terminal", flags=" ".join("--" + n.replace("_", "-") for n in ANSWERS[:3]))
        interview = _interview(state, interview, given)
    advice = advise(interview, config)
    lang = messages.language()
    state.emit(json.loads(advice.to_json(lang)), render_advice(advice, lang))


def _config(state: State) -> tuple[Config | None, Interview]:
    if not (state.folder or find_start(None)):
        return None, Interview()
    project: Project = state.project()
    path = project.config.path(project.config.project.examples)
    count = sum(bool(line.strip()) for line in path.read_bytes().splitlines()) if path.is_file() else 0
    signals = read_signals(project.config, _targets(path))
    return project.config, Interview.from_config(project.config, count).with_signals(signals)


def _targets(path: Path) -> list[str]:
    """The answers of the examples; none where the file has mistakes, which ``groundtune lint`` names."""
    if not path.is_file():
        return []
    try:
        return [example.target for example in load_examples(path)]
    except UserError:
        return []


def _interview(state: State, start: Interview, given: dict[str, Any]) -> Interview:
    """Ask on stderr, so that stdout holds the advice alone."""
    state.talk(say("cli.advise.intro"))
    answers: dict[str, Any] = {}
    for question in questions(messages.language()):
        if question.name not in given:
            answers[question.name] = _ask(state, question, getattr(start, question.name))
    return replace(start, **answers, origins={**start.origins, **dict.fromkeys(answers, "asked")})


def _ask(state: State, question: InterviewQuestion, default: Any) -> Any:  # noqa: ANN401
    while True:
        sys.stderr.write("\n" + _prompt(question, default))
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            state.talk("")
            raise UserError("cli.advise.no_terminal", flags="--" + question.name.replace("_", "-"))
        text = line.strip()
        if not text:
            return default
        found = _read(question, text)
        if found is not None:
            return found
        if question.kind == "number":
            state.talk(say("cli.advise.again_number"))
        else:
            state.talk(say("cli.advise.again", choices=", ".join(question.choices or _yes_no())))


def _prompt(question: InterviewQuestion, default: Any) -> str:  # noqa: ANN401
    if question.kind == "choice":
        lines = [f"  {n}. {label} ({value})" for n, (value, label) in enumerate(question.choices.items(), start=1)]
        numbers = "/".join(str(n) for n in range(1, len(lines) + 1))
        shown = list(question.choices).index(default) + 1
        return "\n".join(
            [question.text, *lines, say("cli.advise.choice", question=">", choices=numbers, default=shown)]
        )
    if question.kind == "yes_no":
        return say("cli.advise.yes_no", question=question.text, default=say(f"cli.advise.{'yes' if default else 'no'}"))
    return say("cli.advise.number", question=question.text, default=f"{default:g}")


def _yes_no() -> dict[str, bool]:
    return {say("cli.advise.yes"): True, say("cli.advise.no"): False}


def _read(question: InterviewQuestion, text: str) -> Any:  # noqa: ANN401 - None: not understood
    if question.kind == "yes_no":
        return (_yes_no() | {"yes": True, "no": False, "是": True, "否": False, "はい": True, "いいえ": False}).get(
            text.casefold()
        )
    if question.kind == "choice":
        values = list(question.choices)
        if text.isdecimal() and 1 <= int(text) <= len(values):
            return values[int(text) - 1]
        return text if text in values else None
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        return None
    if not 0 <= number < float("inf"):
        return None
    return int(number) if isinstance(question.default, int) else number
