"""Streaming: a run of an agent or a network that is watched while it goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: an async function that is told each chunk
OnChunk = Callable[[Any], Awaitable[Any]]


class Streaming(Generic[T]):
    """`async with network.stream("…") as stream:`, then `async for chunk in stream`, and `await stream.result()`."""

    def __init__(self, start: Callable[[OnChunk], Awaitable[T]]) -> None:
        """Start nothing yet."""
        self._start = start
