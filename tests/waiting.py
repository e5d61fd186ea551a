"""Waiting for something to become true: the only file of the tests that may look at a clock.

Every test calls `wait_until` (or its coroutine `until`) with a deadline and a text that says what it waits for.
Nothing here may be used to "give it a moment": a test that needs a moment waits for the wrong thing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar

#: How often a condition is looked at.
POLL_SECONDS = 0.02

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout: float = 10.0, what: str = "the condition") -> T:
    """Return the first truthy value of `predicate`; fail the test when there is none before the deadline."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        if value := predicate():
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(_too_late(what, timeout, value))
        pause.wait(POLL_SECONDS)


async def until(predicate: Callable[[], T | Awaitable[T]], timeout: float = 10.0, what: str = "the condition") -> T:
    """Do the same as `wait_until` on a running loop; the predicate may be a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        value = await answer if isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(_too_late(what, timeout, value))
        await asyncio.sleep(POLL_SECONDS)


def work_for(seconds: float) -> None:
    """Take this long, as the body of a step that plays real work. Never to wait for something."""
    threading.Event().wait(seconds)


def _too_late(what: str, timeout: float, value: object) -> str:
    return f"Waited {timeout:g} s for {what}; the last look gave {value!r}."
