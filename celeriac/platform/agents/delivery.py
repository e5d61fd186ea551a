"""The delivery: brings the chunks of a run to an `on_chunk` function, one after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any

from celeriac.platform.streams.chunk import Chunk

log = logging.getLogger(__name__)

#: an async function that is told each chunk
OnChunk = Callable[[Chunk], Awaitable[Any]]


class Delivery:
    """Awaits `on_chunk` for each chunk, in order; an error in it is logged and ends nothing."""

    def __init__(self, on_chunk: OnChunk, *, is_apart: bool) -> None:
        """Deliver on the running loop; `is_apart` keeps the work out of the run that is told of, which may park."""
        self._on_chunk = on_chunk
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Chunk | None] = asyncio.Queue()
        context = Context() if is_apart else copy_context()
        self._task = context.run(self._loop.create_task, self._deliver())
        self._is_over = False

    def hear(self, chunk: Chunk) -> None:
        """Take a chunk, from any thread."""
        self._put(chunk)

    async def end(self) -> None:
        """Return when all that was heard is delivered."""
        self.let_go()
        await asyncio.shield(self._task)

    def let_go(self) -> None:
        """End by itself once all that was heard is delivered."""
        if not self._is_over:
            self._is_over = True
            self._put(None)

    def _put(self, item: Chunk | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
        except RuntimeError:
            log.debug("A loop ended before its chunks were delivered")

    async def _deliver(self) -> None:
        while (chunk := await self._queue.get()) is not None:
            try:
                await self._on_chunk(chunk)
            except Exception:
                log.warning("on_chunk failed for chunk %s; the run goes on", chunk.id, exc_info=True)
