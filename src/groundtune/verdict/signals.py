"""What a project's own data says about the interview: how often it changes, whether answers keep one form, who is cited.

An answer is only given where the data is clear; everything else stays a question.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from groundtune.config import Config
from groundtune.verdict.sentence import Sentence, sentence

YEAR = 365
LEAST = 8  # examples or questions below which a share says nothing
SAME_FORM = 0.8  # share of the answers that look alike
CITED = 0.3  # share of the answers that name a source
FEEDBACK_DAYS = 7  # of answers in service before a month can be told from them
_SOURCE_KEYS = {"source", "sources", "citation", "citations", "reference", "references", "出典", "出處", "來源"}
_MARK = re.compile(r"\[\d+\]|§\s*\d|第\s*[0-9０-９一二三四五六七八九十百]+\s*[條条]|\bArticle \d+|\bhttps?://\S+")


@dataclass(frozen=True)
class Signal:
    """One answer of the interview (``name``) as read from the data, with the fact that it rests on."""

    name: str
    value: str | float | bool
    fact: Sentence


def read_signals(config: Config, targets: Sequence[str], today: date | None = None) -> tuple[Signal, ...]:
    """Everything that the files of a project answer. ``targets`` are the answers of its examples."""
    day = today or date.today()
    found = [_updates(config, day), _form(targets), _citations(config, targets), _volume(config)]
    return tuple(signal for signal in found if signal is not None)


def _updates(config: Config, day: date) -> Signal | None:
    """Days on which documents changed, by the git log where there is one, else by the times of the files."""
    logged = _git_days(config, day - timedelta(days=YEAR))
    days = logged if logged is not None else _file_days(config, day - timedelta(days=YEAR))
    if len(days) < 2:  # one day: they were copied there then
        return None
    months = max(1.0, (day - min(days)).days / 30.4)
    rate = (len(days) - 1) / months  # the first day brought them
    kind = "git" if logged is not None else "files"
    fact = sentence(f"signal.updates_{kind}", days=len(days) - 1, months=months)
    return Signal("updates", rate, fact)


def _git_days(config: Config, since: date) -> set[date] | None:
    """None where the documents are in no git repository, or git is not there."""
    paths = [str(path) for path in config.files if path.exists()]
    if not paths:
        return None
    command = ["git", "-C", str(config.folder), "log", f"--since={since.isoformat()}", "--format=%cs", "--", *paths]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = run.stdout.split()
    return {date.fromisoformat(line) for line in lines} if run.returncode == 0 and lines else None


def _file_days(config: Config, since: date) -> set[date]:
    days = set()
    for root in config.files:
        for path in [root] if root.is_file() else root.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                days.add(datetime.fromtimestamp(path.stat().st_mtime, UTC).date())
    return {day for day in days if day >= since}


def _form(targets: Sequence[str]) -> Signal | None:
    """The share of the answers that have the commonest form: the same JSON keys, or the same lay-out of lines."""
    if len(targets) < LEAST:
        return None
    common, count = Counter(shape(text) for text in targets).most_common(1)[0]
    if not common:  # plain prose has no form to keep
        return None
    share = count / len(targets)
    return Signal("fixed", share >= SAME_FORM, sentence("signal.form", share=share * 100, n=len(targets)))


def shape(text: str) -> str:
    """The lay-out of a text: the keys of a JSON object, or the kinds of its lines; empty for plain prose."""
    try:
        table = json.loads(text)
    except ValueError:
        table = None
    if isinstance(table, dict):
        return "{" + ",".join(sorted(table)) + "}"
    kinds = [_line_kind(line) for line in text.splitlines() if line.strip()]
    squeezed = [kind for index, kind in enumerate(kinds) if not index or kind != kinds[index - 1]]
    return " ".join(squeezed) if any(kind != "text" for kind in squeezed) else ""


def _line_kind(line: str) -> str:
    line = line.strip()
    if line.startswith("#") or (line.startswith(("【", "［")) and line.endswith(("】", "］"))):
        return "head"
    if re.match(r"[-*・•]\s*\S|\d+[.)、．]", line):
        return "item"
    label = re.match(r"([^\s:：]{1,20})[:：]", line)
    return f"label={label[1]}" if label else "text"


def _citations(config: Config, targets: Sequence[str]) -> Signal | None:
    if config.format.source_field or config.format.place_field:
        field = config.format.source_field or config.format.place_field
        return Signal("citations", True, sentence("signal.source_field", field=field))
    if len(targets) < LEAST:
        return None
    cited = sum(_cites(text) for text in targets)
    share = cited / len(targets)
    if share < CITED:
        return None
    return Signal("citations", True, sentence("signal.cited", share=share * 100, n=len(targets)))


def _cites(text: str) -> bool:
    try:
        table = json.loads(text)
    except ValueError:
        return bool(_MARK.search(text))
    return isinstance(table, dict) and any(key.lower() in _SOURCE_KEYS for key in table)


def _volume(config: Config) -> Signal | None:
    """A floor of the traffic: answers that somebody judged, a month."""
    try:
        lines = (config.state / "feedback.jsonl").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    times = sorted(filter(None, (_time(line) for line in lines)))
    if len(times) < LEAST or (span := (times[-1] - times[0]).total_seconds() / 86400) < FEEDBACK_DAYS:
        return None
    monthly = len(times) / span * 30.4
    return Signal("volume", monthly, sentence("signal.feedback", n=len(times), days=span))


def _time(line: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(json.loads(line)["metadata"]["time"]))
    except (ValueError, KeyError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
