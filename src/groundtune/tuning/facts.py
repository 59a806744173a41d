"""Knowledge in disguise: facts of an answer that its prompt does not hold but the user's documents do.

Facts are looked up by text alone (no model). A strong fact (a number of some size with what it counts, a name, a code,
a run of Chinese or Japanese characters) counts wherever it stands in the documents. A weak one ("one year", 二戶, words
in small letters) stands everywhere, so it counts only in a sentence that the prompt is plainly about. Evidence that
training such answers harms: Gekhman et al. (arXiv 2405.05904), where facts unknown to the model lower accuracy once
they are fitted; Ovadia et al. (arXiv 2312.05934) and FineTuneBench (arXiv 2411.05059), where retrieval beats training
for knowledge.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from groundtune.text.normalise import fold
from groundtune.text.scripts import HAN
from groundtune.text.sentences import sentence_spans
from groundtune.text.tokenise import STOP_WORDS, search_terms
from groundtune.tuning.numbers import counted, numbers
from groundtune.tuning.passages import Near, Overlap, Passages, Rows
from groundtune.types import Example

_NAME = re.compile(
    r"\b[A-Z][\w&'’-]*(?:\s+(?:(?:of|and|the|for|de)\s+)?[A-Z][\w&'’-]*)*|\b(?=\w*\d)(?=\w*[A-Za-z])[\w-]+\b"
)
_RUN = re.compile(f"[{HAN}\u30a1-\u30faー]{{3,}}")
# Chinese characters that mostly join words; runs are cut at them (hiragana, which does so in Japanese, is no run).
_JOINS = re.compile("[的了是在和與及或之為以於對由從到也都而但若則您你我他她它這那請]")
_SHORT_RUN = re.compile(f"[{HAN}\u30a1-\u30faー]{{2,}}")
_WORD = re.compile(r"[A-Za-z][\w'’-]*|\d[\w.,-]*")
_TRIVIAL = {"yes", "none", "true", "false", "the", "not"}
_COMMON = 0.3  # a fact in this share of the answers belongs to the house format
_HOUSE_WORD = 0.1  # so does a word in this share of them
_EVERYWHERE = 0.5  # a word in this share of (at least four) documents is common vocabulary
_SMALL, _LARGE = 10.0, 100.0  # numbers up to the first stand in every document; from the second one they say what
# they are without their unit
_ABOUT, _SHARED = 0.3, 2  # a prompt is about a sentence that shares this much of it, and at least so many terms;
_ABOUT_NAMED = 0.2  # less is enough in a document whose title the prompt names
_LOOKED_AT = 8  # sentences nearest to a prompt


@dataclass(frozen=True)
class Known:
    """A fact of the answer of ``example`` that stands in ``document`` and not in the prompt. ``overlap`` in [0, 1] is
    what the prompt shares with the sentence ``quote``.
    """

    example: Example
    fact: str
    document: str
    quote: str
    overlap: float = 0.0


@dataclass(frozen=True)
class Fact:
    """A candidate: its text, the canonical value when it is a number, and whether it says much by itself."""

    text: str
    strong: bool
    value: str | None = None
    unit: str = ""


def facts(text: str) -> tuple[str, ...]:
    """Strong candidate facts of an answer, in order, without repeats. JSON answers give their values."""
    return tuple(dict.fromkeys(fact.text for fact in candidates(text) if fact.strong))


def candidates(text: str) -> list[Fact]:
    """All candidate facts of an answer, strong and weak, in order, without repeats."""
    found: list[Fact] = []
    for value in json_values(text):
        if value.isascii() and 2 <= len(value.split()) <= 8:
            found.append(Fact(value.strip(" .!?"), _telling(value)))  # a short answer is one fact as it stands
        elif not value.isascii() and len(value) <= 20 and not re.search(r"[\s、。，,.]", value):
            found.append(Fact(value, False))
        found.extend(_numbers(value))
        starts = {span.start for span in sentence_spans(value)}
        for match in _NAME.finditer(value):
            lone = match.start() in starts and not re.search(r"[\s\d]", match.group()) and not match.group().isupper()
            if len(match.group()) > 2 and fold(match.group()) not in _TRIVIAL and not (lone and len(value.split()) > 1):
                telling = (
                    not match.group().isalpha() or match.group().isupper()
                )  # "British" alone can be anybody's word
                found.append(Fact(match.group(), telling))
        for run in _RUN.finditer(value):
            found.extend(Fact(piece, True) for piece in _JOINS.split(run.group()) if len(piece) >= 3)
        pieces = (piece for run in _SHORT_RUN.finditer(value) for piece in _JOINS.split(run.group()))
        found.extend(Fact(piece, False) for piece in pieces if len(piece) == 2)
    best: dict[str, Fact] = {}
    for fact in found:  # of the same text the one that says most
        if fact.text not in best or (fact.strong, fact.value is not None) > (
            best[fact.text].strong, best[fact.text].value is not None
        ):  # fmt: skip
            best[fact.text] = fact
    return list(best.values())


def known_facts(examples: Sequence[Example], documents: Mapping[str, str]) -> list[Known]:
    """For each example one fact that only the documents hold, from the sentence that the prompt is nearest to; examples
    without such a fact are left out. ``documents`` maps id to text.
    """
    if not examples or not documents:
        return []
    passages = Passages(documents)
    rows = [candidates(example.target) for example in examples]
    usage = Counter(fact.text for row in rows for fact in row)
    house = {text for text, count in usage.items() if count > max(2.0, _COMMON * len(examples))}
    words = Counter(term for example in examples for term in set(search_terms(example.target)))
    often = {term for term, count in words.items() if count > max(2.0, _HOUSE_WORD * len(examples))}
    search = _Search(passages, len(documents), often)
    found = []
    for example, row in zip(examples, rows, strict=True):
        known = search.find(example, [fact for fact in row if fact.text not in house])
        if known is not None:
            found.append(known)
    return found


class _Search:
    """Looks the facts of one example after the other up."""

    def __init__(self, passages: Passages, documents: int, often: Set[str]) -> None:
        self._passages = passages
        self._documents = documents
        self._often = often

    def find(self, example: Example, row: Sequence[Fact]) -> Known | None:
        prompt = "\n".join(message.content for message in example.prompt)
        folded, stated = fold(prompt), counted(prompt)
        fresh = [fact for fact in row if not _said(fact, folded, stated)]
        words = Fact(_novel(example.target, folded, self._often), False)
        if not fresh and not words.text:
            return None
        overlap = self._passages.overlap(search_terms(example.input))
        named = self._passages.named_in(folded)
        close = [*overlap.best(_LOOKED_AT), *(overlap.best(_LOOKED_AT, named) if len(named) else ())]
        likely = [near for near in close if self._about(near, named, folded)]
        best: list[tuple[tuple[bool, float], Known]] = []
        for fact in fresh:
            near = self._strong(fact, overlap, example) if fact.strong else None
            near = near or self._weak(fact, likely)
            if near is not None:
                best.append(((not self._title(near), near.strength), self._known(example, fact.text, near)))
        if best:
            return max(best, key=lambda pair: pair[0])[1]
        near = self._weak(words, likely) if words.text else None
        return self._known(example, words.text, near) if near is not None else None

    def _strong(self, fact: Fact, overlap: Overlap, example: Example) -> Near | None:
        """The sentence with the fact that the prompt shares most with, None for common vocabulary."""
        holding = self._holding(fact)
        documents = {self._passages.documents[row] for row in holding}
        if not holding or (self._documents >= 4 and len(documents) > _EVERYWHERE * self._documents):
            return None
        source = str(example.metadata.get("document", ""))
        own = [row for row in holding if self._passages.documents[row] == source]
        return max(
            (overlap.near(row) for row in own or holding), key=lambda near: (not self._title(near), near.strength)
        )

    def _about(self, near: Near, named: Rows, prompt: str) -> bool:
        """Whether the prompt is about a sentence, without showing it."""
        enough = _ABOUT_NAMED if near.index in named else _ABOUT
        shared = near.terms >= _SHARED and near.strength >= enough
        return shared and not self._title(near) and self._passages.folded[near.index] not in prompt

    def _weak(self, fact: Fact, likely: Sequence[Near]) -> Near | None:
        return next((near for near in likely if self._stands_in(fact, near.index)), None)

    def _holding(self, fact: Fact) -> list[int]:
        terms = search_terms(fact.text) or [fold(fact.text)]
        rows = [row for row in self._passages.holding(terms) if _stands(fold(fact.text), self._passages.folded[row])]
        if not rows and fact.value is not None and _size(fact.value) > 2:
            counted = search_terms(re.sub(r"^[\d.,\s]+", "", fact.text))[:1]
            rows = self._passages.holding([f"#{fact.value}", *counted])
        return rows

    def _stands_in(self, fact: Fact, row: int) -> bool:
        if _stands(fold(fact.text), self._passages.folded[row]):
            return True
        if fact.value is not None:
            return _stated(fact.value, fact.unit, counted(self._passages.sentences[row]))
        wanted = set(search_terms(fact.text))
        return bool(wanted) and wanted <= set(search_terms(self._passages.sentences[row]))

    def _title(self, near: Near) -> bool:
        return self._passages.sentences[near.index].startswith("#")

    def _known(self, example: Example, fact: str, near: Near) -> Known:
        quote = " ".join(self._passages.sentences[near.index].split())
        return Known(example, fact, self._passages.documents[near.index], quote, round(near.strength, 3))


def json_values(text: str) -> Iterator[str]:
    """String and number values of a JSON text; the text itself when it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield text
        return
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(reversed(list(item.values())))
        elif isinstance(item, list):
            stack.extend(reversed(item))
        elif item is not None and not isinstance(item, bool):
            yield str(item)


def _numbers(text: str) -> Iterator[Fact]:
    """Numbers with what they count. A lone digit says too little to be looked up."""
    plain = unicodedata.normalize("NFKC", text)
    for number in numbers(plain):
        if len(number.text) > 1 or number.unit:
            yield Fact(plain[number.start : number.unit_end], _size(number.value) > 1, number.value, number.unit)


def _size(value: str) -> int:
    """Digits of a number above ten, 0 for the small ones that stand in every document."""
    if "/" in value:
        return 0
    return len(value.replace(".", "")) if float(value) > _SMALL else 0


def _telling(answer: str) -> bool:
    """Whether a short answer is more than a small number with its unit."""
    plain = unicodedata.normalize("NFKC", answer)
    left = plain
    for number in numbers(plain):
        if _size(number.value) > 1:
            return True
        left = left.replace(number.text, " ")
    return left == plain or len([word for word in _WORD.findall(left) if word.lower() not in STOP_WORDS]) > 2


def _said(fact: Fact, prompt: str, stated: set[str]) -> bool:
    """Whether the prompt states the fact, a number perhaps in another form. ``stated`` holds ``counted(prompt)``."""
    if _stands(fold(fact.text), prompt):
        return True
    if fact.value is not None:
        return _stated(fact.value, fact.unit, stated)
    inside = list(numbers(unicodedata.normalize("NFKC", fact.text)))
    return bool(inside) and _only(fact.text) and all(_stated(n.value, n.unit, stated) for n in inside)


def _stated(value: str, unit: str, stated: set[str]) -> bool:
    if not unit or ("/" not in value and float(value) >= _LARGE):
        return value in stated
    return f"{value} {unit}" in stated


def _only(text: str) -> bool:
    plain = unicodedata.normalize("NFKC", text)
    for number in numbers(plain):
        plain = plain.replace(number.text, " ")
    return len(_WORD.findall(plain)) <= 1 and len(plain.strip()) <= 8


def _novel(answer: str, prompt: str, often: Set[str]) -> str:
    """The longest run of Latin words of an answer that neither the prompt nor many answers have, without stop words at
    its ends.
    """
    known = {*search_terms(prompt), *often}
    best: list[str] = []
    for value in json_values(answer):
        run: list[str] = []
        for word in [*_WORD.findall(value), ""]:
            terms = search_terms(word)
            if word and (not terms or not set(terms) <= known):
                run.append(word)
                continue
            run = _trimmed(run)
            best = max(best, run, key=len)
            run = []
    return " ".join(best)


def _trimmed(run: list[str]) -> list[str]:
    while run and run[0].lower() in STOP_WORDS:
        run = run[1:]
    while run and run[-1].lower() in STOP_WORDS:
        run = run[:-1]
    return run


def _stands(needle: str, text: str) -> bool:
    """``needle`` in ``text``, not as part of a longer number or Latin word. Both folded."""
    if not needle or needle not in text:
        return False
    numerals = "〇一二三四五六七八九十百千萬万億"
    head = r"(?<![\d.,])" if needle[:1].isdigit() else r"(?<![a-z])" if needle[:1].isascii() else ""
    if needle[:1] in numerals:
        head = f"(?<![{numerals}])"
    tail = r"(?![\d])" if needle[-1:].isdigit() else r"(?![a-z])" if needle[-1:].isascii() else ""
    return re.search(head + re.escape(needle) + tail, text) is not None
