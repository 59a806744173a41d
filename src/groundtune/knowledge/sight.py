"""Can an embedder, the built-in models and the word index see the script of the documents? Some tokenizers turn every
unknown character into the same token; then all texts in that script get about the same vector. Where words are written
without spaces, and not in Chinese, Japanese or Korean characters, a whole phrase is one search term.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from groundtune.ports import Embedder
from groundtune.text.scripts import cjk_share, language_of, unread_share, unsplit_share

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


@dataclass(frozen=True, slots=True)
class Seen:
    """What will be missed of some texts. ``blind``: languages that the embedder cannot tell apart; ``unread``: share of
    letters, in [0, 1], in scripts that the built-in models have never seen; ``unsplit``: share of letters in scripts
    without spaces between words that the word index cannot cut.
    """

    blind: tuple[Sight, ...] = ()
    unread: float = 0.0
    unsplit: float = 0.0


def seen(embedder: Embedder | None, texts: Sequence[str]) -> Seen:
    """Looks at the beginnings of up to 400 texts, spread over all of them."""
    step = max(1, len(texts) // _LOOKED_AT)
    chosen = [text[:_CHARACTERS] for text in texts[::step]]
    whole = "\n".join(chosen)
    blind = look(embedder, chosen) if embedder is not None else ()
    return Seen(blind, unread_share(whole), unsplit_share(whole))


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
