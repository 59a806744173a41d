"""Citations of an answer: the verbatim sentences of the shown passages that hold it, checked against the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundtune.knowledge.context import Passage
from groundtune.text.normalise import contains_answer, fold, squeeze
from groundtune.text.scripts import cjk_share
from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import search_terms
from groundtune.types import Citation, Span

Lookup = Callable[[str, str], str | None]

_MARKER = re.compile(r"[\[［【](\d{1,3})[\]］】]")
_QUOTED = re.compile(r"“([^”]{2,})”|\"([^\"]{2,})\"|「([^」]{2,})」|『([^』]{2,})』")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# Share of an answer sentence's terms that a source sentence must hold to be shown as its source.
_SUPPORT = 0.75
_LONGEST_RUN = 3


@dataclass(frozen=True, slots=True)
class CiteResult:
    """``dropped`` counts markers of passages that do not exist and quotes that do not stand in the store."""

    citations: tuple[Citation, ...]
    dropped: int


def cite(answer_text: str, passages: Sequence[Passage], lookup: Lookup) -> CiteResult:
    """Find the sentences that hold the answer (or its quoted strings, or that support one of its sentences), and those
    that ``[n]`` markers point to. Nothing is returned that ``lookup(document_id, version)`` does not hold word for word.
    """
    bare = squeeze(_MARKER.sub(" ", answer_text))
    found: list[tuple[Passage, Span]] = []
    dropped = 0
    for number in dict.fromkeys(int(number) for number in _MARKER.findall(answer_text)):
        passage = passages[number - 1] if 1 <= number <= len(passages) else None
        span = _marked(answer_text, number, passage) if passage else None
        if passage is None or span is None:
            dropped += 1
        else:
            found.append((passage, span))
    for needle in _needles(bare):
        place = _holding(needle, passages)
        if place:
            found.append(place)
    if not found:
        found.extend(_supporting(bare, passages))
    citations: dict[tuple[str, str, int, int], Citation] = {}
    for passage, span in found:
        citation = _checked(passage, span, lookup)
        if citation is None:
            dropped += 1
        else:
            citations[citation.document_id, citation.version, citation.start, citation.end] = citation
    return CiteResult(tuple(citations.values()), dropped)


def _needles(bare: str) -> list[str]:
    quoted = [next(group for group in match.groups() if group) for match in _QUOTED.finditer(bare)]
    return [needle for needle in dict.fromkeys([bare, *quoted]) if needle]


def _holding(needle: str, passages: Sequence[Passage]) -> tuple[Passage, Span] | None:
    """The shortest run of at most three sentences that holds ``needle``, in the first passage that does."""
    for passage in passages:
        spans = sentence_spans(passage.text)
        for length in range(1, min(_LONGEST_RUN, len(spans)) + 1):
            for first in range(len(spans) - length + 1):
                run = Span(spans[first].start, spans[first + length - 1].end)
                if stands_in(passage.text[run.start : run.end], needle):
                    return passage, run
    return None


def stands_in(text: str, needle: str) -> bool:
    """``needle`` stands in ``text``: as whole words, or, in CJK text, as a run of characters."""
    if contains_answer(text, needle):
        return True
    return cjk_share(needle) > 0 and squeeze(fold(needle)) in squeeze(fold(text))


def _marked(answer: str, number: int, passage: Passage) -> Span | None:
    """The sentence of a passage that best supports the answer sentence which carries the marker; None without any."""
    claim = _claim(answer, number) or squeeze(_MARKER.sub(" ", answer))
    held = _holding(claim, [passage])
    if held:
        return held[1]
    best = max(sentence_spans(passage.text), key=lambda s: _support(claim, passage.text[s.start : s.end]), default=None)
    return best if best and _support(claim, passage.text[best.start : best.end]) > 0 else None


def _claim(answer: str, number: int) -> str:
    """What stands before a marker: back to the marker before it or to the start of its sentence."""
    for span in sentence_spans(answer):
        sentence = answer[span.start : span.end]
        before = 0
        for match in _MARKER.finditer(sentence):
            part = squeeze(sentence[before : match.start()]).strip(" ,;，、；")
            if int(match.group(1)) == number:
                # Several markers in a row share the words before the first.
                return part or squeeze(_MARKER.sub(" ", sentence[: match.start()]))
            before = match.end()
    return ""


def _supporting(bare: str, passages: Sequence[Passage]) -> list[tuple[Passage, Span]]:
    """For each sentence of a longer answer, the source sentence that holds its numbers and most of its terms."""
    found: list[tuple[Passage, Span]] = []
    for claim in sentence_spans(bare):
        text = bare[claim.start : claim.end]
        options = [
            (_support(text, passage.text[span.start : span.end]), passage, span)
            for passage in passages
            for span in sentence_spans(passage.text)
        ]
        best = max(options, key=lambda option: option[0], default=None)
        if best and best[0] >= _SUPPORT:
            found.append((best[1], best[2]))
    return found


def _support(claim: str, source: str) -> float:
    """Share of the claim's terms in the source sentence; 0 when a number of the claim is missing there."""
    terms = set(search_terms(claim))
    if not terms or not set(_NUMBER.findall(fold(claim))) <= set(_NUMBER.findall(fold(source))):
        return 0.0
    return len(terms & set(search_terms(source))) / len(terms)


def _checked(passage: Passage, span: Span, lookup: Lookup) -> Citation | None:
    chunk = passage.hit.chunk
    start, end = passage.start + span.start, passage.start + span.end
    return check(
        Citation(
            chunk.document_id,
            chunk.version,
            start,
            end,
            passage.text[span.start : span.end],
            chunk.title,
            chunk.heading,
        ),
        lookup,
    )


def check(citation: Citation, lookup: Lookup) -> Citation | None:
    """The citation when its quote stands word for word at its offsets in the stored version; None otherwise."""
    text = lookup(citation.document_id, citation.version)
    stands = text is not None and citation.quote and text[citation.start : citation.end] == citation.quote
    return citation if stands else None
