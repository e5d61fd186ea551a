"""The two gates, each with the time it lives in, for the conformance tests of this folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from redis import Redis

from celeriac.clock import ManualClock
from celeriac.platform.flow.gate import Gate, Queued, TenantLimits
from celeriac.platform.store.local_gate import LocalGate
from celeriac.platform.store.redis_connection import connect
from celeriac.platform.store.redis_gate import RedisGate
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


def picked(gate: Gate, most: int = 1_000, queue: str = "runs") -> list[str]:
    """The ids of the runs that the gate lets go now, in order."""
    return [run.run_id for run in gate.pick(queue, most)]
