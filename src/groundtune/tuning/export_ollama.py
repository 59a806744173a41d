"""A chat template as Ollama writes it: Go's text/template instead of Jinja, found by asking the Jinja template.

A template that writes each turn as ``before + content + after`` is taken apart with marked contents and put together
again; the parts are then compared with the template itself on several chats. Templates that do more (fold the system
prompt into a user turn, look at other turns) are refused, since a wrong prompt form is the silent way to lose a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import TrainingError
from groundtune.tuning.export_source import Source
from groundtune.tuning.rows import template_text
from groundtune.types import Message

_MARKS = {"system": "GTSYSTEM0MARK", "user": "GTUSER0MARK", "assistant": "GTANSWER0MARK"}
LONGEST_CONTEXT = 8192  # tokens that the Modelfile asks for; Ollama reserves memory for all of them


@dataclass(frozen=True)
class Turns:
    """A chat template as text around contents. ``begin`` opens every chat, ``default`` stands in place of a system turn
    when there is none, ``generation`` asks for the answer; ``before`` and ``after`` by role.
    """

    begin: str
    default: str
    before: dict[str, str]
    after: dict[str, str]
    generation: str

    def write(self, messages: Sequence[Message]) -> str:
        """The chat, ready for the assistant's turn."""
        turns = "".join(f"{self.before[m.role]}{m.content}{self.after[m.role]}" for m in messages)
        default = "" if any(m.role == "system" for m in messages) else self.default
        return f"{self.begin}{default}{turns}{self.generation}"

    def go(self, *, begin: bool = True) -> str:
        """Go's template language as Ollama fills it (``.System``, ``.Messages``). Without ``begin`` where the program
        writes the begin token by itself.
        """
        parts = [_go(self.begin)] if begin else []
        if self.default:
            parts.append(f"{{{{ if not .System }}}}{_go(self.default)}{{{{ end }}}}")
        parts.append("{{ range .Messages }}")
        for number, role in enumerate(_MARKS):
            head = "if" if number == 0 else "else if"
            parts.append(f'{{{{ {head} eq .Role "{role}" }}}}')
            parts.append(f"{_go(self.before[role])}{{{{ .Content }}}}{_go(self.after[role])}")
        return "".join([*parts, "{{ end }}{{ end }}", _go(self.generation)])


def take_apart(source: Source) -> Turns:
    """The turns of the source's chat template. Raises ``TrainingError`` when it does not write turn by turn."""
    tokenizer = source.tokenizer

    def written(*roles: str, ask: bool = False) -> str:
        return template_text(
            tokenizer, [{"role": role, "content": _MARKS[role]} for role in roles], add_generation_prompt=ask
        )

    try:
        found = _parts(written, str(tokenizer.bos_token or ""))
        chats = [[Message("system", "One."), Message("user", "Two\n\nthree 四")], [Message("user", "五")]]
        chats += [[*chats[0], Message("assistant", "Six."), Message("user", "seven")]]
        for chat in chats:
            turns = [message.as_dict() for message in chat]
            if found.write(chat) != template_text(tokenizer, turns, add_generation_prompt=True):
                raise _Otherwise
    except (_Otherwise, TrainingError):
        raise TrainingError("tuning.ollama_template") from None
    return found


def modelfile(source: Source, turns: Turns, gguf: str, *, adds_begin: bool, system: str = "") -> str:
    """The Modelfile beside ``gguf`` (a file name). ``adds_begin``: the tokenizer in the file writes the begin token."""
    lines = [f"FROM ./{gguf}", f'TEMPLATE """{turns.go(begin=not adds_begin)}"""']
    if system.strip():
        lines.append(f'SYSTEM """{system.strip()}"""')
    lines += [f'PARAMETER stop "{_quoted(text)}"' for text in source.end_texts]
    lines += ["PARAMETER temperature 0", f"PARAMETER num_ctx {min(source.context, LONGEST_CONTEXT)}"]
    for part in (turns.go(begin=not adds_begin), system):
        if '"""' in part:
            raise TrainingError("tuning.ollama_quotes")
    return "\n".join(lines) + "\n"


class _Otherwise(Exception):  # noqa: N818 - never leaves this file
    """The template does not write turn by turn."""


def _parts(written: Any, bos: str) -> Turns:  # noqa: ANN401 - written(*roles, ask=…) -> str
    system, user, answer = _MARKS.values()
    whole = written("system", "user", "assistant", "user")
    if not (whole.count(system) == 1 and whole.count(user) == 2 and whole.count(answer) == 1):
        raise _Otherwise
    head, rest = whole.split(system)
    between, middle, end = rest.split(user)
    after_user = written("user").split(user)[1]
    after_answer = written("user", "assistant").split(answer)[1]
    to_answer, to_user = middle.split(answer)
    before_answer = _cut_head(to_answer, after_user)
    before_user = _cut_head(to_user, after_answer)
    after_system = _cut_tail(between, before_user)
    alone = _cut_tail(written("user").split(user)[0], before_user)
    begin = bos if head.startswith(bos) and alone.startswith(bos) else ""
    if end != after_user:
        raise _Otherwise
    asked = written("user", ask=True).split(user)[1]
    return Turns(
        begin=begin,
        default=alone[len(begin) :],
        before={"system": head[len(begin) :], "user": before_user, "assistant": before_answer},
        after={"system": after_system, "user": after_user, "assistant": after_answer},
        generation=_cut_head(asked, after_user),
    )


def _cut_head(text: str, head: str) -> str:
    if not text.startswith(head):
        raise _Otherwise
    return text[len(head) :]


def _cut_tail(text: str, tail: str) -> str:
    if not text.endswith(tail):
        raise _Otherwise
    return text[: len(text) - len(tail)]


def _go(text: str) -> str:
    """Plain text inside a Go template; braces that would open an action go through one."""
    return text.replace("{{", '{{ "{{" }}')


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
