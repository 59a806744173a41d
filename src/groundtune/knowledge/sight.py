"""Can an embedder see the script of the documents? Some tokenizers turn every unknown character into the same token;
then all texts in that script get about the same vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from groundtune.ports import Embedder
from groundtune.text.scripts import cjk_share, language_of

_TEXTS = 24
_LOOKED_AT = 400
_CHARACTERS = 160
# Texts in one script about different things: above this the vectors do not tell them apart. Unit vectors of real
# embedders lie between 0.1 and 0.8.
_SAME = 0.97


@dataclass(frozen=True, slots=True)
class Sight:
    """``share`` of the sampled texts in ``language`` that have nearly the same vector as another, unrelated one."""

    language: str
    share: float


def look(embedder: Embedder, texts: Iterable[str]) -> tuple[Sight, ...]:
    """Languages of the documents of which the embedder sees less than half of the sampled texts."""
    found: dict[str, list[str]] = {}
    for number, text in enumerate(texts):
        if number >= _LOOKED_AT:
            break
        language = language_of(text)
        kept = found.setdefault(language, [])
        if len(kept) < _TEXTS and text.strip() and (language == "en" or cjk_share(text) > 0.5):
            kept.append(text.strip()[:_CHARACTERS])
    sights = [Sight(language, unseen(embedder, kept)) for language, kept in sorted(found.items()) if len(kept) >= 4]
    return tuple(sight for sight in sights if sight.share >= 0.5)


def unseen(embedder: Embedder, texts: Sequence[str]) -> float:
    """Share of texts whose vector is nearly that of more than half of the others, or nothing at all."""
    vectors = np.asarray(embedder.embed(list(dict.fromkeys(texts)), kind="document"), dtype=np.float32)
    if len(vectors) < 2:
        return 0.0
    alike = (vectors @ vectors.T > _SAME).sum(axis=1) - 1
    nothing = ~vectors.any(axis=1)
    return float(np.mean((alike > (len(vectors) - 1) / 2) | nothing))
