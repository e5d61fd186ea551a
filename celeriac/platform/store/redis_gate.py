"""The Gate in Redis: shared by all processes, one Lua script a decision.

Made by `wiring.py`, called by ingest, by links and by the worker's ticks. All keys stand in `lua/parts/1_keys.lua`.
Every method raises `redis.exceptions.RedisError` while Redis is away; what is lost then is rebuilt from SQL by
reconcile.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar, cast

from redis import Redis

from celeriac.clock import Clock
from celeriac.platform.flow.gate import Holdup, Pace, Pool, Queued, Reason, TenantLimits
from celeriac.platform.store.redis_scripts import RedisScripts

T = TypeVar("T")

#: Keys (behind the prefix) that stay when nothing waits or runs; all others are emptied or expire.
PERMANENT_KEYS = ("gate:born",)

_EPOCH, _MICROSECOND = datetime.fromtimestamp(0, UTC), timedelta(microseconds=1)

#: Most runs, slots or ids in one call, so that none holds the server for long.
PAGE = 500


class RedisGate:
    """The Gate of a fleet; `dead_after` is the workers' dead time.

    A slot expires after one and a half dead times, and a pick is known for half of one.
    """

    def __init__(self, redis: Redis, *, dead_after: timedelta, prefix: str = "cel", clock: Clock | None = None) -> None:
        """Use the client for everything; installations that share a Redis differ in `prefix`.

        Time is the server's, unless a test gives a clock that it moves.
        """
        self._redis = redis
        self._prefix = f"{prefix}:gate"
        #: when the gate began that this process knows: a later one tells that Redis was emptied
        self._born = ""
        self._scripts = RedisScripts(redis, prefix=prefix, dead_after=dead_after, clock=clock)

    def enqueue(self, runs: Sequence[Queued]) -> None:
        for page in _pages([_pack(run) for run in runs]):
            self._scripts.call("enqueue", *page)

    def pick(
        self, queue: str, most: int, *, ended: Sequence[Queued] = (), arriving: Sequence[Queued] = ()
    ) -> list[Queued]:
        links = [part for run in ended for part in (run.run_id, run.fence, int(run.is_over))]
        before = max(0, len(arriving) - PAGE)
        self.enqueue(arriving[:before])
        news = map(_pack, arriving[before:])
        texts = cast(list[str], self._scripts.call("pick", queue, most, len(ended), *links, *news))
        return [_unpack(text) for text in texts]

    def proceed(self, run: Queued) -> bool:
        return self._scripts.call("proceed", _pack(run)) == 1

    def started(self, run: Queued) -> bool:
        return self._scripts.call("started", _pack(run)) == 1

    def renew(self, runs: Sequence[Queued]) -> None:
        for page in _pages(runs):
            self._scripts.call("renew", *(part for run in page for part in _link(run)))

    def forget(self, run_id: str) -> None:
        self._scripts.call("forget", run_id)

    def settle(self, run_ids: Sequence[str]) -> None:
        for page in _pages(run_ids):
            self._scripts.call("forget", *page)

    def release(self, run_id: str, fence: int) -> None:
        self._scripts.call("release", run_id, fence)

    def learn(self, runs: Sequence[Queued]) -> None:
        for page in _pages([_pack(run) for run in runs]):
            self._scripts.call("learn", *page)

    def hold_runs(self, runs: Sequence[Queued]) -> None:
        for page in _pages(runs):
            self._scripts.call("hold_runs", *(part for run in page for part in _link(run)))

    def unconfirmed(self, most: int) -> list[str]:
        return cast(list[str], self._scripts.call("unconfirmed", most))

    def explain(self, run_id: str) -> Holdup | None:
        answer = cast(list[str] | None, self._scripts.call("explain", run_id))
        if answer is None:
            return None
        reason, name, until = answer
        at = _EPOCH + timedelta(microseconds=int(until)) if until else None
        return Holdup(reason=cast(Reason, reason), name=name or None, until=at)

    def known(self, run_ids: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for page in _pages(run_ids):
            texts = cast(list[str | None], self._redis.mget([f"{self._prefix}:run:{run_id}" for run_id in page]))
            found.update(run_id for run_id, text in zip(page, texts, strict=True) if text is not None)
        return found

    def attend(self, worker_id: str, queues: Sequence[str], capacity: int) -> None:
        self._born = cast(str, self._scripts.call("attend", worker_id, capacity, self._born, *queues))

    def leave(self, worker_id: str) -> None:
        self._redis.delete(f"{self._prefix}:worker:{worker_id}")

    def waiting(self, queue: str) -> int:
        return int(cast(str | None, self._redis.get(f"{self._prefix}:waiting:{queue}")) or 0)


def _link(run: Queued) -> tuple[str, int, str, str, str]:
    return run.run_id, run.fence, run.tenant_id, run.queue, json.dumps([*map(vars, run.pools)]) if run.pools else ""


def _pages(items: Sequence[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while page := list(islice(rest, PAGE)):
        yield page


def _pack(run: Queued) -> str:
    fields = {name: value for name, value in vars(run).items() if value or name in ("fence", "function")}
    if run.queued_at:
        fields["queued_at"] = (run.queued_at - _EPOCH) // _MICROSECOND
    fields["limits"] = vars(run.limits)
    if run.pools:
        fields["pools"] = [*map(vars, run.pools)]
    if run.pace:
        fields["pace"] = {**vars(run.pace), "per": run.pace.per // _MICROSECOND}
    return json.dumps(fields)


def _unpack(text: str) -> Queued:
    fields: dict[str, Any] = json.loads(text)
    fields["limits"] = TenantLimits(**fields["limits"])
    if "queued_at" in fields:
        fields["queued_at"] = _EPOCH + timedelta(microseconds=fields["queued_at"])
    if "pools" in fields:
        fields["pools"] = tuple(Pool(**pool) for pool in fields["pools"])
    if "pace" in fields:
        fields["pace"] = Pace(**{**fields["pace"], "per": timedelta(microseconds=fields["pace"]["per"])})
    return Queued(**fields)
