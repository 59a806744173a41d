"""From an approach's name to the approach: built in or installed, with ``+constrained``, or brought by the user."""

from __future__ import annotations

from typing import Any

from groundtune import registry
from groundtune.approaches.constrained import Constrained, with_schema
from groundtune.approaches.setting import Setting
from groundtune.config import CONSTRAINED, is_brought
from groundtune.ports import Approach


def plain_name(name: str) -> str:
    """The name without ``+constrained``."""
    return name.removesuffix(CONSTRAINED)


def open_approach(name: str, setting: Setting, **options: Any) -> Approach:  # noqa: ANN401 - as the approach takes them
    """The approach ``name``, not yet fitted.

    Raises ``SpecError`` for an unknown name, ``CannotRun`` for ``+constrained`` without a schema, and what a brought
    approach raises when it cannot be opened.
    """
    if is_brought(name):
        from groundtune.approaches.brought import open_brought

        return open_brought(name, setting)
    plain = plain_name(name)
    if plain != name or setting.config.compare.constrained:
        setting = with_schema(setting)
    made: Approach = registry.resolve("approach", plain)(setting, **options)
    return Constrained(made) if plain != name else made
