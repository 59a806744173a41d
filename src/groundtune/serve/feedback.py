"""Accepted and corrected answers, kept as training examples: one OpenAI chat line each in ``feedback.jsonl``."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from groundtune.errors import DataError

_LONGEST = 20_000  # characters of a question or an answer
_lock = threading.Lock()


@dataclass(frozen=True)
class Feedback:
    """What a person said about an answer. ``target`` is what should have been answered."""

    question: str
    answer: str
    target: str
    accepted: bool


def read_feedback(body: object) -> Feedback:
    """``{"question", "answer", "accepted": true}`` or ``{..., "accepted": false, "correction": "..."}``.

    Raises ``DataError`` with a sentence for anything else.
    """
    if not isinstance(body, dict):
        raise DataError("serve.not_an_object")
    fields = {name: body.get(name, "") for name in ("question", "answer", "correction")}
    for name, value in fields.items():
        if not isinstance(value, str) or len(value) > _LONGEST or (name != "correction" and not value.strip()):
            raise DataError("serve.bad_field", name=name)
    accepted = body.get("accepted")
    if not isinstance(accepted, bool):
        raise DataError("serve.bad_field", name="accepted")
    if not accepted and not fields["correction"].strip():
        raise DataError("serve.no_correction")
    target = fields["answer"] if accepted else fields["correction"]
    return Feedback(fields["question"].strip(), fields["answer"], target.strip(), accepted)


def append(path: Path, feedback: Feedback) -> None:
    """Add one line; it is on disk when this returns. A line that a crash cut short is ended first."""
    turns = [{"role": "user", "content": feedback.question}, {"role": "assistant", "content": feedback.target}]
    metadata = {
        "origin": "feedback",
        "accepted": feedback.accepted,
        "answered": feedback.answer,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    line = json.dumps({"messages": turns, "metadata": metadata}, ensure_ascii=False).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock, path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
