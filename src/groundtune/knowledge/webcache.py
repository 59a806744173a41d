"""Answers of web servers on disk, so that a page that did not change is not sent again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from groundtune.knowledge.fetch import Limits, Reply, fetch

_KEPT = ("etag", "last-modified", "content-type")


@dataclass(frozen=True)
class Web:
    """Fetches through a cache in ``folder`` (None: without one)."""

    folder: Path | None = None
    allow_private: bool = False
    limits: Limits = Limits()

    def get(self, url: str) -> Reply:
        """The current answer, from the cache where the server says that it still holds. Raises as ``fetch``."""
        held = self._read(url)
        known = {key: value for key, value in held.headers.items() if key != "content-type"} if held else {}
        reply = fetch(url, allow_private=self.allow_private, known=known, limits=self.limits)
        if reply.unchanged and held is not None:
            return held
        self._write(url, reply)
        return reply

    def _path(self, url: str) -> Path | None:
        return None if self.folder is None else self.folder / hashlib.sha256(url.encode()).hexdigest()[:32]

    def _read(self, url: str) -> Reply | None:
        path = self._path(url)
        if path is None:
            return None
        try:
            first, _, body = path.read_bytes().partition(b"\n")
            facts = json.loads(first)
            if facts["url"] != url or hashlib.sha256(body).hexdigest() != facts["digest"]:
                return None
            return Reply(str(facts["from"]), body, {str(k): str(v) for k, v in facts["headers"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # a missing or damaged cache costs one download

    def _write(self, url: str, reply: Reply) -> None:
        """Only answers that can be asked about again are kept. A full disk costs the cache, not the page."""
        path = self._path(url)
        headers = {key: value for key, value in reply.headers.items() if key in _KEPT}
        if path is None or not {"etag", "last-modified"} & headers.keys():
            return
        facts = {"url": url, "from": reply.url, "headers": headers, "digest": hashlib.sha256(reply.body).hexdigest()}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".web")
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(facts).encode() + b"\n" + reply.body)
            os.replace(temporary, path)
        except OSError:
            return
