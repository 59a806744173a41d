"""A sentence that can be said in every language: a locale key and what fills it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from groundtune.measure.naming import row_title
from groundtune.messages import language, listed, resolve, say

# A Latin word that a parameter brings stands apart from the ideographs around it.
_SEAM = re.compile(r"(?<=[\u3040-\u30ff\u3400-\u9fff])(?=[A-Za-z])|(?<=[A-Za-z])(?=[\u3040-\u30ff\u3400-\u9fff])")


@dataclass(frozen=True)
class Sentence:
    """``key`` names a sentence under ``verdict.`` in ``locales/``. A parameter may itself be a Sentence; the name of a
    row is said with ``verdict.approach.<name>``, a tuple of names as a list.
    """

    key: str
    params: Mapping[str, object] = field(default_factory=dict)

    def text(self, lang: str | None = None) -> str:
        """The sentence in ``lang`` (default: the language in use), beginning with a capital."""
        chosen = resolve(lang) if lang else language()
        said = self._fill(chosen)
        return said[:1].upper() + said[1:] if chosen == "en" else _SEAM.sub(" ", said)

    def _fill(self, lang: str) -> str:
        filled = {k: _word(v, lang) for k, v in self.params.items()}
        return say(f"verdict.{self.key}", lang=lang, **filled)

    def as_dict(self, lang: str | None = None) -> dict[str, object]:
        """JSON form: key, plain parameters and the sentence in ``lang``."""
        plain = {k: v.key if isinstance(v, Sentence) else v for k, v in self.params.items()}
        return {"key": self.key, "params": plain, "text": self.text(lang)}


def _word(value: object, lang: str) -> object:
    if isinstance(value, Sentence):
        return value._fill(lang)
    if isinstance(value, tuple):
        return listed((str(_word(v, lang)) for v in value), lang)
    if isinstance(value, str):
        return row_title(value, lang)
    return value


def sentence(key: str, /, **params: object) -> Sentence:
    """Shorthand for ``Sentence(key, params)``."""
    return Sentence(key, params)
