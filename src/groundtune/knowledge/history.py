"""The life of a document: which version held when, what superseded it, what an earlier date would have shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundtune.errors import DataError, UserError
from groundtune.knowledge.versions import StoredVersion, Versions
from groundtune.text.dates import Period, iso_date, parse_period
from groundtune.types import Answer, Citation

_NUMBER = re.compile(r"\d{1,9}")
_SHORTEST_PREFIX = 4


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """One version in the life of a document. ``number`` counts from 1, oldest first.

    ``start`` and ``end`` are Unix seconds: from ``valid_from`` and ``valid_to`` of its metadata where given, else from
    when it was stored until its successor begins or the document is deleted; ``end`` None: it still holds.
    """

    number: int
    document_id: str
    version: str
    title: str
    start: float
    end: float | None
    stored: float
    current: bool
    characters: int
    seq: int

    @property
    def since(self) -> str:
        """First day, ISO."""
        return iso_date(self.start)

    @property
    def until(self) -> str:
        """Day on which it ceased to hold, ISO; empty while it holds."""
        return "" if self.end is None else iso_date(self.end)

    def holds_at(self, instant: float) -> bool:
        """True when it was the version in force at an instant (Unix seconds)."""
        return self.start <= instant and (self.end is None or instant < self.end)


def read_moment(text: str) -> Period:
    """A date of the command line or the API. Raises ``UserError`` with a sentence for what is not a date."""
    period = parse_period(text)
    if period is None:
        raise UserError("knowledge.bad_date", value=text)
    return period


def lives(rows: Sequence[StoredVersion]) -> dict[str, tuple[DocumentVersion, ...]]:
    """Versions by document id. ``rows`` are oldest first. A row that repeats the text of the one before it (only
    metadata changed) takes its place, so that a version is one text.
    """
    groups: dict[str, list[StoredVersion]] = {}
    for row in rows:
        groups.setdefault(row.document_id, []).append(row)
    return {document_id: _life(group) for document_id, group in groups.items()}


def _life(rows: Sequence[StoredVersion]) -> tuple[DocumentVersion, ...]:
    runs: list[tuple[StoredVersion, StoredVersion]] = []  # the first and the last row of one text
    for row in rows:
        if runs and runs[-1][1].version == row.version and runs[-1][1].until == row.since:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    starts = [first.since if (given := _date(last, "valid_from")) is None else given for first, last in runs]
    found: list[DocumentVersion] = []
    for place, (first, last) in enumerate(runs):
        ends = [_date(last, "valid_to")]
        if place + 1 < len(runs):
            ends.append(max(starts[place], min(starts[place + 1 :])))
        if last.until is not None and (place + 1 == len(runs) or runs[place + 1][0].since > last.until):
            ends.append(last.until)  # the document was deleted then
        known = [end for end in ends if end is not None]
        title = str(last.metadata.get("title") or last.document_id)
        found.append(
            DocumentVersion(
                number=place + 1, document_id=last.document_id, version=last.version, title=title,
                start=starts[place], end=min(known) if known else None, stored=first.since,
                current=last.until is None, characters=last.characters, seq=last.seq,
            )
        )  # fmt: skip
    return tuple(found)


def _date(row: StoredVersion, key: str) -> float | None:
    """``valid_from``: the first instant of that day; ``valid_to``: the first instant after it, so the day counts."""
    value = row.metadata.get(key)
    period = parse_period(str(value)) if value is not None else None
    if period is None:
        return None
    return period.start if key == "valid_from" else period.end


def version_at(life: Sequence[DocumentVersion], instant: float) -> DocumentVersion | None:
    """The version in force at an instant: the newest that had begun, unless it had ended by then."""
    begun = [version for version in life if version.start <= instant]
    return begun[-1] if begun and begun[-1].holds_at(instant) else None


def choose(life: Sequence[DocumentVersion], asked: str, document_id: str) -> DocumentVersion:
    """The version that a number (1 is the oldest), the beginning of a version id or a date names.

    Raises ``UserError`` when there is none.
    """
    if _NUMBER.fullmatch(asked) and 1 <= int(asked) <= len(life):
        return life[int(asked) - 1]
    if len(asked) >= _SHORTEST_PREFIX:
        named = [version for version in life if version.version.startswith(asked.lower())]
        if named:
            return named[-1]
    period = parse_period(asked) if len(asked) >= _SHORTEST_PREFIX else None
    held = version_at(life, period.last) if period else None
    if held is None:
        raise UserError("knowledge.no_version", document=document_id, value=asked, count=len(life))
    return held


def life_of(versions: Versions, document_id: str, labels: Sequence[str] | None) -> tuple[DocumentVersion, ...]:
    """The versions of one document that a reader may see; a file name will do when it is unambiguous.

    Raises ``DataError`` when there is none: the same sentence for a document that does not exist and for one that this
    reader may not see.
    """
    found = lives(versions.rows(document_id, labels)).get(document_id, ())
    if found:
        return found
    known = dict.fromkeys(row.document_id for row in versions.rows(None, labels))
    near = [name for name in known if _named(name, document_id)]
    if len(near) != 1:
        raise DataError("knowledge.no_document", document=document_id)
    return lives(versions.rows(near[0], labels))[near[0]]


def _named(document_id: str, asked: str) -> bool:
    """``leave.md``, ``leave`` or ``documents/hr/leave.md`` for the document ``hr/leave.md``."""
    name = document_id.rpartition("/")[2]
    return asked in (name, name.rpartition(".")[0]) or asked.replace("\\", "/").endswith(f"/{document_id}")


def mark_superseded(answer: Answer, versions: Versions, now: float) -> Answer:
    """The answer with ``superseded`` and ``newer`` on each citation whose version does not hold at ``now`` any more."""
    ids = dict.fromkeys(citation.document_id for citation in answer.citations)
    by_id = {document_id: lives(versions.rows(document_id)).get(document_id, ()) for document_id in ids}
    marked = tuple(_marked(citation, by_id[citation.document_id], now) for citation in answer.citations)
    return replace(answer, citations=marked) if marked != answer.citations else answer


def _marked(citation: Citation, life: Sequence[DocumentVersion], now: float) -> Citation:
    held = version_at(life, now)
    current = held or (life[-1] if life and life[-1].current else None)
    if held is not None and held.version == citation.version:
        return citation
    mine = [version for version in life if version.version == citation.version]
    if not mine or mine[-1].end is None or mine[-1].end > now:  # not in force yet: nothing has superseded it
        return citation
    newer = current.version if current is not None and current.version != citation.version else ""
    return replace(citation, superseded=mine[-1].until, newer=newer)


def droppable(
    rows: Sequence[StoredVersion], *, keep: int | None = None, before: float | None = None
) -> list[StoredVersion]:
    """Rows of superseded versions beyond the newest ``keep`` of each document, and of those that ceased to hold before
    ``before`` (Unix seconds); both given: only what both would drop. A current version is never among them.
    """
    doomed: list[StoredVersion] = []
    for document_id, life in lives(rows).items():
        kept = life[-keep:] if keep else ()
        gone = [v for v in life if not v.current]
        if keep is not None:
            gone = [version for version in gone if version not in kept]
        if before is not None:
            gone = [version for version in gone if version.end is not None and version.end <= before]
        doomed += _rows_of([row for row in rows if row.document_id == document_id], life, gone)
    return doomed


def _rows_of(
    rows: Sequence[StoredVersion], life: Sequence[DocumentVersion], gone: Sequence[DocumentVersion]
) -> list[StoredVersion]:
    """The rows between the version before and the last row of each version that goes."""
    doomed: list[StoredVersion] = []
    for version in gone:
        after = max((other.seq for other in life if other.seq < version.seq), default=-1)
        doomed += [row for row in rows if after < row.seq <= version.seq and row.until is not None]
    return doomed
