"""More rows from the same examples, for answers that copy: values change places, in the prompt and in the answer alike.

A small model that sees 300 names six times learns the names instead of learning to copy what stands in the prompt. Where
a text in a JSON answer stands word for word in the prompt, later passes show the example with another example's text of the
same field in both places. The form, the field and the type stay as they were written; only what is copied changes
("mention replacement": Dai and Adel, An Analysis of Simple Data Augmentation for Named Entity Recognition, COLING 2020).
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from groundtune.config import TuningSection
from groundtune.text.scripts import CJK
from groundtune.tuning.rows import Row, row_of
from groundtune.tuning.scoring import whole_json
from groundtune.types import Example, Message

SHARE = 0.7  # of the values that can change do so in a later pass
_FEWEST = 10  # different values of a field; fewer are a list of choices to be learnt
_KEY = "\0"


@dataclass(frozen=True)
class _Value:
    """A text that is copied: its field (with what says of which type it is) and the text."""

    field: str
    text: str


def swapped_rows(
    examples: Sequence[Example],
    built: Sequence[Row],
    settings: TuningSection,
    tokenizer: Any,  # noqa: ANN401
    limit: int,
) -> tuple[Row, ...]:
    """Rows for all passes (``settings.epochs``) but the first, pass after pass; empty where nothing can change. A row that would be longer than
    ``limit`` tokens stays ``built``, that of the first pass. Rows with retrieved passages are not touched: an answer put
    into another passage would make it say what is not so.
    """
    if any("gold_shown" in example.metadata for example in examples):
        return ()
    blocks = swapped(examples, settings.epochs - 1, settings.seed)
    rows: list[Row] = []
    for block in blocks:
        for example, changed, row in zip(examples, block, built, strict=True):
            made = row if changed is example else row_of(changed, tokenizer)
            rows.append(made if len(made.input_ids) <= limit else row)
    return tuple(rows)


def swapped(examples: Sequence[Example], times: int, seed: int) -> list[tuple[Example, ...]]:
    """The examples with values exchanged, ``times`` over; an empty list where there is nothing to exchange."""
    said = len(os.path.commonprefix([example.input for example in examples])) if len(examples) > 1 else 0
    found = [tuple(_copied(example, said)) for example in examples]
    pools: dict[str, dict[str, None]] = {}
    for values in found:
        for value in values:
            pools.setdefault(value.field, {})[value.text] = None
    usable = {field: tuple(texts) for field, texts in pools.items() if len(texts) >= _FEWEST}
    if not usable:
        return []
    chance = random.Random(seed)
    return [
        tuple(_changed(e, said, values, usable, chance) for e, values in zip(examples, found, strict=True))
        for _ in range(times)
    ]


def _copied(example: Example, said: int) -> Iterator[_Value]:
    """Texts of the answer that stand in the last user turn behind the ``said`` characters that all of them begin with (the
    instruction), once each.
    """
    own = example.input[said:]
    value = whole_json(example.target)
    if not isinstance(value, dict | list):
        return
    seen: set[str] = set()
    for field, text in _texts(value, ""):
        if text not in seen and len(text) > 1 and _stands(text, own):
            seen.add(text)
            yield _Value(_typed(field, own), text)


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    """Fields and texts. A field is named by its path and by the other texts of its object."""
    if isinstance(value, dict):
        others = {key: item for key, item in value.items() if isinstance(item, str)}
        for key, item in value.items():
            if isinstance(item, str):
                rest = _KEY.join(f"{name}={text}" for name, text in others.items() if name != key)
                yield f"{path}/{key}{_KEY}{rest}", item
            else:
                yield from _texts(item, f"{path}/{key}")
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, str):
                yield f"{path}[]", item
            else:
                yield from _texts(item, f"{path}[]")


def _typed(field: str, prompt: str) -> str:
    """The field without those of its neighbours that are copied too: they say nothing about its type."""
    path, *others = field.split(_KEY)
    return _KEY.join([path, *(other for other in others if other and other.partition("=")[2] not in prompt)])


def _stands(text: str, prompt: str) -> bool:
    """Whether a text stands in a prompt as words of their own."""
    return re.search(_pattern(text), prompt) is not None


def _pattern(text: str) -> str:
    edge = rf"[^\W{CJK}]"
    before = rf"(?<!{edge})" if re.match(edge, text) else ""
    after = rf"(?!{edge})" if re.search(rf"{edge}$", text) else ""
    return before + re.escape(text) + after


def _changed(
    example: Example, said: int, values: Sequence[_Value], pools: Mapping[str, Sequence[str]], chance: random.Random
) -> Example:
    changes: dict[str, str] = {}
    for value in values:
        overlaps = any(value.text in other.text or other.text in value.text for other in values if other is not value)
        if value.field in pools and not overlaps and chance.random() < SHARE:
            changes[value.text] = chance.choice(pools[value.field])
    if not changes:
        return example
    either = "|".join(_pattern(text) for text in sorted(changes, key=len, reverse=True))
    prompt = example.input[:said] + re.sub(either, lambda match: changes[match.group()], example.input[said:])
    target = json.dumps(_replaced(whole_json(example.target), changes), ensure_ascii=False)
    turns = [*example.messages[:-1]]
    last = max(i for i, turn in enumerate(turns) if turn.role == "user")
    turns[last] = Message("user", prompt)
    return replace(example, messages=(*turns, Message("assistant", target)))


def _replaced(value: Any, changes: Mapping[str, str]) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _replaced(item, changes) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, changes) for item in value]
    return changes.get(value, value) if isinstance(value, str) else value
