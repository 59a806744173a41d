"""Sentence by sentence: is it cited, do the cited passages support it, does anything support it?

Citation recall and precision as ALCE defines them (Gao et al., arXiv 2305.14627, ``eval.py``), with two differences:
entailment is a parameter (default: words and numbers, no model), and a number of a passage that does not exist counts
against precision too, where ALCE's script forgets it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from groundtune.knowledge.cite import SUPPORT, support
from groundtune.knowledge.markers import own_markers, without
from groundtune.measure.citations import CitationScores
from groundtune.text.sentences import sentence_spans
from groundtune.types import Answer

Entails = Callable[[str, str], bool]
"""(premise, claim) to whether the premise supports the claim."""


@dataclass(frozen=True)
class CitedSentence:
    """A sentence without its markers, the places of the passages that it cites, and how many that do not exist."""

    text: str
    cited: tuple[int, ...] = ()
    fabricated: int = 0


def entails(premise: str, claim: str) -> bool:
    """The premise holds every number of the claim and three quarters of its terms."""
    return support(claim, premise) >= SUPPORT


def cited_sentences(text: str, passages: Sequence[str], *, parentheses: bool = False) -> tuple[CitedSentence, ...]:
    """The sentences of a text with ``[n]`` markers; a marker after the full stop belongs to the sentence before it."""
    markers = own_markers(text, passages, parentheses=parentheses)
    bare, places = without(text, markers)
    spans = sentence_spans(bare)
    cited: list[list[int]] = [[] for _ in spans]
    for marker, place in zip(markers, places, strict=True):
        owner = max((i for i, span in enumerate(spans) if span.start < place), default=0)
        if spans:
            cited[owner] += marker.numbers
    found = []
    for span, numbers in zip(spans, cited, strict=True):
        named = list(dict.fromkeys(numbers))
        real = tuple(n - 1 for n in named if 1 <= n <= len(passages))
        found.append(CitedSentence(bare[span.start : span.end], real, len(named) - len(real)))
    return tuple(found)


def sentence_citations(
    sentences: Sequence[CitedSentence], passages: Sequence[str], check: Entails = entails
) -> CitationScores:
    """ALCE's recall: the share of sentences whose passages together support them, 0 for one without citations or with a
    fabricated one. Precision: of all citations (fabricated ones too) those that are needed or support the sentence
    alone, 0 without any. Precision is None and recall 0 without sentences.
    """
    supported = relevant = total = 0
    for sentence in sentences:
        total += len(sentence.cited) + sentence.fabricated
        whole = "\n".join(passages[c] for c in sentence.cited)
        recalled = bool(sentence.cited) and not sentence.fabricated and check(whole, sentence.text)
        supported += recalled
        if recalled and len(sentence.cited) > 1:
            relevant += sum(_needed(sentence, c, passages, check) for c in sentence.cited)
        else:
            relevant += recalled
    if not sentences:
        return CitationScores(None, 0.0)
    return CitationScores(relevant / total if total else 0.0, supported / len(sentences))


def citations_of(answer: Answer, text: str) -> CitationScores:
    """Both scores of an answer whose text in short form is ``text``: by its markers, else by the citations that were
    attached to it, each to its sentence where it names one.
    """
    shown = [hit.chunk.text for hit in answer.context]
    passages = shown[: len(shown) - answer.omitted] if answer.omitted else shown
    marked = cited_sentences(text, passages)
    if any(s.cited or s.fabricated for s in marked) or not (answer.citations or answer.dropped_citations):
        return sentence_citations(marked, passages)
    quotes = [citation.quote for citation in answer.citations]
    spans, own = sentence_spans(text), text == answer.text
    attached = []
    for number, span in enumerate(spans):
        cited = tuple(
            i
            for i, c in enumerate(answer.citations)
            if not own or c.sentence is None or (c.sentence.start < span.end and span.start < c.sentence.end)
        )
        fabricated = answer.dropped_citations if number == 0 else 0
        attached.append(CitedSentence(text[span.start : span.end], cited, fabricated))
    return sentence_citations(attached, quotes)


def unsupported_share(text: str, find: Callable[[str], Sequence[str]]) -> float | None:
    """Share of sentences that no single sentence of the passages which ``find`` gives for them supports; None for an
    empty text.
    """
    bare, _ = without(text, own_markers(text, ()))
    claims = [bare[span.start : span.end] for span in sentence_spans(bare)]
    if not claims:
        return None
    return sum(not _stands(claim, find(claim)) for claim in claims) / len(claims)


def _needed(sentence: CitedSentence, one: int, passages: Sequence[str], check: Entails) -> bool:
    if check(passages[one], sentence.text):
        return True
    rest = "\n".join(passages[c] for c in sentence.cited if c != one)
    return not check(rest, sentence.text)


def _stands(claim: str, passages: Sequence[str]) -> bool:
    return any(entails(sentence, claim) for passage in passages for sentence in _sentences(passage))


@lru_cache(maxsize=512)  # the same passages are looked through for every sentence of every answer
def _sentences(passage: str) -> tuple[str, ...]:
    return tuple(passage[span.start : span.end] for span in sentence_spans(passage))
