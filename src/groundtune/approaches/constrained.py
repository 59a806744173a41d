"""``<approach>+constrained``: the same approach, but decoding cannot leave the JSON Schema of the house format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from groundtune.approaches.setting import Setting, load_schema
from groundtune.config import CONSTRAINED
from groundtune.errors import CannotRun
from groundtune.ports import Approach
from groundtune.types import Answer, Document, Example, Question


def with_schema(setting: Setting) -> Setting:
    """The setting with the schema of ``[format] schema``. Raises ``CannotRun`` without one."""
    schema = load_schema(setting.config) if setting.schema is None else setting.schema
    if schema is None:
        raise CannotRun("approaches.no_schema")
    return replace(setting, schema=schema)


class Constrained:
    """An approach under its name with ``+constrained``; an adapter is the one that the plain approach trains."""

    def __init__(self, inner: Approach) -> None:
        self.inner = inner
        self.name = inner.name + CONSTRAINED

    @property
    def adapter(self) -> Any:  # noqa: ANN401 - types.Adapter or None
        """The inner approach's adapter, None without one."""
        return getattr(self.inner, "adapter", None)

    @property
    def corpus(self) -> Any:  # noqa: ANN401 - tuple of types.Hit
        """What the inner approach shows with every question."""
        return getattr(self.inner, "corpus", ())

    def fit(self, documents: Sequence[Document], examples: Sequence[Example]) -> None:
        """As the inner approach."""
        self.inner.fit(documents, examples)

    def answer(self, question: Question) -> Answer:
        """As the inner approach."""
        return self.inner.answer(question)
