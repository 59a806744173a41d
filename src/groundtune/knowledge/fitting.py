"""A prompt that is too long for its model loses whole passages, the last ones first, and says how many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from groundtune.errors import ModelRefused
from groundtune.text.prompts import Shown

T = TypeVar("T")
TOO_LONG = "models.too_long"


@dataclass(frozen=True, slots=True)
class Fitted(Generic[T]):
    """What was written, and how many of the passages did not fit."""

    value: T
    omitted: int


def write_fitting(write: Callable[[Sequence[Shown]], T], shown: Sequence[Shown]) -> Fitted[T]:
    """``write(shown)``, again with one passage less for as long as the model says that the prompt is too long. With a
    single passage its refusal stands: a passage is never cut in the middle.
    """
    for count in range(len(shown), 0, -1):
        try:
            return Fitted(write(shown[:count]), len(shown) - count)
        except ModelRefused as error:
            if error.key != TOO_LONG or count == 1:
                raise
    return Fitted(write(()), 0)
