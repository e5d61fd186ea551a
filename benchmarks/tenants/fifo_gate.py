"""The control arm's Gate: one plain list, first in, first out, as a queue without tenants would do it.

It stands where the product's Gate stands, in the processes that `plug_in` was called in and in the commands that
`fifo_command.py` runs; no setting of the product leads here. It honours capacity and a tenant's start bucket, by
waiting at the head of the list, and knows neither weights nor concurrency.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from redis import Redis

from celeriac.platform.flow.gate import Queued
from celeriac.platform.store import redis_gate

#: how the commands of Celeriac are run with this Gate
PROGRAM = ("-m", "benchmarks.tenants.fifo_command")

_PREFIX = "fifo:"
_PICK = Path(__file__).with_name("fifo_pick.lua").read_text("utf-8")


class FifoGate:
    """One list for all; stands in for `RedisGate`."""

    def __init__(self, redis: Redis, *, dead_after: timedelta, **_: object) -> None:
        """Use the client for everything."""
        self._redis: Any = redis
        self._slot_life = int(dead_after / timedelta(microseconds=1) * 1.5)
        self._script = redis.register_script(_PICK)

    def enqueue(self, runs: Sequence[Queued]) -> None:
        for run in runs:
            is_new = self._redis.hset(f"{_PREFIX}runs", run.run_id, _pack(run))
            if is_new:
                self._redis.rpush(f"{_PREFIX}list:{run.queue}", run.run_id)

    def pick(
        self, queue: str, most: int, *, ended: Sequence[Queued] = (), arriving: Sequence[Queued] = ()
    ) -> list[Queued]:
        with self._redis.pipeline(transaction=False) as pipe:
            for run in arriving:
                pipe.hset(f"{_PREFIX}runs", run.run_id, _pack(run))
                pipe.rpush(f"{_PREFIX}list:{queue}", run.run_id)
            pipe.execute()
        members = [f"{run.run_id}:{run.fence}" for run in ended]
        texts = cast(list[str], self._script(args=[_PREFIX, self._slot_life, queue, most, *members]))
        return [_unpack(text) for text in texts]

    def proceed(self, run: Queued) -> bool:
        self._redis.zrem(f"{_PREFIX}taken:{run.queue}", f"{run.run_id}:{run.fence - 1}")
        self.started(run)
        return True

    def started(self, run: Queued) -> bool:
        self._redis.hdel(f"{_PREFIX}runs", run.run_id)
        self.renew([run])
        return True

    def renew(self, runs: Sequence[Queued]) -> None:
        seconds, micros = self._redis.time()
        until = seconds * 1_000_000 + micros + self._slot_life
        for run in runs:
            self._redis.zadd(f"{_PREFIX}taken:{run.queue}", {f"{run.run_id}:{run.fence}": until})

    def forget(self, run_id: str) -> None:
        self._redis.hdel(f"{_PREFIX}runs", run_id)

    def release(self, run_id: str, fence: int) -> None:
        for name in self._redis.scan_iter(f"{_PREFIX}taken:*"):
            self._redis.zrem(name, f"{run_id}:{fence}")

    def settle(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            self.forget(run_id)

    def learn(self, runs: Sequence[Queued]) -> None:
        """Nothing: a list has no limits of functions."""

    def hold_runs(self, runs: Sequence[Queued]) -> None:
        """Nothing either."""

    def unconfirmed(self, most: int) -> list[str]:
        return []

    def explain(self, run_id: str) -> None:
        return None

    def known(self, run_ids: Sequence[str]) -> set[str]:
        found = self._redis.hmget(f"{_PREFIX}runs", list(run_ids)) if run_ids else []
        return {run_id for run_id, text in zip(run_ids, found, strict=True) if text is not None}

    def attend(self, worker_id: str, queues: Sequence[str], capacity: int) -> None:
        for queue in queues:
            self._redis.hset(f"{_PREFIX}workers:{queue}", worker_id, capacity)

    def leave(self, worker_id: str) -> None:
        for name in self._redis.scan_iter(f"{_PREFIX}workers:*"):
            self._redis.hdel(name, worker_id)

    def waiting(self, queue: str) -> int:
        return int(self._redis.llen(f"{_PREFIX}list:{queue}"))


def plug_in() -> None:
    """Let every installation that this process builds from now on have this Gate."""
    vars(redis_gate)["RedisGate"] = FifoGate


@contextmanager
def plugged_in() -> Iterator[None]:
    """Let the installations that are built inside have this Gate."""
    own = redis_gate.RedisGate
    plug_in()
    try:
        yield
    finally:
        vars(redis_gate)["RedisGate"] = own


def _pack(run: Queued) -> str:
    limits = run.limits
    return json.dumps(
        {
            "run_id": run.run_id,
            "tenant_id": run.tenant_id,
            "queue": run.queue,
            "fence": run.fence,
            "is_resume": run.is_resume or run.is_internal,
            "root_id": run.root_id,
            "parent_id": run.parent_id,
            "rate": limits.starts_per_second,
            "burst": limits.starts_burst,
        }
    )


def _unpack(text: str) -> Queued:
    fields = json.loads(text)
    for name in ("rate", "burst"):
        del fields[name]
    return Queued(**fields)
