"""What is sent to an outer store for a document, and the stamp that stands for it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import apsw
import numpy as np

from groundtune.store.filters import FOLDERS
from groundtune.store.outer import Held, Outgoing
from groundtune.store.payload import RULES
from groundtune.store.rows import CHUNK_COLUMNS, TERMS, to_chunk
from groundtune.store.schema import fetch
from groundtune.store.spaces import find
from groundtune.store.vectors import SHIFT
from groundtune.types import Document, digest

OWNER = "owner"

Session = Callable[[], AbstractContextManager[apsw.Connection]]


class Settings(Protocol):
    """Where settings are kept."""

    def get_meta(self, key: str, default: str = "") -> str: ...

    def set_meta(self, key: str, value: str) -> None: ...


def owner_of(store: Settings) -> str:
    """Eight hexadecimal digits that stand in each stamp of a knowledge base, made when missing."""
    held = store.get_meta(OWNER)
    if not held:
        held = uuid.uuid4().hex[:8]
        store.set_meta(OWNER, held)
    return held


@dataclass(frozen=True, slots=True)
class Rules:
    """The folder rules of the record: (folder, labels) each. What cannot be read as a rule covers everything and lets
    nobody in, as a restriction must not be lost by a mistake.
    """

    rules: tuple[tuple[str, tuple[str, ...]], ...]

    def labels(self, document_id: str) -> list[list[str]]:
        """For each rule that covers a document, the labels of which a reader needs one."""
        covering = [labels for folder, labels in self.rules if _covers(folder, document_id)]
        return [list(labels) for labels in sorted(set(covering))]


def rules_of(connection: apsw.Connection) -> Rules:
    """As ``store.filters.visible_to`` reads them."""
    rows = fetch(connection, "SELECT value FROM meta WHERE key = ?", (FOLDERS,))
    found = json.loads(rows[0][0]) if rows else []
    return Rules(tuple((str(rule["folder"]), tuple(sorted(map(str, rule["labels"])))) for rule in found))


def _covers(folder: str, document_id: str) -> bool:
    return folder == document_id or ((folder == "" or folder.endswith("/")) and document_id.startswith(folder))


class Sender:
    """Reads documents of the record as they must be sent."""

    def __init__(self, read: Session, write: Session) -> None:
        self._read, self._write = read, write

    def prepared(self, ids: Sequence[str], space: str | None) -> tuple[list[Outgoing], list[str]]:
        """What to send for documents, and which of them are gone. ``space`` names the vectors that go with them."""
        with self._read() as connection:
            states = _states(connection, ids, space)
            entries = [_outgoing(connection, state) for state in states.values()]
        return entries, [document_id for document_id in ids if document_id not in states]

    def expected(self, space: str | None) -> dict[str, Held]:
        """What the outer store must say that it holds, of every current document."""
        with self._read() as connection:
            states = _states(connection, None, space)
        return {i: Held(i, s.version, s.stamp, s.chunks, s.vectors) for i, s in states.items()}


@dataclass(frozen=True, slots=True)
class _State:
    """A document in the record. ``space`` is the number of the vectors that are sent (0: none)."""

    id: str
    version: str
    metadata: Mapping[str, Any]
    chunks: int
    vectors: int
    space: int
    stamp: str


def _states(connection: apsw.Connection, ids: Sequence[str] | None, space: str | None) -> dict[str, _State]:
    """Without ``ids`` of all documents. Texts are not read."""
    found = find(connection, space) if space is not None else None
    number = found.id if found else 0
    which, bindings = ("", ()) if ids is None else ("WHERE d.id IN (SELECT value FROM json_each(?))", (_json(ids),))
    parts = (
        "c.id || ' ' || c.digest || ' ' || c.start || ' ' || coalesce(c.page, '') || ' ' || c.title || ' ' || c.heading"
    )
    query = (
        "SELECT d.id, d.version, d.metadata, count(c.rowid), sum(v.key IS NOT NULL),"
        f" group_concat({parts}, char(10)) FROM documents AS d"
        " LEFT JOIN (SELECT * FROM chunks ORDER BY document_id, ordinal) AS c ON c.document_id = d.id"
        f" LEFT JOIN vectors AS v ON v.key = (? << {SHIFT} | c.rowid) {which} GROUP BY d.id"
    )
    rules, owner = rules_of(connection), fetch(connection, "SELECT value FROM meta WHERE key = ?", (OWNER,))
    prefix = str(owner[0][0]) if owner else ""
    states: dict[str, _State] = {}
    for document_id, version, metadata, chunks, vectors, described in fetch(connection, query, (number, *bindings)):
        asked = rules.labels(document_id)
        whole = bool(number) and chunks > 0 and vectors == chunks
        lines = sorted((described or "").split("\n"))
        parts_of_it = [TERMS, version, metadata, json.dumps(asked), space or "" if whole else "-", *lines]
        held = {**json.loads(metadata), RULES: json.dumps(asked, ensure_ascii=False)} if asked else json.loads(metadata)
        stamp = f"{prefix}:{digest(chr(10).join(parts_of_it))}"
        states[document_id] = _State(
            document_id, version, held, chunks, chunks if whole else 0, number if whole else 0, stamp
        )
    return states


def _outgoing(connection: apsw.Connection, state: _State) -> Outgoing:
    text = fetch(connection, "SELECT text FROM versions WHERE document_id = ? AND until IS NULL", (state.id,))
    query = (
        f"SELECT label_terms, body_terms, v.vector, {', '.join(f'c.{name}' for name in CHUNK_COLUMNS.split(', '))}"
        f" FROM chunks AS c LEFT JOIN vectors AS v ON v.key = (? << {SHIFT} | c.rowid)"
        " WHERE c.document_id = ? ORDER BY c.ordinal"
    )
    rows = fetch(connection, query, (state.space, state.id))
    vectors = None
    if state.space:
        vectors = np.stack([np.frombuffer(row[2], dtype="<f4") for row in rows])
    document = Document(state.id, str(text[0][0]) if text else "", state.metadata)
    chunks = tuple(to_chunk(row[3:]) for row in rows)
    return Outgoing(document, chunks, vectors, [(row[0], row[1]) for row in rows], state.stamp)


def _json(ids: Iterable[str]) -> str:
    return json.dumps(list(ids), ensure_ascii=False)
