"""Calls to the outside: what all of them share, whatever they call.

They are made in an empty context, trust the same certificates, and import their slow libraries beside the loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

#: modules whose import has finished
_loaded: set[str] = set()


async def load(*modules: str) -> None:
    """Import slow modules in a thread at their first use, so that the loop goes on (an SDK takes about a second)."""
    for module in modules:
        if module not in _loaded:  # sys.modules holds half imported ones too
            await asyncio.to_thread(importlib.import_module, module)
            _loaded.add(module)


async def apart(call: Coroutine[Any, Any, T]) -> T:
    """Await a call that runs in an empty context; cancelling the waiting cancels the call.

    A pooled connection keeps the context that it was opened in for as long as it lives: with a run's own it would hold
    the whole run.
    """
    loop = asyncio.get_running_loop()
    return await contextvars.Context().run(loop.create_task, call)


async def each_apart(items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Yield what is produced in an empty context, as `apart` awaits; leaving early cancels the producer."""
    queue: asyncio.Queue[tuple[T] | None] = asyncio.Queue()

    async def produce() -> None:
        try:
            async for item in items:
                queue.put_nowait((item,))
        finally:
            queue.put_nowait(None)

    task = contextvars.Context().run(asyncio.get_running_loop().create_task, produce())
    try:
        while (found := await queue.get()) is not None:
            yield found[0]
        await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


@cache
def tls() -> ssl.SSLContext:
    """Return the one TLS context of the process; reading the certificates for each client takes 50 ms."""
    import httpx2

    return httpx2.create_ssl_context()
