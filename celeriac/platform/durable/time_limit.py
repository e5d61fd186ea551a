"""The time limit of work that is plain Python: nothing but a signal interrupts it, and only in a main thread."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")


def within(limit: timedelta | None, work: Callable[[], T]) -> T:
    """Return what the work returns; raise `TimeoutError` when it takes longer than the limit.

    In the main thread of a process the work is interrupted. In any other thread it cannot be: it is left to its end
    there, and what it returns is dropped.
    """
    if limit is None:
        return work()
    seconds = limit.total_seconds()
    told = f"The step took longer than {seconds:g} s"
    if threading.current_thread() is threading.main_thread():
        return _interrupted(seconds, work, told)
    return _left(seconds, work, told)


def _interrupted(seconds: float, work: Callable[[], T], told: str) -> T:
    def ring(*_: object) -> None:
        raise TimeoutError(told)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _left(seconds: float, work: Callable[[], T], told: str) -> T:
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is the caller's
            done.set_exception(error)

    threading.Thread(target=run, name="celeriac-limited", daemon=True).start()
    try:
        return done.result(seconds)
    except TimeoutError:
        if done.done():
            raise
        raise TimeoutError(told) from None
