"""Racing: branches side by side, each in a task and a scope of its own, of which the first to end wins.

Both kernels race in this way; the durable one remembers who won.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(frozen=True, kw_only=True, eq=False)
class Racer:
    """A branch that has started."""

    name: str
    task: asyncio.Task[Any]


def start_racer(name: str, branch: Awaitable[Any], context: Context) -> Racer:
    """Start a branch in this context."""
    loop = asyncio.get_running_loop()
    return Racer(name=name, task=loop.create_task(_awaited(branch), context=context))


async def winner_of(racers: Sequence[Racer]) -> Racer:
    """Return the racer that ends first, by its value or its error, when all others were cancelled and have ended."""
    first = _First(racers)
    try:
        return await first
    finally:
        tasks = [racer.task for racer in racers]
        for task in tasks:
            task.cancel()  # does nothing to one that has ended
        await asyncio.gather(*tasks, return_exceptions=True)


class _First(asyncio.Future[Racer]):
    """The racer that ends first; names what it awaits as the future of a gather does."""

    def __init__(self, racers: Sequence[Racer]) -> None:
        super().__init__()
        self._children = [racer.task for racer in racers]
        for racer in racers:
            racer.task.add_done_callback(partial(self._take, racer))

    def _take(self, racer: Racer, _: asyncio.Task[Any]) -> None:
        if not self.done():
            self.set_result(racer)


def call_off(branch: Awaitable[Any]) -> None:
    """End a branch that is not to start."""
    end = getattr(branch, "close", None) or getattr(branch, "cancel", None)
    if end is not None:
        end()


async def _awaited(branch: Awaitable[Any]) -> Any:
    return await branch
