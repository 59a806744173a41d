"""Who hears an answer while it is written. Only answers that nothing is checked or changed in afterwards are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from groundtune.ports import Model, StreamingModel
from groundtune.types import Generation, Message

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("groundtune_listener", default=None)


@contextmanager
def listening(on_text: Callable[[str], None]) -> Iterator[None]:
    """``on_text`` is told the pieces of answers that are written in this context; together they are the answer's text."""
    token = _listener.set(on_text)
    try:
        yield
    finally:
        _listener.reset(token)


def write(model: Model, messages: Sequence[Message], **options: Any) -> Generation:  # noqa: ANN401 - as ``generate``
    """``model.generate``, told to who listens when the model can."""
    on_text = _listener.get()
    if on_text is None or not isinstance(model, StreamingModel):
        return model.generate(messages, **options)
    return model.stream(messages, on_text, **options)
