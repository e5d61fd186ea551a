"""Listening: how a link that lives on learns that a wait of its is over.

A run that only waits parks, and is woken. Where a sibling's body executes, the link goes on, and what an event, a
signal or another run has ended is looked up now and then: a race between a wait and long work would else be won by
the work.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.memo import Memo, Wait
from celeriac.platform.durable.record import Record
from celeriac.platform.durable.store import Store

LISTEN_SECONDS = 0.5

T = TypeVar("T")
_Heard = tuple[list[Wait], list[Memo]]


class Listening:
    """The waits of one link that others end."""

    def __init__(self, record: Record, store: Store) -> None:
        """Look nothing up before a branch stands still."""
        self._record, self._store = record, store
        self._loop = asyncio.get_running_loop()
        self._standing: dict[str, asyncio.Future[Wait]] = {}
        self._placed: dict[str, asyncio.Future[Memo]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def until_over(self, wait: Wait) -> Wait:
        """Park the branch of the wait, and return it as it is when it is over."""
        return await self._stand_still(self._standing, wait.path)

    async def until_remembered(self, path: str) -> Memo:
        """Park the branch of a placed step, and return the memo that another process makes of it."""
        return await self._stand_still(self._placed, path)

    async def _stand_still(self, standing: dict[str, asyncio.Future[T]], path: str) -> T:
        future: asyncio.Future[T] = self._loop.create_future()
        standing[path] = future
        if self._timer is None:
            self._timer = self._loop.call_later(LISTEN_SECONDS, self._look)
        try:
            await self._record.parking.stand_still(path, until=future)
        finally:
            del standing[path]
            if not (self._standing or self._placed) and self._timer is not None:
                self._timer.cancel()
                self._timer = None
        return future.result()

    def _look(self) -> None:
        looked = self._record.executor.submit(self._read, bool(self._standing), bool(self._placed))
        looked.add_done_callback(self._tell)

    def _read(self, is_for_waits: bool, is_for_memos: bool) -> _Heard:
        claim, store = self._record.claim, self._store
        return (store.waits(claim) if is_for_waits else [], store.memos(claim) if is_for_memos else [])

    def _tell(self, looked: Future[_Heard]) -> None:
        with suppress(RuntimeError):  # where the loop has ended, its runs have as well
            self._loop.call_soon_threadsafe(self._hear, looked)

    def _hear(self, looked: Future[_Heard]) -> None:
        if self._timer is None or self._record.parking.is_over:
            return
        self._timer = self._loop.call_later(LISTEN_SECONDS, self._look)
        error = looked.exception()
        if error is not None and not isinstance(error, StoreUnavailable):
            raise error
        waits, memos = looked.result() if error is None else ([], [])
        for wait in waits:
            if wait.resolved_at is not None:
                _resolve(self._standing.get(wait.path), wait)
        for memo in memos:
            _resolve(self._placed.get(memo.path), memo)


def _resolve(standing: asyncio.Future[T] | None, value: T) -> None:
    if standing is not None and not standing.done():
        standing.set_result(value)
