"""Knowledge in disguise: facts of an answer that its prompt does not hold but the user's documents do.

Facts are looked up by text alone (no model): numbers with what they count, capitalised names and codes, and runs of
Chinese or Japanese characters. Evidence that training such answers harms: Gekhman et al. (arXiv 2405.05904), where
facts unknown to the model lower accuracy once they are fitted; Ovadia et al. (arXiv 2312.05934) and FineTuneBench
(arXiv 2411.05059), where retrieval beats training for knowledge.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from groundtune.text.normalise import fold
from groundtune.text.scripts import CJK, HAN
from groundtune.text.sentences import sentence_spans
from groundtune.types import Example

_NUMBER = re.compile(r"[〇零一二三四五六七八九十百千萬万億兩]{2,}|\d+(?:[.,:/-]\d+)*")
_NAME = re.compile(
    r"\b[A-Z][\w&'’-]*(?:\s+(?:(?:of|and|the|for|de)\s+)?[A-Z][\w&'’-]*)*|\b(?=\w*\d)(?=\w*[A-Za-z])[\w-]+\b"
)
_RUN = re.compile(f"[{HAN}\u30a1-\u30faー]{{3,}}")
# Chinese characters that mostly join words; runs are cut at them (hiragana, which does so in Japanese, is no run).
_JOINS = re.compile("[的了是在和與及或之為以於對由從到也都而但若則您你我他她它這那請]")
_AFTER = re.compile(rf"\s?[%％°]|\s?[A-Za-z]+|\s?[{CJK}]{{1,2}}")
_TRIVIAL = {"yes", "none", "true", "false", "the", "not"}
_COMMON = 0.3  # a fact in this share of the answers belongs to the house format
_EVERYWHERE = 0.5  # a word in this share of (at least four) documents is common vocabulary


@dataclass(frozen=True)
class Known:
    """A fact of the answer of ``example`` that stands in ``document`` and not in the prompt."""

    example: Example
    fact: str
    document: str
    quote: str


def facts(text: str) -> tuple[str, ...]:
    """Candidate facts of an answer, in order, without repeats. JSON answers give their string and number values."""
    found: list[str] = []
    for value in _values(text):
        if value.isascii() and 2 <= len(value.split()) <= 8:
            found.append(value.strip(" .!?"))  # a short answer is one fact as it stands
        found.extend(_numbers(value))
        starts = {span.start for span in sentence_spans(value)}
        for match in _NAME.finditer(value):
            lone = match.start() in starts and not re.search(r"[\s\d]", match.group()) and not match.group().isupper()
            if len(match.group()) > 2 and fold(match.group()) not in _TRIVIAL and not (lone and len(value.split()) > 1):
                found.append(match.group())
        for run in _RUN.finditer(value):
            found.extend(piece for piece in _JOINS.split(run.group()) if len(piece) >= 3)
    return tuple(dict.fromkeys(found))


def known_facts(examples: Sequence[Example], documents: Mapping[str, str]) -> list[Known]:
    """For each example one fact that only the documents hold, from a sentence rather than from a title where there is
    one; examples without such a fact are left out. ``documents`` maps id to text.
    """
    texts = {key: fold(text) for key, text in documents.items()}
    candidates = [facts(example.target) for example in examples]
    usage = Counter(fact for row in candidates for fact in row)
    house = {fact for fact, count in usage.items() if count > max(2.0, _COMMON * len(examples))}
    found: list[Known] = []
    for example, row in zip(examples, candidates, strict=True):
        prompt = fold("\n".join(message.content for message in example.prompt))
        known = []
        for fact in row:
            if fact in house or fold(fact) in prompt or _number_known(fact, prompt):
                continue
            holders = [key for key, text in texts.items() if _stands(fold(fact), text)]
            if holders and not (len(texts) >= 4 and len(holders) > _EVERYWHERE * len(texts)):
                source = str(example.metadata.get("document", ""))
                document = source if source in holders else holders[0]
                known.append(Known(example, fact, document, _quote(documents[document], fact)))
        if known:  # a sentence shows it better than a title
            found.append(next((item for item in known if not item.quote.startswith("#")), known[0]))
    return found


def _values(text: str) -> Iterator[str]:
    try:
        value = json.loads(text)
    except ValueError:
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


def _numbers(text: str) -> Iterator[str]:
    """Numbers with the word after them; a lone digit without one says too little to be looked up."""
    for match in _NUMBER.finditer(text):
        after = _AFTER.match(text, match.end())
        whole = match.group() + (after.group() if after else "")
        if len(match.group()) > 1 or after:
            yield whole


def _number_known(fact: str, prompt: str) -> bool:
    number = _NUMBER.match(fact)
    return number is not None and _stands(fold(number.group()), prompt)


def _stands(needle: str, text: str) -> bool:
    """``needle`` in ``text``, not as part of a longer number or Latin word. Both folded."""
    head = r"(?<![\d.,])" if needle[:1].isdigit() else r"(?<![a-z])" if needle[:1].isascii() else ""
    tail = r"(?![\d])" if needle[-1:].isdigit() else r"(?![a-z])" if needle[-1:].isascii() else ""
    return needle in text and re.search(head + re.escape(needle) + tail, text) is not None


def _quote(text: str, fact: str) -> str:
    wanted = fold(fact)
    for span in sentence_spans(text):
        if wanted in fold(text[span.start : span.end]):
            return " ".join(text[span.start : span.end].split())
    return fact
