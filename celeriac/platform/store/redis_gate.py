"""The Gate in Redis: shared by all processes, one Lua script a decision.

Made by `wiring.py`, called by ingest, by links and by the worker's ticks. All keys stand in `lua/shared.lua`. Every
method raises `redis.exceptions.RedisError` while Redis is away; what is lost then is rebuilt from SQL by reconcile.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar, cast

from redis import Redis

from celeriac.platform.flow.gate import Queued, TenantLimits
from celeriac.platform.store.redis_scripts import RedisScripts

T = TypeVar("T")

#: Keys (behind the prefix) that stay when nothing waits or runs; all others are emptied or expire.
PERMANENT_KEYS = ("gate:born",)

#: Most runs, slots or ids in one call, so that none holds the server for long.
PAGE = 500


class RedisGate:
    """The Gate of a fleet; `dead_after` is the workers' dead time.

    A slot expires after one and a half dead times, and a pick is known for half of one.
    """

    def __init__(self, redis: Redis, *, dead_after: timedelta, prefix: str = "cel") -> None:
        """Use the client for everything; installations that share a Redis differ in `prefix`."""
        self._redis = redis
        self._prefix = f"{prefix}:gate"
        self._scripts = RedisScripts(redis, prefix=prefix, dead_after=dead_after)

    def enqueue(self, runs: Sequence[Queued]) -> None:
        for page in _pages([_pack(run) for run in runs]):
            self._scripts.call("enqueue", *page)

    def pick(
        self, queue: str, most: int, *, ended: Sequence[Queued] = (), arriving: Sequence[Queued] = ()
    ) -> list[Queued]:
        links = [part for run in ended for part in (run.run_id, run.fence)]
        before = max(0, len(arriving) - PAGE)
        self.enqueue(arriving[:before])
        news = map(_pack, arriving[before:])
        texts = cast(list[str], self._scripts.call("pick", queue, most, len(ended), *links, *news))
        return [_unpack(text) for text in texts]

    def proceed(self, run: Queued) -> bool:
        return self._scripts.call("proceed", _pack(run)) == 1

    def started(self, run: Queued) -> None:
        self._scripts.call("started", *_link(run))

    def renew(self, runs: Sequence[Queued]) -> None:
        for page in _pages(runs):
            self._scripts.call("renew", *(part for run in page for part in _link(run)))

    def forget(self, run_id: str) -> None:
        self._scripts.call("forget", run_id)

    def release(self, run_id: str, fence: int) -> None:
        self._scripts.call("release", run_id, fence)

    def known(self, run_ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for page in _pages(run_ids):
            texts = cast(list[str | None], self._redis.mget([f"{self._prefix}:run:{run_id}" for run_id in page]))
            found.update(run_id for run_id, text in zip(page, texts, strict=True) if text is not None)
        return found

    def attend(self, worker_id: str, queues: Sequence[str], capacity: int) -> None:
        self._scripts.call("attend", worker_id, capacity, *queues)

    def leave(self, worker_id: str) -> None:
        self._redis.delete(f"{self._prefix}:worker:{worker_id}")

    def waiting(self, queue: str) -> int:
        return int(cast(str | None, self._redis.get(f"{self._prefix}:waiting:{queue}")) or 0)


def _link(run: Queued) -> tuple[str, int, str, str]:
    return run.run_id, run.fence, run.tenant_id, run.queue


def _pages(items: Sequence[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while page := list(islice(rest, PAGE)):
        yield page


def _pack(run: Queued) -> str:
    return json.dumps({**vars(run), "limits": vars(run.limits)})


def _unpack(text: str) -> Queued:
    fields: dict[str, Any] = json.loads(text)
    return Queued(**{**fields, "limits": TenantLimits(**fields["limits"])})
