"""Side by side: parts of a turn or of a run in tasks of their own, none of which outlives what started it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def side_by_side(bodies: Sequence[Coroutine[Any, Any, T]]) -> AsyncIterator[Sequence[Awaitable[T]]]:
    """Start the bodies; await them inside the block, which leaves none of them behind.

    One that is alone runs in the caller's own task. Where the block ends before they do, they are cancelled and have
    ended when it is left: what a cancelled run used may be closed then.
    """
    tasks = [asyncio.ensure_future(body) for body in bodies] if len(bodies) > 1 else []
    try:
        yield tasks or bodies
    finally:
        for task in tasks:
            task.cancel()  # does nothing to one that has ended
        await asyncio.gather(*tasks, return_exceptions=True)
