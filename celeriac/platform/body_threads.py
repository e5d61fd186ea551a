"""Body threads: where plain functions of the user's run.

Made for each process that runs functions. `way_back.py` calls plain functions here, and lends their places away while
they wait for the loop.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class BodyThreads(Executor):
    """Lets so many functions work at once, in the order in which they came; one that waits for the loop counts as none.

    A place is what a thread needs to work. The threads themselves have no bound, for those that wait keep theirs.
    """

    def __init__(self, places: int, *, thread_name_prefix: str = "") -> None:
        """Begin without a thread; each is made when it is needed, and kept."""
        self._pool = ThreadPoolExecutor(sys.maxsize, thread_name_prefix=thread_name_prefix)
        self._lock = threading.Lock()
        #: places that nobody has; below zero where more work than may, because some that waited go on
        self._free = places
        self._queue: deque[_Call] = deque()
        self._is_shut = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call the function as soon as there is a place; raise `RuntimeError` after the shutdown."""
        future: Future[T] = Future()
        with self._lock:
            if self._is_shut:
                raise RuntimeError("These threads were shut down and take nothing more")
            if self._free > 0:
                self._begin()
            self._queue.append(_Call(future, partial(fn, *args, **kwargs)))
        return future

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let another function work while this one waits."""
        with self._lock:
            self._free += 1
            if self._free > 0 and self._queue and not self._is_shut:
                self._begin()
        try:
            yield
        finally:
            with self._lock:
                self._free -= 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more; what was taken is done still, unless it has not begun and is to be cancelled."""
        with self._lock:
            self._is_shut = True
            dropped = list(self._queue) if cancel_futures else []
        for call in dropped:
            call.future.cancel()
        self._pool.shutdown(wait=wait)

    def _begin(self) -> None:
        """Give a place to a thread; the lock is held."""
        self._pool.submit(self._work)  # first, as it raises when the interpreter ends
        self._free -= 1

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call.make()

    def _next(self) -> _Call | None:
        """Take a call, or give the place back: where there is none, and where too many work."""
        with self._lock:
            if self._queue and self._free >= 0:
                return self._queue.popleft()
            self._free += 1
            return None


class _Call(NamedTuple):
    """A function that is to be called, and who waits for what it comes to."""

    future: Future[Any]
    fn: Callable[[], Any]

    def make(self) -> None:
        """Make the call, unless nobody waits any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            value = self.fn()
        except BaseException as error:  # noqa: BLE001  # it is for who waits
            self.future.set_exception(error)
        else:
            self.future.set_result(value)
