"""From a model that tells its pieces to whoever listens to an iterator over them, as other frameworks want it."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from groundtune.ports import Model, StreamingModel
from groundtune.types import Generation, Message


def pieces(model: Model, messages: Sequence[Message], **options: Any) -> Iterator[str | Generation]:  # noqa: ANN401
    """Pieces of text as they are written, then the whole ``Generation``. A model that cannot stream gives one piece.
    Raises what the model raises. When the reader stops early, the model goes on in the background to its end.
    """
    if not isinstance(model, StreamingModel):
        made = model.generate(messages, **options)
        if made.text:
            yield made.text
        yield made
        return
    told: queue.SimpleQueue[str | Generation | BaseException] = queue.SimpleQueue()

    def write() -> None:
        try:
            told.put(model.stream(messages, told.put, **options))
        except BaseException as error:
            told.put(error)

    threading.Thread(target=contextvars.copy_context().run, args=(write,), daemon=True).start()
    while True:
        one = told.get()
        if isinstance(one, BaseException):
            raise one
        yield one
        if isinstance(one, Generation):
            return
