"""``builtin:reader``: a small extractive reader in NumPy. It returns exact spans, so an answer is its own citation.

Two networks (``reader_network``) share the work: one learned from English, one from Japanese and Traditional Chinese. As one
network they took each other's rows of the table and each other's training time (``recipes/LOG.md``). Of much text only the
parts that share words with the question are read (``reader_regions``).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from groundtune.errors import SpecError
from groundtune.models.reader_network import Network, Weights
from groundtune.models.reader_regions import regions
from groundtune.models.reader_units import Encoded, Floats, cut, encode
from groundtune.models.shipped import read_weights
from groundtune.text.scripts import language_of, unread_share
from groundtune.text.sentences import sentence_spans
from groundtune.types import Reading

FOLDER = Path(__file__).parent.parent / "builtin" / "reader"
LONGEST, QUESTION = 30, 80
UNREAD = 0.4  # above this share of letters in scripts without training text nothing is claimed
KINDS = ("words", "characters")  # the network for text of words, and the one for CJK text
CJK_SHARE = 0.3  # of a passage's units, from which it is CJK text to an English question


def open_reader(name: str) -> BuiltinReader:
    """The reader that ships with groundtune. Raises ``SpecError`` for another name, ``ModelError`` when its file is
    damaged.
    """
    if name not in ("reader", ""):
        hint = difflib.get_close_matches(name, ["reader"], n=1)
        raise SpecError(
            "core.unknown_provider_hint", kind="builtin", name=name, known="reader", hint=(hint or ["reader"])[0]
        )
    return _shipped()


@cache
def _shipped() -> BuiltinReader:
    card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    return BuiltinReader(read_weights(FOLDER / "weights.npz", card["sha256"]["weights.npz"]), card)


@lru_cache(maxsize=4096)
def _encoded(passage: str) -> Encoded:
    """Chunks are read again and again: their units and hashes are kept."""
    return encode(passage)


def of_kind(weights: Weights, kind: str) -> Weights:
    """The arrays ``kind/name`` of a file of several networks, as ``name``."""
    return {name.removeprefix(f"{kind}/"): array for name, array in weights.items() if name.startswith(f"{kind}/")}


class BuiltinReader:
    """Reads passages one by one; ``probability`` is calibrated on development data (``card["calibration"]``)."""

    name = "builtin:reader"

    def __init__(self, weights: Weights, card: dict[str, Any]) -> None:
        self._networks = {kind: Network(of_kind(weights, kind)) for kind in KINDS}
        self.threshold: float = card["threshold"]
        calibration = card["calibration"]
        self._slope: float = calibration["slope"]
        self._offset: float = calibration["offset"]
        self._least: dict[str, float] = calibration.get("least", {})  # scores are not alike in all languages

    def read(self, question: str, passages: Sequence[str], k: int = 5) -> list[Reading]:
        """Best ``k`` readings over all passages, at most one per sentence, best first. A question or a passage that is
        mostly in a script without training text gives none.
        """
        asked = cut(encode(question), 0, QUESTION)
        found: list[Reading] = []
        if len(asked) and unread_share(question) <= UNREAD:
            known = [(i, passage) for i, passage in enumerate(passages) if unread_share(passage) <= UNREAD]
            parts = regions([_encoded(passage) for _, passage in known], asked)
            windows = [(known[at][0], window) for at, window in parts]
            read: dict[int, list[tuple[int, int, float]]] = {}
            for (i, window), logits in zip(windows, self.logits([w for _, w in windows], asked), strict=True):
                read.setdefault(i, []).extend(
                    (int(window.starts[first]), int(window.ends[last]), score)
                    for first, last, score in top_spans(logits, k)
                )
            least = self._least.get(language_of(question)[:2], 0.0)
            for i, spans in read.items():
                found.extend(self._best_by_sentence(i, passages[i], spans, least))
        found.sort(key=lambda reading: -reading.score)
        return found[:k]

    def _best_by_sentence(
        self, index: int, passage: str, spans: Sequence[tuple[int, int, float]], least: float
    ) -> list[Reading]:
        sentences = sentence_spans(passage)
        best: dict[int, Reading] = {}
        for start, end, score in spans:
            at = next((i for i, sentence in enumerate(sentences) if sentence.end > start), 0)
            if at in best and best[at].score >= score:
                continue
            stop = next((sentence.end for sentence in sentences[at:] if sentence.end >= end), end)
            chance = 1 / (1 + float(np.exp(-(self._slope * (score - least) + self._offset))))
            best[at] = Reading(index, start, end, sentences[at].start, max(stop, end), score, chance)
        return list(best.values())

    def logits(self, passages: Sequence[Encoded], question: Encoded) -> list[Floats]:
        """Of each passage (1 + units, 2) start and end logits; row 0 is the no-answer sentinel. Passages are read by the
        network of their kind of script.
        """
        kinds = [_kind(passage, question) for passage in passages]
        made: dict[int, Floats] = {}
        for kind in sorted(set(kinds)):
            own = [i for i, other in enumerate(kinds) if other == kind]
            made.update(zip(own, self._networks[kind].logits([passages[i] for i in own], question), strict=True))
        return [made[i] for i in range(len(passages))]


def _kind(passage: Encoded, question: Encoded) -> str:
    cjk = question.single.any() or (len(passage) and passage.single.mean() > CJK_SHARE)
    return KINDS[1] if cjk else KINDS[0]


def top_spans(logits: Floats, k: int) -> list[tuple[int, int, float]]:
    """Up to ``k`` non-overlapping (first, last, score) by start + end - no-answer, at most LONGEST units long."""
    start, end = logits[1:, 0], logits[1:, 1]
    n = len(start)
    table = np.full((n, min(LONGEST, n)), -np.inf, dtype=np.float32)
    for width in range(table.shape[1]):
        table[: n - width, width] = start[: n - width] + end[width:]
    none = float(logits[0].sum())
    found: list[tuple[int, int, float]] = []
    flat = table.ravel()
    few = min(60 * k, flat.size)
    order = np.argpartition(-flat, few - 1)[:few] if flat.size else np.zeros(0, dtype=np.int64)
    for place in order[np.argsort(-flat[order])].tolist():
        first, width = divmod(place, table.shape[1])
        last = first + width
        if np.isfinite(flat[place]) and all(last < a or first > b for a, b, _ in found):
            found.append((first, last, float(flat[place]) - none))
            if len(found) == k:
                break
    return found
