"""Connections to Redis.

`wiring.py` makes one client per process here and hands it to the gate, the cache and the streams. Redis holds hints
only, so nobody waits long for it: a command fails fast and is never repeated behind the caller's back, because a
script whose answer was lost may have run.
"""

from __future__ import annotations

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

#: How long to wait for a connection, for an answer, and for a free connection of the pool.
TIMEOUT_SECONDS = 2.0

#: Connections of one process; a thread holds one for the length of a command.
MAX_CONNECTIONS = 64


def connect(url: str) -> Redis:
    """Make a client that threads may share; it connects at its first command and speaks text."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    return Redis.from_pool(pool)
