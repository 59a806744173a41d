"""Every answer of a comparison on disk as it comes, so that an interrupted run goes on where it stopped.

One SQLite file; one row per answer, committed with ``synchronous=FULL`` before the next answer is asked for.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from groundtune.errors import StoreError
from groundtune.measure.results import rebuild
from groundtune.types import Answer, digest

_FORMAT = 1  # raise it when what a key covers or how an answer is stored changes


def cache_key(parts: Mapping[str, object]) -> str:
    """Digest of everything that an answer depends on."""
    return digest(json.dumps([_FORMAT, parts], sort_keys=True, ensure_ascii=False, default=str))


class AnswerCache:
    """Answers by key. Safe to use from several threads; a second process waits for the first one's write."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._path = path
        try:
            self._connection = sqlite3.connect(path, timeout=30.0, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")
        except sqlite3.Error as error:
            raise StoreError("measure.cache_broken", path=path, reason=error) from error

    def __enter__(self) -> AnswerCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def get(self, key: str) -> Answer | None:
        """The stored answer, None when there is none (or it cannot be read any more)."""
        with self._lock:
            row = self._connection.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            answer: Answer = rebuild(Answer, json.loads(row[0]))
        except (ValueError, TypeError, KeyError):
            return None
        return answer

    def put(self, key: str, answer: Answer) -> None:
        """Store an answer; on disk when this returns. Raises ``StoreError`` when the disk refuses."""
        text = json.dumps(asdict(answer), ensure_ascii=False)
        try:
            with self._lock:
                self._connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, text))
        except sqlite3.Error as error:
            raise StoreError("measure.cache_broken", path=self._path, reason=error) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
