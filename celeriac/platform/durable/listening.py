"""Listening: how a link that lives on learns that a wait of its is over.

A run that only waits parks, and is woken. Where a sibling's body executes, the link goes on, and what an event, a
signal or another run has ended is looked up now and then: a race between a wait and long work would else be won by
the work.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.record import Record
from celeriac.platform.durable.store import Store

LISTEN_SECONDS = 0.5


class Listening:
    """The waits of one link that others end."""

    def __init__(self, record: Record, store: Store) -> None:
        """Look nothing up before a branch stands still."""
        self._record, self._store = record, store
        self._loop = asyncio.get_running_loop()
        self._standing: dict[str, asyncio.Future[Wait]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def until_over(self, wait: Wait) -> Wait:
        """Park the branch of the wait, and return it as it is when it is over."""
        future: asyncio.Future[Wait] = self._loop.create_future()
        self._standing[wait.path] = future
        if self._timer is None:
            self._timer = self._loop.call_later(LISTEN_SECONDS, self._look)
        try:
            await self._record.parking.stand_still(wait.path, until=future)
        finally:
            del self._standing[wait.path]
            if not self._standing and self._timer is not None:
                self._timer.cancel()
                self._timer = None
        return future.result()

    def _look(self) -> None:
        claim = self._record.claim
        looked = self._record.executor.submit(self._store.waits, claim)
        looked.add_done_callback(self._tell)

    def _tell(self, looked: Future[list[Wait]]) -> None:
        with suppress(RuntimeError):  # where the loop has ended, its runs have as well
            self._loop.call_soon_threadsafe(self._hear, looked)

    def _hear(self, looked: Future[list[Wait]]) -> None:
        if self._timer is None or self._record.parking.is_over:
            return
        self._timer = self._loop.call_later(LISTEN_SECONDS, self._look)
        error = looked.exception()
        if error is not None and not isinstance(error, StoreUnavailable):
            raise error
        for wait in looked.result() if error is None else ():
            standing = self._standing.get(wait.path)
            if standing is not None and wait.resolved_at is not None and not standing.done():
                standing.set_result(wait)
