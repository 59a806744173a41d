"""What the approaches share: the system prompt, the call, and what an output says in and outside the house format."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from groundtune.approaches.live import write
from groundtune.approaches.setting import Setting
from groundtune.config import Config
from groundtune.messages import say
from groundtune.ports import Model
from groundtune.text.control import neutralise
from groundtune.tuning.scoring import whole_json
from groundtune.types import Answer, Example, Message, Question

_LONGEST_REFUSAL = 240  # characters; a longer text with such words in it is an answer
_FEWEST_TOKENS = 96  # that an answer may have, however short the examples' are
_REFUSAL = re.compile(
    r"\b(?:do(?:es)? not|don['’]t|doesn['’]t|did not) (?:say|state|mention|contain|cover|specify|know|include|provide|answer)\b"
    r"|\b(?:cannot|can['’]t|unable to|could not) (?:answer|find|determine|tell)\b"
    r"|\bnot (?:stated|mentioned|specified|provided|found|available|covered|given)\b|\bno (?:information|answer|mention)\b"
    r"|\bunanswerable\b"
    r"|無法(?:回答|得知|判斷|確定)|沒有(?:提到|提及|記載|說明|相關|資料|答案|寫)|未(?:提及|提到|記載|載明|說明|規定)|查無|找不到|不知道|不清楚"
    r"|(?:分|わ)かりません|わからない|分からない|(?:記載|情報|記述|回答|答え|該当)[^。]{0,6}(?:ありません|ない|なし)"
    r"|(?:お)?(?:答え|回答)(?:すること)?(?:は|が)?できません|見つかりません|不明です",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Extracted:
    """The answer inside an output. ``value`` is None when the field is null or nothing was found; ``found`` tells these
    apart; ``strict`` means that the whole output is the JSON object.
    """

    value: str | None
    found: bool
    strict: bool


def extract_answer(text: str, field: str) -> Extracted:
    """Field ``field`` (dots go into nested objects) of the JSON object that ``text`` is, else of the first object inside
    it that has the field, else of a cut-off object. Without a field name the text itself is the answer.
    """
    if not field:
        return Extracted(text.strip() or None, True, True)
    whole = whole_json(text)
    for value in [whole] if isinstance(whole, dict) else _embedded(text):
        found, answer = _get(value, field)
        if found:
            return Extracted(answer, True, value is whole)
    cut = re.search(rf'"{re.escape(field.rpartition(".")[2])}"\s*:\s*(?:(null)|"((?:[^"\\]|\\.)*))', text)
    if cut:
        return Extracted(None if cut.group(1) else _unescape(cut.group(2)) or None, True, False)
    return Extracted(None, False, False)


def is_refusal(text: str) -> bool:
    """True for a short text that says, in English, Chinese or Japanese, that there is no answer."""
    stripped = text.strip()
    return len(stripped) <= _LONGEST_REFUSAL and _REFUSAL.search(stripped) is not None


def abstains(text: str, field: str) -> bool:
    """True when an output gives no answer: it is empty, its answer field is null, or what it says is a refusal."""
    answer = extract_answer(text, field)
    said = answer.value if answer.found else text
    return not (said and said.strip()) or is_refusal(said)


def unanswerable(example: Example, field: str) -> bool:
    """True for an example that shows how to say that there is no answer."""
    return example.metadata.get("answerable") is False or abstains(example.target, field)


def system_prompt(config: Config, examples: Sequence[Example] = ()) -> str:
    """``format.instruction``; without it the system prompt that most examples have; without that a default."""
    if config.format.instruction.strip():
        return config.format.instruction.strip()
    systems = Counter(m.content.strip() for e in examples for m in e.messages if m.role == "system")
    usual, count = systems.most_common(1)[0] if systems else ("", 0)
    return usual if 2 * count > len(examples) else say("approaches.instruction", config.project.language)


def answer_tokens(config: Config, examples: Sequence[Example] = ()) -> int:
    """``compare.max_answer_tokens``; when that is 0, enough for the longest answer of the examples (a limit that cuts an
    answer makes its JSON invalid), but not more than twice what 99 of 100 need: one very long answer must not let every
    wrong one run on. Counted without a tokenizer as one token per two ASCII characters and three per two others, and a
    quarter more: in 8,257 answers in three languages byte-level BPE of 12,288 pieces needs at most 1.12 times that
    before the quarter wherever an answer is longer than a few characters.
    """
    if config.compare.max_answer_tokens:
        return config.compare.max_answer_tokens
    sizes = sorted(_rough_tokens(example.target) for example in examples)
    if not sizes:
        return _FEWEST_TOKENS
    usual = sizes[max(0, math.ceil(0.99 * len(sizes)) - 1)]
    return max(_FEWEST_TOKENS, round(min(1.25 * sizes[-1], 2.0 * usual)))


def prepared(setting: Setting, examples: Sequence[Example]) -> tuple[Setting, str]:
    """The setting with a limit for answers that those of the examples keep to, and the system prompt."""
    compare = replace(setting.config.compare, max_answer_tokens=answer_tokens(setting.config, examples))
    made = replace(setting, config=replace(setting.config, compare=compare))
    return made, system_prompt(made.config, examples)


def _rough_tokens(text: str) -> float:
    plain = sum(character.isascii() for character in text)
    return 0.5 * plain + 1.5 * (len(text) - plain)


def house_example(example: Example, system: str) -> Example:
    """The chat as the approaches ask it: system prompt, last user turn, target."""
    turns = (Message("system", system), Message("user", example.input), Message("assistant", example.target))
    return replace(example, messages=turns)


def question_of(example: Example) -> Question:
    """A held-out example as a question: the same way in as for any other question."""
    return Question(example.input, (example.target,), id=example.id, metadata=example.metadata)


def ask(
    setting: Setting,
    model: Model,
    system: str,
    text: str,
    shots: Sequence[Example] = (),
    started: float | None = None,
    live: bool = False,
) -> Answer:
    """One call: system prompt, ``shots`` as finished turns, ``text``. ``started`` (``time.perf_counter``) makes the
    seconds include what was done before. ``live``: who listens (``approaches.live``) hears it while it is written; only
    for text that nothing is done to afterwards.
    """
    began = time.perf_counter() if started is None else started
    turns = [turn for shot in shots for turn in (Message("user", shot.input), Message("assistant", shot.target))]
    messages = (Message("system", system), *turns, Message("user", neutralise(text)))
    settings = setting.config.compare
    call = partial(write, model) if live else model.generate
    wrote = call(messages, max_tokens=answer_tokens(setting.config), seed=settings.seed, schema=setting.schema)
    field = setting.config.format.answer_field
    return Answer(
        text=wrote.text,
        abstained=abstains(wrote.text, field),
        usage=wrote.usage,
        seconds=time.perf_counter() - began,
        model=wrote.model or model.name,
        span=extract_answer(wrote.text, field).value or "",
    )


def _embedded(text: str) -> Iterator[Mapping[str, Any]]:
    decoder = json.JSONDecoder()
    for start in (match.start() for match in re.finditer(r"\{", text)):
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _get(value: Any, field: str) -> tuple[bool, str | None]:  # noqa: ANN401
    for key in field.split("."):
        if not isinstance(value, dict) or key not in value:
            return False, None
        value = value[key]
    if value is None or isinstance(value, str):
        return True, value
    return True, json.dumps(value, ensure_ascii=False)


def _unescape(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text
