"""Stillness: tells when no code of a run is about to run, so that what comes next comes in an order of its own.

A callback that asyncio has ready belongs to the run in whose context it was made. One look at all of them, once in a
pass of the loop, serves all runs that ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any
from weakref import WeakKeyDictionary

from celeriac.errors import ConfigError

#: code that never stops to run, such as a loop around `asyncio.sleep(0)`, is not waited for any longer
_PATIENCE_SECONDS = 1.0

_NOBODY = Context()


class Stillness:
    """Looks at the callbacks that one loop has ready; holds no reference to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: ContextVar[Any]) -> None:
        """Tell callbacks apart by what `owner` holds in their contexts."""
        if not hasattr(loop, "_ready"):
            raise ConfigError(f"Durable functions need asyncio's own event loop, and {type(loop).__name__} is another")
        self._ready = loop._ready
        self._owner = owner
        self._asked: list[tuple[object, Callable[[], None], float]] = []

    def when_still(self, loop: asyncio.AbstractEventLoop, run: object, then: Callable[[], None]) -> None:
        """Call `then` as soon as no code of the run is about to run."""
        self._asked.append((run, then, loop.time() + _PATIENCE_SECONDS))
        if len(self._asked) == 1:
            loop.call_soon(self._look, loop, context=_NOBODY)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        # A copy, as other threads put their callbacks behind it.
        active = {handle._context.get(self._owner) for handle in tuple(self._ready)}
        now, asked, self._asked = loop.time(), self._asked, []
        still = []
        for run, then, patience in asked:
            if run not in active or now > patience:
                still.append(then)
            else:
                self._asked.append((run, then, patience))
        if self._asked:
            loop.call_soon(self._look, loop, context=_NOBODY)
        for then in still:
            then()


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Stillness] = WeakKeyDictionary()


def stillness_of(loop: asyncio.AbstractEventLoop, owner: ContextVar[Any]) -> Stillness:
    """Return the one that looks at this loop."""
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = Stillness(loop, owner)
    return found
