"""Answers from hits: by quoting (a reader) or by writing (a model), with checked citations, or an honest refusal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from groundtune.knowledge.cite import Lookup, check
from groundtune.knowledge.context import select_passages
from groundtune.knowledge.defuse import defuse
from groundtune.knowledge.fitting import write_fitting
from groundtune.knowledge.ground import ground
from groundtune.knowledge.markers import asks_for_parentheses
from groundtune.knowledge.reading import read_hits
from groundtune.messages import resolve, say
from groundtune.ports import Model, Reader
from groundtune.text.normalise import answer_key
from groundtune.text.prompts import Shown, render
from groundtune.text.scripts import language_of, unread_share
from groundtune.types import Answer, Citation, Generation, Hit, Message, Span, Unsupported

MAX_TOKENS = 512


def refusal(question: str) -> str:
    """The sentence that says that the documents do not answer, in the language of the question."""
    return say("knowledge.refusal", lang=answer_language(question))


def answer_language(question: str) -> str:
    """The language of the question among those that groundtune speaks."""
    found = language_of(question)
    return "zh-TW" if found.startswith("zh") else resolve(found)


def _unread(model: str, question: str, hits: Sequence[Hit]) -> float:
    if not model.startswith("builtin:"):
        return 0.0
    return unread_share("\n".join([question, *(hit.chunk.text for hit in hits)]))


def answer_by_quoting(
    question: str, hits: Sequence[Hit], reader: Reader, lookup: Lookup, *, threshold: float | None = None
) -> Answer:
    """The sentence that holds the best reading above the threshold (default: the reader's); ``span`` is the reading
    itself. The text is a slice of a stored document: nothing that a document says can change what is done with it.
    """
    started = time.perf_counter()
    least = reader.threshold if threshold is None else threshold
    dropped = 0
    best = 0.0
    for reading in read_hits(question, hits, reader):
        best = max(best, reading.probability)
        if reading.probability < least:
            continue
        chunk = hits[reading.index].chunk
        start, end = chunk.start + reading.sentence_start, chunk.start + reading.sentence_end
        quote = chunk.text[reading.sentence_start : reading.sentence_end]
        whole = Span(0, len(quote))
        citation = check(
            Citation(chunk.document_id, chunk.version, start, end, quote, chunk.title, chunk.heading, whole), lookup
        )
        if citation is None:
            dropped += 1
            continue
        return Answer(
            unread=_unread(reader.name, question, hits),
            text=quote,
            citations=(citation,),
            span=chunk.text[reading.start : reading.end],
            confidence=reading.probability,
            dropped_citations=dropped,
            context=tuple(hits),
            model=reader.name,
            seconds=time.perf_counter() - started,
        )
    return Answer(
        unread=_unread(reader.name, question, hits),
        text=refusal(question),
        abstained=True,
        confidence=1.0 - best,
        dropped_citations=dropped,
        context=tuple(hits),
        model=reader.name,
        seconds=time.perf_counter() - started,
    )


def answer_by_writing(
    question: str,
    hits: Sequence[Hit],
    model: Model,
    lookup: Lookup,
    *,
    reader: Reader | None,
    sentences: int = 8,
    unsupported: Unsupported = "flag",
) -> Answer:
    """What the model writes from the best passages, checked sentence by sentence (``knowledge.ground``). Retrieved text
    stands in the user turn as numbered data; the instruction says that it is not to be obeyed.
    """
    started = time.perf_counter()
    sentence = refusal(question)
    passages = select_passages(question, hits, reader=reader, sentences=sentences)
    if not passages:
        return Answer(sentence, abstained=True, model=model.name, seconds=time.perf_counter() - started)
    instruction = say("knowledge.instruction", lang=answer_language(question), refusal=sentence)

    def write(shown: Sequence[Shown]) -> Generation:
        chat = (Message("system", instruction), Message("user", render(question, shown)))
        return model.generate(chat, max_tokens=MAX_TOKENS)

    fitted = write_fitting(write, [Shown(passage.label, passage.marked) for passage in passages])
    made, passages = fitted.value, passages[: len(passages) - fitted.omitted]
    text, links = defuse(made.text.strip(), [question, *(passage.text for passage in passages)])
    answer = Answer(
        text=sentence,
        abstained=True,
        usage=made.usage,
        model=made.model or model.name,
        dropped_citations=links,
        context=tuple(hits),
        omitted=fitted.omitted,
        unread=_unread(model.name, question, hits),
    )
    if text and answer_key(text) != answer_key(sentence):
        found = ground(
            text,
            passages,
            lookup,
            question=question,
            unsupported=unsupported,
            parentheses=asks_for_parentheses(instruction),
        )
        answer = replace(
            answer,
            text=found.text or sentence,
            abstained=not found.text,
            citations=found.citations,
            unsupported=found.unsupported,
            dropped_citations=links + found.dropped,
        )
    return replace(answer, seconds=time.perf_counter() - started)
