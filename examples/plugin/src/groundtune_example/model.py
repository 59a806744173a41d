"""``keywords:answers.json``: a model that answers from a file ``{"keyword": "answer", "": "the answer to all else"}``."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.errors import DataError
from groundtune.types import Generation, Message, Usage


class Keywords:
    """Implements ``groundtune.ports.Model``."""

    def __init__(self, path: str) -> None:
        self.name = f"keywords:{path}"
        try:
            self._answers: dict[str, str] = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError("core.file_missing", path=path) from error

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        schema: Mapping[str, Any] | None = None,
    ) -> Generation:
        """The answer of the first keyword that stands in the last turn."""
        started = time.perf_counter()
        said = messages[-1].content.casefold()
        found = next((answer for word, answer in self._answers.items() if word.casefold() in said), "")
        usage = Usage(sum(len(one.content.split()) for one in messages), len(found.split()))
        return Generation(found, usage, time.perf_counter() - started, self.name)


def open_model(name: str, **options: object) -> Keywords:
    """The factory: gets what stands after the colon, and options that other models know."""
    return Keywords(name)
