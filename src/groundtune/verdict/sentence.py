"""A sentence that can be said in every language: a locale key and what fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from groundtune.messages import say


@dataclass(frozen=True)
class Sentence:
    """``key`` names a sentence under ``verdict.`` in ``locales/``; a parameter may itself be a Sentence."""

    key: str
    params: Mapping[str, object] = field(default_factory=dict)

    def text(self, lang: str | None = None) -> str:
        """The sentence in ``lang`` (default: the language in use)."""
        filled = {k: v.text(lang) if isinstance(v, Sentence) else v for k, v in self.params.items()}
        return say(f"verdict.{self.key}", lang=lang, **filled)

    def as_dict(self, lang: str | None = None) -> dict[str, object]:
        """JSON form: key, plain parameters and the sentence in ``lang``."""
        plain = {k: v.text(lang) if isinstance(v, Sentence) else v for k, v in self.params.items()}
        return {"key": self.key, "params": plain, "text": self.text(lang)}


def sentence(key: str, /, **params: object) -> Sentence:
    """Shorthand for ``Sentence(key, params)``."""
    return Sentence(key, params)
