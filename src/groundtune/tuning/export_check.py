"""Does an exported model answer as its source does? The same chats to both, greedily, answers compared letter by letter."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import ModelRefused
from groundtune.ports import Model
from groundtune.types import Message

ANSWER_TOKENS = 64
_SHOWN = 3


@dataclass(frozen=True)
class Unlike:
    """One chat to which the export answers otherwise."""

    prompt: str
    source: str
    export: str


@dataclass(frozen=True)
class Verified:
    """``how`` the export was run: transformers, peft, xllamacpp (llama.cpp), or own-forward (the file read back and
    run by groundtune itself). ``same`` of ``prompts`` answers are equal; ``tokens`` of them were read as the same token ids
    (None where the program does not tell), ``template`` of them written as the same text by a template that was translated
    (None where none was); ``skipped`` chats do not fit into the model.
    """

    how: str
    prompts: int
    same: int
    tokens: int | None = None
    skipped: int = 0
    unlike: tuple[Unlike, ...] = ()
    template: int | None = None

    @property
    def good(self) -> bool:
        """Every answer is the same, and there was at least one."""
        whole = (None, self.prompts)
        return (
            0 < self.prompts == self.same
            and self.tokens in whole
            and self.template in (None, self.prompts + self.skipped)
        )


def verify(source: Model, export: Model, chats: Sequence[Sequence[Message]], how: str) -> Verified:
    """Ask both; chats that are too long for the source are skipped. Raises what the models do otherwise."""
    same = asked = skipped = equal = 0
    unlike: list[Unlike] = []
    encoders = [found for found in map(_encoder, (source, export)) if found is not None]
    for chat in chats:
        try:
            expected = _whole(source.generate(chat, max_tokens=ANSWER_TOKENS).text)
        except ModelRefused:
            skipped += 1
            continue
        asked += 1
        found = _whole(export.generate(chat, max_tokens=ANSWER_TOKENS).text)
        same += expected == found
        equal += len(encoders) == 2 and encoders[0](chat) == encoders[1](chat)
        if expected != found and len(unlike) < _SHOWN:
            unlike.append(Unlike(chat[-1].content, expected, found))
    return Verified(how, asked, same, equal if len(encoders) == 2 else None, skipped, tuple(unlike))


def _encoder(model: Any) -> Callable[[Sequence[Message]], list[int]] | None:  # noqa: ANN401
    """What turns a chat into the token ids that the model reads, None for a model that does not tell."""
    return getattr(model, "encode", None)


def _whole(text: str) -> str:
    """With bytes that are no text, of which programs show one mark or several, as one; without those at the end, where
    the limit may have cut a character in two.
    """
    return re.sub("\ufffd+", "\ufffd", text).rstrip("\ufffd").rstrip()
