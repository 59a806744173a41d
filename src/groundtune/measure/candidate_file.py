"""``questions.candidates.jsonl``: every candidate with what was decided about it, so that a review can be left and
resumed; what was kept goes to the end of questions.jsonl.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from groundtune.errors import DataError
from groundtune.files import write_whole
from groundtune.measure.candidates import Candidate

State = Literal["new", "kept", "dropped"]


@dataclass(frozen=True)
class Entry:
    """A candidate and what was decided."""

    candidate: Candidate
    state: State = "new"


def candidates_path(questions: Path) -> Path:
    """``questions.jsonl`` -> ``questions.candidates.jsonl``."""
    return questions.with_name(f"{questions.stem}.candidates{questions.suffix}")


def load_candidates(path: Path) -> tuple[Entry, ...]:
    """Empty when there is no file. Raises ``DataError`` for a line that cannot be read."""
    if not path.is_file():
        return ()
    entries: list[Entry] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            table = json.loads(line)
            state = table.pop("state", "new")
            if state not in ("new", "kept", "dropped"):
                raise ValueError(state)
            entries.append(Entry(Candidate(**{key: str(value) for key, value in table.items()}), state))
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError("measure.candidate_line", path=path, line=number) from error
    return tuple(entries)


def store_candidates(path: Path, entries: Sequence[Entry]) -> None:
    """Write the whole file or nothing."""
    rows = [{**asdict(entry.candidate), "state": entry.state} for entry in entries]
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def with_new(entries: Sequence[Entry], made: Sequence[Candidate]) -> tuple[Entry, ...]:
    """The entries and those new candidates whose question and evidence are not among them."""
    known = {entry.candidate.question for entry in entries} | {entry.candidate.quote for entry in entries} - {""}
    fresh = [c for c in made if c.question not in known and c.quote not in known]
    return (*entries, *map(Entry, fresh))


def keep(questions: Path, candidate: Candidate) -> None:
    """Add one question to the end of questions.jsonl, once."""
    row: dict[str, object] = {
        "question": candidate.question,
        "answers": [candidate.answer] if candidate.answerable else [],
        "answerable": candidate.answerable,
    }
    if candidate.answerable:
        row["evidence"] = {"document": candidate.document, "quote": candidate.quote}
    row["metadata"] = {"made": candidate.kind} | ({"old_answer": candidate.old_answer} if candidate.old_answer else {})
    before = questions.read_text(encoding="utf-8-sig") if questions.is_file() else ""
    line = json.dumps(row, ensure_ascii=False)
    if line in before.splitlines():
        return  # the decision was interrupted after this line was written
    write_whole(questions, before + ("\n" if before and not before.endswith("\n") else "") + line + "\n")


def decided(entries: Sequence[Entry], at: int, state: State, candidate: Candidate | None = None) -> tuple[Entry, ...]:
    """The entries with one decided."""
    changed = replace(entries[at], state=state, candidate=candidate or entries[at].candidate)
    return (*entries[:at], changed, *entries[at + 1 :])
