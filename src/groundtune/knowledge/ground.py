"""Sentence by sentence: what in a written answer stands in the passages, and what does not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from groundtune.knowledge.cite import (
    Lookup,
    Place,
    checked,
    claim_before,
    holding,
    marked,
    quoted_in,
    support,
    supporting,
)
from groundtune.knowledge.context import Passage
from groundtune.knowledge.markers import find_markers, own_markers, without
from groundtune.knowledge.quotes import find_quote
from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import search_terms
from groundtune.types import Citation, Span, Unsupported

# Share of a sentence's terms that its cited sentences must hold together.
_ENOUGH = 0.6
_BULLET = re.compile(r"^[\s#>*+•・-]*(?:\(?\d{1,3}[.)．、）]?)?[\s:：]*$")


@dataclass(frozen=True, slots=True)
class Grounded:
    """The answer as it may be shown. Its markers are ``[n]`` with n counting the different citations from 1;
    ``unsupported`` are spans of ``text``; ``dropped`` counts invented markers and quotes that stand nowhere.
    """

    text: str
    citations: tuple[Citation, ...]
    unsupported: tuple[Span, ...]
    dropped: int


@dataclass(slots=True)
class _Sentence:
    span: Span
    text: str
    claims: dict[int, str] = field(default_factory=dict)  # passage number to the words that its marker ends
    citations: tuple[Citation, ...] = ()
    supported: bool = True


def ground(
    text: str,
    passages: Sequence[Passage],
    lookup: Lookup,
    *,
    question: str = "",
    unsupported: Unsupported = "flag",
    parentheses: bool = False,
) -> Grounded:
    """Check every sentence of ``text``. A sentence is supported when a source sentence holds it, or when the source
    sentences cited for it hold all its numbers and quotes and most of its terms. With ``remove`` what is not supported
    is cut out; with ``keep`` it is not reported. ``question`` may be quoted without support.

    A text that is JSON keeps its form: its brackets are not markers.
    """
    if _is_json(text):
        markers, bare, places = [], text, list[int]()
    else:
        markers = own_markers(text, [passage.text for passage in passages], parentheses=parentheses)
        bare, places = without(text, markers)
    sentences = [_Sentence(span, bare[span.start : span.end]) for span in _spans(bare)]
    invented: set[int] = set()
    for marker, place in zip(markers, places, strict=True):
        real = tuple(number for number in marker.numbers if 1 <= number <= len(passages))
        invented.update(set(marker.numbers) - set(real))
        owner = _owner(sentences, place)
        if owner is not None:
            claim = claim_before(bare, place, places) or owner.text
            owner.claims = {**dict.fromkeys(real, claim), **owner.claims}
    dropped = len(invented)
    for sentence in sentences:
        dropped += _check(sentence, passages, lookup, question)
    if not _is_json(text):
        sentences = [sentence for sentence in sentences if sentence.supported or unsupported != "remove"]
        for sentence in sentences:
            sentence.text = _rounded(sentence.text)
    return _written(bare, sentences, dropped, flag=unsupported == "flag", mark=bool(markers))


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) or any(not isinstance(item, int) for item in value)  # [1, 2] alone is a marker


def _spans(text: str) -> list[Span]:
    """Sentences that say something: a lone list number or bullet does not."""
    spans = sentence_spans(text)
    return [span for span in spans if not _BULLET.match(text[span.start : span.end])] or spans


def _owner(sentences: Sequence[_Sentence], place: int) -> _Sentence | None:
    """The sentence that a marker ends or stands in: the last that begins before it."""
    before = [sentence for sentence in sentences if sentence.span.start < place]
    return before[-1] if before else (sentences[0] if sentences else None)


def _check(sentence: _Sentence, passages: Sequence[Passage], lookup: Lookup, question: str) -> int:
    """Fill in citations and support; returns how many markers and quotes were dropped."""
    dropped = 0
    found: list[Place] = []
    for number, claim in sentence.claims.items():
        span = marked(claim, passages[number - 1])
        if span is None:
            dropped += 1
        else:
            found.append((passages[number - 1], span))
    quotes = [q for q in quoted_in(sentence.text) if search_terms(q) and find_quote(question, q) is None]
    standing = [place for quote in quotes if (place := _quote_place(quote, passages))]
    whole = holding(sentence.text, passages)
    found += [*standing, *([whole] if whole else [])]
    if not found and (best := supporting(sentence.text, passages)):
        found.append(best)
    kept = [(passage, citation) for passage, span in found if (citation := checked(passage, span, lookup))]
    dropped += len(found) - len(kept) + len(quotes) - len(standing)
    unique = {(c.document_id, c.version, c.start, c.end): c for _, c in kept}
    sentence.citations = tuple(unique.values())
    together = "\n".join(citation.quote for citation in sentence.citations)
    held = whole is not None or support(sentence.text, together) >= _ENOUGH or not search_terms(sentence.text)
    sentence.supported = held and len(quotes) == len(standing) and (bool(kept) or not search_terms(sentence.text))
    return dropped


def _quote_place(quote: str, passages: Sequence[Passage]) -> Place | None:
    """The passage in which a quote stands, with the sentences that hold it."""
    for passage in passages:
        span = find_quote(passage.text, quote)
        if span is not None:
            around = [s for s in sentence_spans(passage.text) if s.end > span.start and s.start < span.end]
            return passage, Span(min(around[0].start, span.start), max(around[-1].end, span.end))
    return None


def _written(bare: str, sentences: Sequence[_Sentence], dropped: int, *, flag: bool, mark: bool) -> Grounded:
    """The sentences that are left with what stands between them and, where the writer marked, new markers."""
    numbers: dict[tuple[str, str, int, int], int] = {}
    pieces: list[str] = []
    citations: list[Citation] = []
    loose: list[Span] = []
    length = at = 0
    for sentence in sentences:
        gap = bare[at : sentence.span.start]
        if not _BULLET.match(gap):  # a sentence between was cut out
            gap = "" if not pieces else "\n" if "\n" in gap else " "
        start = length + len(gap)
        span = Span(start, start + len(sentence.text))
        own = [
            numbers.setdefault((c.document_id, c.version, c.start, c.end), len(numbers) + 1) for c in sentence.citations
        ]
        tail = "".join(f"[{number}]" for number in own) if mark and sentence.claims else ""
        tail = f" {tail}" if tail and sentence.text[-1:].isascii() else tail
        pieces += [gap, sentence.text, tail]
        length = span.end + len(tail)
        citations += [replace(citation, sentence=span) for citation in sentence.citations]
        if flag and not sentence.supported:
            loose.append(span)
        at = sentence.span.end
    last = bare[at:] if sentences else ""
    text = "".join([*pieces, last if _BULLET.match(last) else ""])
    lead = len(text) - len(text.lstrip())
    moved = tuple(replace(c, sentence=_shift(c.sentence, lead)) for c in citations)
    return Grounded(text.strip(), moved, tuple(_shift(span, lead) for span in loose if span), dropped)


def _rounded(text: str) -> str:
    """Footnote numbers that were copied from a source stand in round brackets: square ones are citations of ours."""
    for marker in find_markers(text):
        inside = text[marker.start + 1 : marker.end]
        closed = inside[: len(inside) - 1] + ")" if inside[-1] in "]］】〕" else inside.replace("]", ")", 1)
        text = f"{text[: marker.start]}({closed}{text[marker.end :]}"
    return text


def _shift(span: Span | None, by: int) -> Span:
    assert span is not None
    return Span(span.start - by, span.end - by)
