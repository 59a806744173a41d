"""Citations of an answer: the verbatim sentences of the shown passages that hold it, checked against the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundtune.knowledge.context import Passage
from groundtune.knowledge.markers import own_markers, without
from groundtune.text.normalise import contains_answer, fold, squeeze
from groundtune.text.scripts import cjk_share
from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import search_terms
from groundtune.types import Citation, Span

Lookup = Callable[[str, str], str | None]
Place = tuple[Passage, Span]

_QUOTED = re.compile(r"“([^”]{2,})”|\"([^\"]{2,})\"|「([^」]{2,})」|『([^』]{2,})』")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# Share of an answer sentence's terms that a source sentence must hold to be shown as its source.
SUPPORT = 0.75
_LONGEST_RUN = 3


@dataclass(frozen=True, slots=True)
class CiteResult:
    """``dropped`` counts markers of passages that do not exist and quotes that do not stand in the store."""

    citations: tuple[Citation, ...]
    dropped: int


def cite(answer_text: str, passages: Sequence[Passage], lookup: Lookup, *, parentheses: bool = False) -> CiteResult:
    """Find the sentences that hold the answer (or its quoted strings, or that support one of its sentences), and those
    that ``[n]`` markers point to. Nothing is returned that ``lookup(document_id, version)`` does not hold word for word.
    """
    markers = own_markers(answer_text, [passage.text for passage in passages], parentheses=parentheses)
    spoken, marks = without(answer_text, markers)
    bare = squeeze(spoken)
    found: list[Place] = []
    dropped = 0
    seen: set[int] = set()
    for marker, place in zip(markers, marks, strict=True):
        for number in marker.numbers:
            if number in seen:
                continue
            seen.add(number)
            passage = passages[number - 1] if 1 <= number <= len(passages) else None
            span = marked(claim_before(spoken, place, marks) or bare, passage) if passage else None
            if passage is None or span is None:
                dropped += 1
            else:
                found.append((passage, span))
    for needle in dict.fromkeys([bare, *quoted_in(bare)]):
        held = holding(needle, passages) if needle else None
        if held:
            found.append(held)
    if not found:
        claims = [bare[claim.start : claim.end] for claim in sentence_spans(bare)]
        found.extend(best for claim in claims if (best := supporting(claim, passages)))
    citations: dict[tuple[str, str, int, int], Citation] = {}
    for passage, span in found:
        citation = checked(passage, span, lookup)
        if citation is None:
            dropped += 1
        else:
            citations[citation.document_id, citation.version, citation.start, citation.end] = citation
    return CiteResult(tuple(citations.values()), dropped)


def quoted_in(text: str) -> list[str]:
    """The strings between quotation marks."""
    return [next(group for group in match.groups() if group) for match in _QUOTED.finditer(text)]


def holding(needle: str, passages: Sequence[Passage]) -> Place | None:
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
    """``needle`` stands in ``text``: as whole words and whole numbers, or, in CJK text, as a run of characters."""
    if not numbers_of(needle) <= numbers_of(text):
        return False
    if contains_answer(text, needle):
        return True
    return cjk_share(needle) > 0 and squeeze(fold(needle)) in squeeze(fold(text))


def numbers_of(text: str) -> set[str]:
    """The numbers in a text, with their decimals but without commas between thousands."""
    return {number.replace(",", "").strip(".") for number in _NUMBER.findall(fold(text))}


def marked(claim: str, passage: Passage) -> Span | None:
    """The sentence of a passage that best supports the claim which carries its marker; None without any."""
    held = holding(claim, [passage])
    if held:
        return held[1]
    spans = sentence_spans(passage.text)
    best = max(spans, key=lambda span: support(claim, passage.text[span.start : span.end]), default=None)
    return best if best and support(claim, passage.text[best.start : best.end]) > 0 else None


def supporting(claim: str, passages: Sequence[Passage]) -> Place | None:
    """The source sentence that holds the numbers of an answer sentence and most of its terms."""
    options = [
        (support(claim, passage.text[span.start : span.end]), passage, span)
        for passage in passages
        for span in sentence_spans(passage.text)
    ]
    best = max(options, key=lambda option: option[0], default=None)
    return (best[1], best[2]) if best and best[0] >= SUPPORT else None


def support(claim: str, source: str) -> float:
    """Share of the claim's terms in the source; 0 when a number of the claim is missing there."""
    terms = set(search_terms(claim))
    if not terms or not numbers_of(claim) <= numbers_of(source):
        return 0.0
    return len(terms & set(search_terms(source))) / len(terms)


def checked(passage: Passage, span: Span, lookup: Lookup, sentence: Span | None = None) -> Citation | None:
    """A span of a passage as a citation that stands in the store; None when it does not."""
    chunk = passage.hit.chunk
    start, end = passage.start + span.start, passage.start + span.end
    quote = passage.text[span.start : span.end]
    found = Citation(chunk.document_id, chunk.version, start, end, quote, chunk.title, chunk.heading, sentence)
    return check(found, lookup)


def check(citation: Citation, lookup: Lookup) -> Citation | None:
    """The citation when its quote stands word for word at its offsets in the stored version; None otherwise."""
    text = lookup(citation.document_id, citation.version)
    stands = text is not None and citation.quote and text[citation.start : citation.end] == citation.quote
    return citation if stands else None


def claim_before(spoken: str, place: int, marks: Sequence[int]) -> str:
    """What stands before a marker: back to the marker before it or to the start of its sentence. Several markers in a
    row share the words before the first.
    """
    start = max((span.start for span in sentence_spans(spoken) if span.start < place), default=0)
    before = max((mark for mark in marks if mark < place), default=0)
    part = squeeze(spoken[max(start, before) : place]).strip(" ,;，、；")
    return part or squeeze(spoken[start:place])
