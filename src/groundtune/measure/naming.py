"""Rows of a comparison in words."""

from __future__ import annotations

from groundtune.config import CONSTRAINED
from groundtune.measure.contrasts import AT
from groundtune.messages import catalogue, language, say


def approach_of(name: str) -> str:
    """``rag`` of ``rag+constrained @ openai:gpt-5-mini``."""
    return name.partition(AT)[0].removesuffix(CONSTRAINED)


def row_title(name: str, lang: str | None = None) -> str:
    """``rag+constrained @ model`` in words of ``lang`` (default: the language in use); a name that is not one of ours, and
    any other text, as it is.
    """
    chosen = lang or language()
    row, at, model = name.partition(AT)
    plain = approach_of(name)
    title = catalogue(chosen).get(f"verdict.approach.{plain}")
    if title is None:
        return name
    if plain != row:
        title = say("verdict.with_schema", lang=chosen, approach=title)
    return title + at + model
