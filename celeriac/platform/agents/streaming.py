"""Streaming: a run of an agent or a network that is watched while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from celeriac.platform.agents.delivery import OnChunk
from celeriac.platform.streams.chunk import Chunk

T = TypeVar("T")

__all__ = ["OnChunk", "Streaming"]


class Streaming(Generic[T]):
    """`async with network.stream("…") as stream:`, then `async for chunk in stream`, and `await stream.result()`.

    The run begins with the block, and leaving the block cancels it where it has not ended. No chunk is lost between,
    however late somebody looks.
    """

    def __init__(self, start: Callable[[OnChunk], Awaitable[T]]) -> None:
        """Start nothing yet."""
        self._start = start
        self._task: asyncio.Task[T] | None = None
        self._is_asked = False
        self._chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        """Start the run."""
        task = asyncio.create_task(self._run())
        task.add_done_callback(lambda _: self._chunks.put_nowait(None))
        self._task = task
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel the run if it has not ended; raise what it failed with where nobody asked for its result."""
        await self.cancel()
        running = self._running()
        failure = None if running.cancelled() else running.exception()
        if failure is not None and error is None and not self._is_asked:
            raise failure

    def __aiter__(self) -> AsyncIterator[Chunk]:
        """Iterate over the chunks until the run has ended; what was taken once does not come again."""
        return self._each()

    async def text(self) -> AsyncIterator[str]:
        """Yield the pieces of what is said, as they come."""
        async for chunk in self:
            if chunk.event == "text.delta":
                yield chunk.data["delta"]

    async def result(self) -> T:
        """Wait for the end and return what the run came to; raises what it failed with, if it did."""
        self._is_asked = True
        return await asyncio.shield(self._running())

    async def cancel(self) -> None:
        """End the run now, if it goes on; what it told stays to be read."""
        running = self._running()
        running.cancel()
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # looked at, so that asyncio does not report what is raised elsewhere

    async def _run(self) -> T:
        async def take(chunk: Chunk) -> None:
            self._chunks.put_nowait(chunk)

        return await self._start(take)

    async def _each(self) -> AsyncIterator[Chunk]:
        self._check_entered()
        while (chunk := await self._chunks.get()) is not None:
            yield chunk
        self._chunks.put_nowait(None)  # for who iterates again

    def _running(self) -> asyncio.Task[T]:
        self._check_entered()
        assert self._task is not None
        return self._task

    def _check_entered(self) -> None:
        if self._task is None:
            raise RuntimeError("Enter the stream first: async with agent.stream(…) as stream:")
