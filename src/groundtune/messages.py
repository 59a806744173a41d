"""Every sentence a person reads comes from ``locales/<language>.toml`` through ``say``.

Keys are dotted (``room.name``). A key that a language lacks falls back to English; a key that English lacks raises,
so a missing sentence is found by tests and not by users.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from contextvars import ContextVar
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh-TW", "ja")
_current: ContextVar[str] = ContextVar("groundtune_language", default="")


def resolve(language: str | None) -> str:
    """Map a language tag or POSIX locale (``zh_TW.UTF-8``, ``ja``) to one of ``LANGUAGES``; English otherwise."""
    tag = (language or "").replace("_", "-").split(".")[0].lower()
    if tag.startswith("ja"):
        return "ja"
    if tag.startswith(("zh-tw", "zh-hant", "zh-hk")) or tag == "zh":
        return "zh-TW"
    return "en"


def use(language: str) -> None:
    """Set the language of this context."""
    _current.set(resolve(language))


def language() -> str:
    """The language in use: ``use``, else GROUNDTUNE_LANG, LC_ALL, LC_MESSAGES, LANG."""
    if _current.get():
        return _current.get()
    for name in ("GROUNDTUNE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return resolve(os.environ[name])
    return "en"


def _flatten(table: dict[str, object], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = str(value)
    return flat


@cache
def catalogue(lang: str) -> dict[str, str]:
    """All sentences of a language by dotted key."""
    folder = Path(__file__).parent / "locales"
    merged: dict[str, str] = {}
    for path in sorted(folder.glob(f"*{lang}.toml")):
        if path.name == f"{lang}.toml" or path.name.endswith(f".{lang}.toml"):
            merged.update(_flatten(tomllib.loads(path.read_text(encoding="utf-8"))))
    return merged


def say(key: str, /, lang: str | None = None, **params: object) -> str:
    """The sentence ``key`` in ``lang`` (default: the language in use), filled with ``params``.

    Raises KeyError when English has no such key.
    """
    chosen = resolve(lang) if lang else language()
    text = catalogue(chosen).get(key) or catalogue("en")[key]
    return text.format(**params) if params else text


def listed(names: Iterable[str], lang: str | None = None) -> str:
    """Names one after the other with the comma of ``lang`` (default: the language in use)."""
    return (", " if (lang or language()) == "en" else "、").join(names)
