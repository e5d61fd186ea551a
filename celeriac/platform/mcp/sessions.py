"""The sessions of this process: one for each loop and endpoint, opened at first use.

A worker has one loop, so it has one session with a server for each set of credentials. They are closed by
`close_sessions` when the worker leaves, and end with their loop in a plain script.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from weakref import WeakKeyDictionary

from celeriac.errors import McpError
from celeriac.platform.mcp.connection import Connection
from celeriac.platform.mcp.endpoint import Endpoint, McpLimits

T = TypeVar("T")
K = TypeVar("K")

#: sessions of a loop, beyond which those that nobody uses are closed, the longest unused first
MOST_SESSIONS = 256
#: how long a session may stay unused before the opening of another one closes it: credentials change
MOST_IDLE_SECONDS = 600.0

_Known = dict[tuple[Endpoint, McpLimits], Connection]
#: a connection refers to its loop, so entries of loops that ended are dropped by hand
_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Known] = WeakKeyDictionary()
_guard = threading.Lock()


async def ask(
    endpoint: Endpoint,
    limits: McpLimits,
    question: Callable[[Connection], Awaitable[T]],
    *,
    is_repeatable: bool,
) -> T:
    """Ask the endpoint's server; raise `McpError` where it cannot answer.

    A session that turns out to have ended is opened anew once, where the question cannot have been carried out yet or
    may be asked twice.
    """
    known = _known()
    while True:
        connection = known.get((endpoint, limits))
        is_new = connection is None or connection.is_over
        if connection is None or connection.is_over:
            _make_room(known)
            connection = known[endpoint, limits] = Connection(endpoint, limits)
        try:
            return await question(connection)
        except McpError as error:
            is_lost = error.is_retriable and connection.is_over
            if is_new or not is_lost or (error.was_sent and not is_repeatable):
                raise


async def close_sessions() -> None:
    """Close all sessions of the running loop; a later question opens new ones."""
    known = _known()
    connections = list(known.values())
    known.clear()
    await asyncio.gather(*(connection.close() for connection in connections))


def open_sessions() -> list[Connection]:
    """Return the running loop's sessions that are not over."""
    return [connection for connection in _known().values() if not connection.is_over]


def _known() -> _Known:
    with _guard:
        for ended in [loop for loop in _of_loops if loop.is_closed()]:
            del _of_loops[ended]
        return _of_loops.setdefault(asyncio.get_running_loop(), {})


def _make_room(known: _Known) -> None:
    for key in [key for key, connection in known.items() if connection.is_over]:
        del known[key]
    used = {key: None if connection.in_use else connection.used_at for key, connection in known.items()}
    for key in superfluous(used, asyncio.get_running_loop().time()):
        known.pop(key).end()


def superfluous(used: Mapping[K, float | None], now: float) -> list[K]:
    """Return which sessions are to be closed, by the times of their last use; None for one that is in use."""
    times = {key: at for key, at in used.items() if at is not None}
    too_many = max(0, len(used) - MOST_SESSIONS)
    oldest_first = sorted(times, key=lambda key: times[key])
    return [key for place, key in enumerate(oldest_first) if place < too_many or now - times[key] > MOST_IDLE_SECONDS]
