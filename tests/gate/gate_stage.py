"""The two gates, each with the time it lives in, for the conformance tests of this folder."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from typing import Protocol

from redis import Redis

from celeriac.clock import ManualClock
from celeriac.platform.flow.gate import Gate, Pace, Pool, Queued, TenantLimits
from celeriac.platform.store.local_gate import LocalGate
from celeriac.platform.store.redis_connection import connect
from celeriac.platform.store.redis_gate import PERMANENT_KEYS, RedisGate
from waiting import wait_until

#: Limits that nobody meets; the bucket is full again at once.
GENEROUS = TenantLimits(running=100_000, starts_per_second=1e9, starts_burst=100_000)


class Stage(Protocol):
    """Makes gates and moves the time they see."""

    def gate(self, dead_after: float = 10.0) -> Gate: ...

    def now(self) -> datetime: ...

    def let_pass(self, seconds: float) -> None: ...


class LocalStage:
    """A gate in memory, whose time stands still between moves."""

    def __init__(self) -> None:
        self._clock = ManualClock()

    def gate(self, dead_after: float = 10.0) -> Gate:
        return LocalGate(self._clock, dead_after=timedelta(seconds=dead_after))

    def now(self) -> datetime:
        return self._clock.now()

    def let_pass(self, seconds: float) -> None:
        self._clock.advance(seconds)


class RedisStage:
    """A gate in Redis, whose time is the server's own."""

    def __init__(self, url: str) -> None:
        self.redis: Redis = connect(url)

    def gate(self, dead_after: float = 10.0) -> Gate:
        return RedisGate(self.redis, dead_after=timedelta(seconds=dead_after))

    def now(self) -> datetime:
        seconds, micros = self.redis.time()
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros)

    def let_pass(self, seconds: float) -> None:
        until = self.now() + timedelta(seconds=seconds)
        wait_until(lambda: self.now() >= until, seconds + 10, "the server's time to pass")


def queued(
    run_id: str,
    tenant_id: str = "ten_a",
    *,
    queue: str = "runs",
    fence: int = 1,
    is_resume: bool = False,
    is_internal: bool = False,
    limits: TenantLimits = GENEROUS,
) -> Queued:
    """A run as the engine would describe it."""
    return Queued(
        run_id=run_id,
        tenant_id=tenant_id,
        queue=queue,
        fence=fence,
        is_resume=is_resume,
        is_internal=is_internal,
        root_id=f"root of {run_id}",
        limits=limits,
    )


def in_pools(run_id: str, *pools: Pool, tenant_id: str = "ten_a", function: str = "app/f") -> Queued:
    """A start that needs these pools."""
    return replace(queued(run_id, tenant_id), pools=pools, function=function)


def in_pace(run_id: str, starts: int, seconds: float, burst: int = 1, name: str = "pace") -> Queued:
    """A start that goes in this pace."""
    pace = Pace(name=name, starts=starts, per=timedelta(seconds=seconds), burst=burst)
    return replace(queued(run_id), pace=pace, function="app/f")


def link(slots: int, name: str = "a") -> Pool:
    """A pool whose slots links hold."""
    return Pool(name=name, slots=slots)


def run_pool(slots: int, name: str = "whole") -> Pool:
    """A pool whose slots runs hold from start to end."""
    return Pool(name=name, slots=slots, is_for_run=True)


def picked(gate: Gate, most: int = 1_000, queue: str = "runs") -> list[str]:
    """The ids of the runs that the gate lets go now, in order."""
    return [run.run_id for run in gate.pick(queue, most)]


def lasting_keys(redis: Redis) -> list[str]:
    """The keys that nobody empties and no time removes."""
    lasting = [key for key in redis.scan_iter() if redis.ttl(key) == -1]
    return [key for key in lasting if not any(fnmatch(key, f"cel:{pattern}") for pattern in PERMANENT_KEYS)]
