"""Candidate questions made from the documents, for a person to keep, edit or drop before they count.

Without a model: one telling piece of a sentence (a date, a number, a name, a list item) is blanked out, and the sentence
is the evidence. What has no answer is such a question asked of a document that does not say it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from groundtune.approaches.common import extract_answer
from groundtune.knowledge.diff import Change
from groundtune.messages import say
from groundtune.ports import Model
from groundtune.text.normalise import contains_answer
from groundtune.text.scripts import CJK, cjk_share, language_of
from groundtune.text.sentences import sentence_spans
from groundtune.types import Document, Message

KINDS = ("changed", "date", "number", "name", "list", "unanswerable")
EVERY = 5  # one question in so many has no answer
_BLANK = "____"
_LONGEST, _SHORTEST, _SHORTEST_CJK = 240, 30, 12
_NOT_PROSE = re.compile(r"^\s*(?:#|\||```|~~~|>|!\[|\[\d+\])")
_MARK = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)、])\s+")
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_N = "[一二三四五六七八九十百千萬万兩]"
_CJK_UNIT = "(?:個月|か月|ヶ月|カ月|週間|時間|小時|分鐘|萬元|億元|万円|億円|公里|公斤|工作天|營業日|営業日|[年月週日天時分秒元円圓歲歳人名件次回台個枚階樓成倍折％%])"
_FINDERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("date", re.compile(rf"\b\d{{4}}-\d{{2}}-\d{{2}}\b|\b\d{{1,2}} {_MONTH}(?: \d{{4}})?\b|\b{_MONTH} \d{{1,2}}(?:, \d{{4}})?\b"
                        r"|(?:(?:中華)?民國|令和|平成|西元)?\s?\d{1,4}\s?年\s?\d{1,2}\s?月(?:\s?\d{1,2}\s?日)?|\d{1,2}\s?月\s?\d{1,2}\s?日")),
    ("number", re.compile(rf"(?<![\d.,A-Za-z第§])\d[\d,]*(?:[.:]\d+)?(?:\s?{_CJK_UNIT}|\s?(?:%|percent\b|[A-Za-z]{{2,}}\b))"
                          rf"|(?<![第一二三四五六七八九十百千萬万])(?!十分){_N}{{1,4}}{_CJK_UNIT}|\b\d{{1,2}}:\d{{2}}\b")),
    ("name", re.compile(r"(?<=[a-z,] )[A-Z][\w’'-]+(?: [A-Z][\w’'-]+)+|(?<=「)[^」]{2,16}(?=」)|(?<=《)[^》]{2,20}(?=》)")),
    ("list", re.compile(rf"(?<=, )[\w -]{{3,30}}(?=,? and [\w -]{{3,40}}[.;])|(?<=、)[{CJK}]{{2,10}}(?=(?:[、及和與或]|または|および|や))")),
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """One question to look at. ``quote`` is its evidence, word for word in ``document``; ``old_answer`` what an earlier
    version said.
    """

    question: str
    answer: str
    document: str
    quote: str
    kind: str
    old_answer: str = ""

    @property
    def answerable(self) -> bool:
        """False where the document that is asked does not say it."""
        return self.kind != "unanswerable"


@dataclass(frozen=True)
class _Found:
    """A sentence and the piece of it that is asked for."""

    document: Document
    sentence: str
    answer: str
    kind: str


Ask = Callable[[_Found], tuple[str, str] | None]


def make_candidates(
    documents: Sequence[Document],
    count: int,
    *,
    changes: Mapping[str, Sequence[Change]] | None = None,
    model: Model | None = None,
    known: Collection[str] = (),
) -> tuple[Candidate, ...]:
    """At most ``count`` candidates, spread over the documents: first those from ``changes`` (by document id), then the
    rest, with one in five unanswerable where there are two documents or more; sentences in ``known`` are left out. With ``model`` it words the questions; what
    it answers must stand in the sentence. Raises what the model raises when it cannot be reached.
    """
    ask: Ask = _cloze if model is None else _Asker(model)
    titles = {document.id: document for document in documents}
    made = [c for key, found in (changes or {}).items() if key in titles for c in _changed(titles[key], found)]
    made = [candidate for candidate in made if candidate.quote not in known][:count]
    seen = {candidate.quote for candidate in made} | set(known)
    for number, found in enumerate(_spread(documents)):
        if len(made) >= count:
            break
        if found.sentence in seen:
            continue
        other = _silent(found, documents, number) if len(made) % EVERY == EVERY - 1 else None
        worded = ask(found)
        if worded is None:
            continue
        seen.add(found.sentence)
        question, answer = worded
        if other is not None:
            asked = say("measure.asked_of", lang=_language(found.sentence), title=other.title, question=question)
            made.append(Candidate(asked, "", other.id, "", "unanswerable"))
        else:
            made.append(Candidate(question, answer, found.document.id, found.sentence, found.kind))
    return tuple(made)


def _spread(documents: Sequence[Document]) -> Iterator[_Found]:
    """What can be asked, taken from the documents in turn."""
    texts = [document.text for document in documents]
    rows = [_askable(document, texts) for document in documents]
    for group in zip_longest(*rows):
        yield from (found for found in group if found is not None)


def _askable(document: Document, texts: Sequence[str]) -> Iterator[_Found]:
    for span in sentence_spans(document.text):
        line = document.text[span.start : span.end]
        marker = _MARK.match(line)
        sentence = line[marker.end() :] if marker else line
        shortest = _SHORTEST_CJK if cjk_share(sentence) > 0.5 else _SHORTEST
        if _NOT_PROSE.match(line) or not shortest <= len(sentence) <= _LONGEST:
            continue
        if sum(text.count(sentence) for text in texts) != 1:
            continue  # its evidence would not be one place
        piece = _piece(sentence)
        if piece:
            yield _Found(document, sentence, piece[1], piece[0])


def _piece(sentence: str) -> tuple[str, str] | None:
    for kind, pattern in _FINDERS:
        for match in pattern.finditer(sentence):
            answer = match.group().strip()
            if sentence.count(answer) == 1 and len(answer) < len(sentence) / 2:
                return kind, answer
    return None


def _cloze(found: _Found) -> tuple[str, str]:
    blanked = found.sentence.replace(found.answer, _BLANK, 1)
    return say("measure.cloze", lang=_language(found.sentence), sentence=blanked), found.answer


def _silent(found: _Found, documents: Sequence[Document], number: int) -> Document | None:
    """Another document that says neither the sentence nor the answer; which one goes round."""
    for step in range(1, len(documents)):
        other = documents[(number + step) % len(documents)]
        if other.id != found.document.id and not contains_answer(other.text, found.answer):
            return other
    return None


def _changed(document: Document, changes: Sequence[Change]) -> Iterator[Candidate]:
    """Sentences that differ from their earlier version in the piece that is asked for, and in nothing else."""
    for change in changes:
        old, new = change.old.strip(), change.new.strip()
        if change.kind != "changed" or document.text.count(new) != 1:
            continue
        for kind, pattern in _FINDERS:
            match = next((m for m in pattern.finditer(new) if _old_piece(old, new, m.span())), None)
            if match:
                found = _Found(document, new, match.group(), kind)
                question, answer = _cloze(found)
                yield Candidate(question, answer, document.id, new, "changed", _old_piece(old, new, match.span()))
                break


def _old_piece(old: str, new: str, span: tuple[int, int]) -> str:
    before, after = new[: span[0]], new[span[1] :]
    if len(old) <= len(before) + len(after) or not (old.startswith(before) and old.endswith(after)):
        return ""
    piece = old[len(before) : len(old) - len(after)].strip()
    return "" if piece == new[span[0] : span[1]] else piece


def _language(sentence: str) -> str:
    found = language_of(sentence)
    return "zh-TW" if found.startswith("zh") else found


class _Asker:
    """A model words the question; its answer must stand in the sentence."""

    _SCHEMA: Mapping[str, Any] = {
        "type": "object",
        "properties": {"question": {"type": "string"}, "answer": {"type": "string"}},
        "required": ["question", "answer"],
        "additionalProperties": False,
    }

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(self, found: _Found) -> tuple[str, str] | None:
        lang = _language(found.sentence)
        messages = (
            Message("system", say("measure.question_instruction", lang=lang)),
            Message("user", f"{found.document.title}\n\n{found.sentence}"),
        )
        wrote = self._model.generate(messages, max_tokens=200, schema=self._SCHEMA).text
        question, answer = (extract_answer(wrote, name).value for name in ("question", "answer"))
        if not question or not answer or answer.strip() not in found.sentence or answer.strip() in question:
            return None
        return question.strip(), answer.strip()
