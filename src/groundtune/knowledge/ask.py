"""Answers from hits: by quoting (a reader) or by writing (a model), with checked citations, or an honest refusal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from groundtune.knowledge.cite import Lookup, check, cite
from groundtune.knowledge.context import select_passages
from groundtune.knowledge.reading import read_hits
from groundtune.messages import resolve, say
from groundtune.ports import Model, Reader
from groundtune.text.normalise import answer_key
from groundtune.text.prompts import Shown, render
from groundtune.text.scripts import language_of
from groundtune.types import Answer, Citation, Hit, Message

MAX_TOKENS = 512


def refusal(question: str) -> str:
    """The sentence that says that the documents do not answer, in the language of the question."""
    return say("knowledge.refusal", lang=answer_language(question))


def answer_language(question: str) -> str:
    """The language of the question among those that groundtune speaks."""
    found = language_of(question)
    return "zh-TW" if found.startswith("zh") else resolve(found)


def answer_by_quoting(question: str, hits: Sequence[Hit], reader: Reader, lookup: Lookup) -> Answer:
    """The sentence that holds the best reading above the reader's threshold; ``span`` is the reading itself."""
    started = time.perf_counter()
    dropped = 0
    best = 0.0
    for reading in read_hits(question, hits, reader):
        best = max(best, reading.probability)
        if reading.probability < reader.threshold:
            continue
        chunk = hits[reading.index].chunk
        start, end = chunk.start + reading.sentence_start, chunk.start + reading.sentence_end
        quote = chunk.text[reading.sentence_start : reading.sentence_end]
        citation = check(
            Citation(chunk.document_id, chunk.version, start, end, quote, chunk.title, chunk.heading), lookup
        )
        if citation is None:
            dropped += 1
            continue
        return Answer(
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
        text=refusal(question),
        abstained=True,
        confidence=1.0 - best,
        dropped_citations=dropped,
        context=tuple(hits),
        model=reader.name,
        seconds=time.perf_counter() - started,
    )


def answer_by_writing(
    question: str, hits: Sequence[Hit], model: Model, lookup: Lookup, *, reader: Reader | None, sentences: int = 8
) -> Answer:
    """What the model writes from the best passages. Retrieved text stands in the user turn as numbered data; the
    instruction says that it is not to be obeyed.
    """
    started = time.perf_counter()
    sentence = refusal(question)
    passages = select_passages(question, hits, reader=reader, sentences=sentences)
    if not passages:
        return Answer(sentence, abstained=True, model=model.name, seconds=time.perf_counter() - started)
    lang = answer_language(question)
    shown = [Shown(passage.label, passage.marked) for passage in passages]
    messages = (
        Message("system", say("knowledge.instruction", lang=lang, refusal=sentence)),
        Message("user", render(question, shown)),
    )
    made = model.generate(messages, max_tokens=MAX_TOKENS)
    text = made.text.strip()
    abstained = not text or answer_key(text) == answer_key(sentence)
    cited = None if abstained else cite(text, passages, lookup)
    return Answer(
        text=text or sentence,
        citations=cited.citations if cited else (),
        abstained=abstained,
        usage=made.usage,
        seconds=time.perf_counter() - started,
        model=made.model or model.name,
        dropped_citations=cited.dropped if cited else 0,
        context=tuple(hits),
    )
