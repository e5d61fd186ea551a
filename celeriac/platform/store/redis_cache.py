"""The step cache in Redis: one hash a run, path -> memo, shared by all workers.

    key                          type    TTL            meaning
    <prefix>:memo:<tenant>:<run>  HASH    the given one  step path -> JSON text of the memo, written after its commit

Made by `wiring.py` for the engine. It never raises because of Redis and never answers with a part of a run's memos.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from redis import Redis
from redis.exceptions import RedisError

from celeriac.platform.durable.cache import cacheable

logger = logging.getLogger(__name__)


class RedisCache:
    """Memos in Redis for `ttl` after the last one was saved."""

    def __init__(self, redis: Redis, *, ttl: timedelta, prefix: str = "cel") -> None:
        """Use the client for everything; installations that share a Redis differ in `prefix`."""
        self._redis = redis
        self._ttl = ttl
        self._prefix = f"{prefix}:memo"
        self.hits = 0
        self.misses = 0

    def load(self, tenant_id: str, run_id: str, expected: int) -> list[str] | None:
        if expected == 0:
            return []
        try:
            values = cast(list[str], self._redis.hvals(self._key(tenant_id, run_id)))
        except RedisError as error:
            _warn("load", tenant_id, run_id, error)
            values = []
        if len(values) != expected:
            self.misses += 1
            return None
        self.hits += 1
        return values

    def save(self, tenant_id: str, run_id: str, entries: Mapping[str, str]) -> None:
        small = cacheable(entries)
        if not small:
            return
        key = self._key(tenant_id, run_id)
        try:
            # One transaction: a hash without a TTL would stay for ever.
            with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.hset(key, mapping=cast(Mapping[Any, Any], small))
                pipeline.pexpire(key, self._ttl)
                pipeline.execute()
        except RedisError as error:
            _warn("save", tenant_id, run_id, error)

    def forget(self, tenant_id: str, run_id: str) -> None:
        try:
            self._redis.unlink(self._key(tenant_id, run_id))
        except RedisError as error:
            _warn("forget", tenant_id, run_id, error)

    def _key(self, tenant_id: str, run_id: str) -> str:
        return f"{self._prefix}:{tenant_id}:{run_id}"


def _warn(verb: str, tenant_id: str, run_id: str, error: RedisError) -> None:
    logger.warning(
        "The step cache could not %s the memos of run %r of tenant %r, SQL has them: %s: %s",
        verb,
        run_id,
        tenant_id,
        type(error).__name__,
        error,
    )
