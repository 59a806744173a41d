"""An answer that is on its way: its pieces as they are written, then the answer itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from groundtune.approaches.live import listening
from groundtune.serve.service import Answerer
from groundtune.types import Answer, Question


class LiveAnswer:
    """Made by ``begin``. Read ``pieces`` to the end, then ``answer``."""

    def __init__(self, queue: asyncio.Queue[str | None], task: asyncio.Task[Answer], first: str | None) -> None:
        self._queue, self._task, self._first = queue, task, first

    async def pieces(self) -> AsyncIterator[str]:
        """None at all from an approach that checks its answers before it shows them."""
        piece = self._first
        while piece is not None:
            yield piece
            piece = await self._queue.get()

    async def answer(self) -> Answer:
        """Raises what the approach raised."""
        return await self._task


async def begin(answerer: Answerer, question: Question) -> LiveAnswer:
    """Start to answer, and wait for the first piece or the end: an error before that is raised here."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()

    def tell(piece: str) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, piece)

    def run() -> Answer:
        with listening(tell):
            return answerer.answer(question)

    task = asyncio.ensure_future(run_in_threadpool(run))
    task.add_done_callback(lambda _: queue.put_nowait(None))
    first = await queue.get()
    if first is None:
        await task
    return LiveAnswer(queue, task, first)
