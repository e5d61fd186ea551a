"""The way back: how plain functions, which run in threads, have coroutines run on the loop that they came from.

A plain function has a thread to itself while the task that called it stands still. What it has to run as a coroutine
(`run_sync`) goes back to that very task: so it belongs to the same run, takes its step ids in the same order, and is
cancelled or parked with it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from celeriac.platform.body_threads import BodyThreads

_GONE = "The run that this plain function worked for goes on without it"
#: how often a function that waits looks whether its loop is still there
_LOOK_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Errand:
    """A coroutine that a plain function wants to be run, in the context that the function has come to."""

    coroutine: Coroutine[Any, Any, Any]
    context: Context
    answer: Future[Any] = field(default_factory=Future)

    async def run(self) -> None:
        """Run it in the task that we are in; what ends that task ends the function too."""
        try:
            value = await _Within(self.context, self.coroutine)
        except Exception as error:  # noqa: BLE001  # it is the function's to catch
            self.answer.set_exception(error)
        except BaseException as error:
            self.answer.set_exception(asyncio.CancelledError(_GONE) if isinstance(error, GeneratorExit) else error)
            raise
        else:
            self.answer.set_result(value)

    def refuse(self) -> None:
        """End the function, because nobody waits for it any more."""
        self.coroutine.close()
        self.answer.set_exception(asyncio.CancelledError(_GONE))


class _Within:
    """A coroutine as a part of the task that awaits it, but with the variables of another context."""

    def __init__(self, context: Context, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._context, self._coroutine = context, coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        go = partial(self._coroutine.send, None)
        while True:
            try:
                awaited = self._context.run(go)
            except StopIteration as ended:
                return ended.value
            try:
                given = yield awaited
            except GeneratorExit:
                self._context.run(self._coroutine.close)
                raise
            except BaseException as error:  # noqa: BLE001  # a cancellation goes to the coroutine first
                go = partial(self._coroutine.throw, error)
            else:
                go = partial(self._coroutine.send, given)


class WayBack:
    """The way from the thread of one plain function back to the task that called it."""

    def __init__(self, threads: BodyThreads) -> None:
        """Belong to the task that we are in."""
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        #: resolved by an errand, or by None once the function has ended
        self._news: asyncio.Future[_Errand | None] = self._loop.create_future()
        self._is_over = False
        self._thread: int | None = None

    async def serve(self, call: Callable[[], Any]) -> Any:
        """Make the call in a thread, and run here what it sends back meanwhile; return what it returns."""
        ended = self._loop.run_in_executor(self._threads, self._called, call)
        ended.add_done_callback(lambda _: self._tell(None))
        try:
            while (errand := await self._news) is not None:
                self._news = self._loop.create_future()
                await errand.run()
            return await ended
        finally:
            self._is_over = True
            ended.cancel()  # does nothing to one that has ended; one that has not begun never does
            if self._news.done() and not self._news.cancelled() and (lost := self._news.result()) is not None:
                lost.refuse()  # it came as this task was cancelled

    @property
    def is_ours(self) -> bool:
        """Whether we are in the function's own thread."""
        return threading.get_ident() == self._thread

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the function's task, and wait for it here, in its thread."""
        errand = _Errand(coroutine=coroutine, context=copy_context())
        with self._threads.lent():
            try:
                self._loop.call_soon_threadsafe(self._take, errand)
            except RuntimeError:  # the loop was closed
                errand.refuse()
            while not wait([errand.answer], _LOOK_SECONDS).done:
                if self._loop.is_closed():
                    errand.refuse()
            return errand.answer.result()

    def _called(self, call: Callable[[], Any]) -> Any:
        self._thread = threading.get_ident()
        try:
            return call()
        finally:
            self._thread = None

    def _take(self, errand: _Errand) -> None:
        if self._is_over or self._news.done():  # done by a cancellation that our task has not come to know yet
            errand.refuse()
        else:
            self._tell(errand)

    def _tell(self, news: _Errand | None) -> None:
        if not self._news.done():
            self._news.set_result(news)


_way_back: ContextVar[WayBack | None] = ContextVar("celeriac_way_back", default=None)


def way_back() -> WayBack | None:
    """Return the way back from here; None where this is not the thread of a plain function that was called by us."""
    way = _way_back.get()
    return way if way is not None and way.is_ours else None


async def call_in_thread(
    threads: BodyThreads, fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Call a plain function in a thread, with the variables of the context that we are in."""
    way, context = WayBack(threads), copy_context()
    context.run(_way_back.set, way)

    def call() -> Any:
        try:
            return context.run(fn, *args, **kwargs)
        except StopIteration as error:  # no future can carry it, so that the waiting task would wait for ever
            raise RuntimeError(f"StopIteration left {getattr(fn, '__name__', 'a function')!r}") from error

    return await way.serve(call)
