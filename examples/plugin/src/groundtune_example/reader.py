"""``numbers:``: a reader that finds the number in the sentence that shares most words with the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import search_terms
from groundtune.types import Reading

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


class Numbers:
    """Implements ``groundtune.ports.Reader``."""

    name = "numbers:"
    threshold = 0.3

    def read(self, question: str, passages: Sequence[str], k: int = 5) -> list[Reading]:
        """Best ``k`` numbers, best first; the share of the question's words is the probability."""
        asked = set(search_terms(question))
        found: list[Reading] = []
        for index, passage in enumerate(passages):
            for span in sentence_spans(passage):
                match = _NUMBER.search(passage, span.start, span.end)
                share = len(asked & set(search_terms(passage[span.start : span.end]))) / max(1, len(asked))
                if match and share:
                    found.append(Reading(index, match.start(), match.end(), span.start, span.end, share, share))
        return sorted(found, key=lambda reading: -reading.score)[:k]


def open_reader(name: str, **options: object) -> Numbers:
    """The factory."""
    return Numbers()
