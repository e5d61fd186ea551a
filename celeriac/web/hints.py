"""Hints: the little that the web itself asks of Redis.

Sign-in remembers here which links were used, and `/readyz` asks whether Redis answers. Nothing that must not be lost
may go here: a link outlives its memory only if Redis is emptied within the ten minutes that the link is good for.
"""

from __future__ import annotations

from datetime import timedelta

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

#: nobody waits longer than this for a hint
_TIMEOUT_SECONDS = 0.5


class Hints:
    """A small connection of the web's own; it connects at its first use."""

    def __init__(self, url: str) -> None:
        """Take the address of the installation's Redis."""
        self._redis = Redis.from_url(
            url,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            socket_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def is_reachable(self) -> bool:
        """Say whether Redis answers now."""
        try:
            return bool(self._redis.ping())
        except RedisError:
            return False

    def use_once(self, tenant_id: str, nonce: str, good_for: timedelta) -> bool:
        """Say, atomically, whether this is the first use of the nonce; False as well where Redis cannot tell."""
        key = f"celeriac:t:{tenant_id}:signin:{nonce}"
        try:
            return bool(self._redis.set(key, "used", nx=True, px=good_for))
        except RedisError:
            return False
