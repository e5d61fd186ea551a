"""What is taken at the gate in memory: slots of tenants, pools and workers, tokens, and turns in paces.

Only `local_gate.py` calls it, under its lock. It knows no lanes; what has expired is dropped by `purge`, which comes
before every decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

from celeriac.platform.flow.gate import Pace, Pool, Queued, TenantLimits

#: How long what is held for a run lasts when reconcile says nothing of it, and for how long it is left unasked.
RUN_LIFE, CONFIRMED = timedelta(days=1), timedelta(minutes=1)

#: How long headroom is kept for quiet tenants after the last of their runs was picked.
ACTIVE = timedelta(seconds=5)

#: How much later than its turn in a pace a start may be picked and still have it of that time: a tick.
LATE = timedelta(milliseconds=100)

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(kw_only=True)
class _Slot:
    tenant_id: str
    queue: str
    pools: tuple[str, ...]
    expires_at: datetime


@dataclass(kw_only=True)
class _Hold:
    tenant_id: str
    pools: tuple[str, ...]
    confirmed_at: datetime


@dataclass(kw_only=True)
class _Bucket:
    tokens: float
    counted_at: datetime


@dataclass(kw_only=True)
class _Worker:
    queues: frozenset[str]
    capacity: int
    expires_at: datetime


class LocalSlots:
    """What links and runs hold, and what is left of it for others."""

    def __init__(self, dead_after: timedelta) -> None:
        """Start with nothing taken."""
        self._dead_after = dead_after
        self._slots: dict[tuple[str, int], _Slot] = {}
        self._holds: dict[str, _Hold] = {}
        self._buckets: dict[str, _Bucket] = {}
        self._tats: dict[tuple[str, str], datetime] = {}
        self._limits: dict[str, TenantLimits] = {}
        self._pools: dict[tuple[str, str, str], int] = {}
        self._paces: dict[tuple[str, str, str], Pace] = {}
        self._workers: dict[str, _Worker] = {}
        self._active: dict[tuple[str, str], datetime] = {}

    def purge(self, now: datetime) -> None:
        """Drop what has expired."""
        self._slots = {slot: held for slot, held in self._slots.items() if held.expires_at > now}
        self._holds = {run: hold for run, hold in self._holds.items() if hold.confirmed_at + RUN_LIFE > now}
        self._workers = {name: worker for name, worker in self._workers.items() if worker.expires_at > now}

    # -- numbers ------------------------------------------------------------------------------------------------

    def learn(self, run: Queued) -> None:
        """Note the newest limits, pools and pace."""
        self._limits[run.tenant_id] = run.limits
        for pool in run.pools:
            self._pools[run.tenant_id, run.function, pool.name] = pool.slots
        if run.pace:
            self._paces[run.tenant_id, run.function, run.pace.name] = run.pace

    def limits(self, tenant_id: str) -> TenantLimits:
        """Return the tenant's newest limits."""
        return self._limits[tenant_id]

    def attend(self, worker_id: str, queues: frozenset[str], capacity: int, now: datetime) -> None:
        """Note that the worker lives."""
        self._workers[worker_id] = _Worker(queues=queues, capacity=capacity, expires_at=now + self._dead_after)

    def leave(self, worker_id: str) -> None:
        """Forget the worker."""
        self._workers.pop(worker_id, None)

    # -- taking and giving back ---------------------------------------------------------------------------------

    def hold(self, run: Queued, now: datetime) -> None:
        """Take the slots of a link, or put off their expiry."""
        held = self._slots.get((run.run_id, run.fence))
        pools = held.pools if held else tuple(pool.name for pool in run.pools if not pool.is_for_run)
        self._slots[run.run_id, run.fence] = _Slot(
            tenant_id=run.tenant_id, queue=run.queue, pools=pools, expires_at=now + self._dead_after * 1.5
        )
        self.hold_run(run, now)

    def hold_run(self, run: Queued, now: datetime) -> None:
        """Take what is held for the run, or confirm it."""
        held = self._holds.get(run.run_id)
        pools = tuple(pool.name for pool in run.pools if pool.is_for_run) or (held.pools if held else ())
        if pools:
            self._holds[run.run_id] = _Hold(tenant_id=run.tenant_id, pools=pools, confirmed_at=now)

    def free(self, run_id: str, fence: int) -> None:
        """Give back the slots of exactly this link."""
        self._slots.pop((run_id, fence), None)

    def settle(self, run_id: str) -> None:
        """Give back what is held for the run."""
        self._holds.pop(run_id, None)

    def pay(self, run: Queued, now: datetime, *, since: datetime, is_token_due: bool) -> None:
        """Take a start's token, where it needs one, and its turn in its pace, of the time when that came.

        It waits `since` then; what nobody waited for is not saved up.
        """
        if is_token_due:
            left = self.tokens(run.tenant_id, now) - 1
            self._buckets[run.tenant_id] = _Bucket(tokens=left, counted_at=now)
        if run.pace:
            emission, _ = self._rhythm(run, run.pace)
            tat = self._tats.get((run.tenant_id, run.pace.name), _LONG_AGO)
            self._tats[run.tenant_id, run.pace.name] = max(tat, since, now - LATE) + emission

    def note_quiet(self, queue: str, tenant_id: str, now: datetime) -> None:
        """Note a tenant of whom nothing is left waiting: headroom is kept for it, if it is not noisy."""
        if not self._is_noisy(queue, tenant_id, has_more=False):
            self._active[queue, tenant_id] = now

    # -- what is there ------------------------------------------------------------------------------------------

    def has_slot(self, run: Queued) -> bool:
        """Say whether exactly this link holds its slots."""
        return (run.run_id, run.fence) in self._slots

    def running(self, tenant_id: str) -> int:
        """Return how many slots of the tenant are taken."""
        return sum(held.tenant_id == tenant_id for held in self._slots.values())

    def room(self, queue: str) -> int:
        """Return how many more links the queue's workers have room for."""
        return (self._capacity(queue) * 12 + 9) // 10 - self._taken(queue)

    def is_closed(self, queue: str, tenant_id: str, now: datetime, *, has_more: bool, ending: int = 0) -> bool:
        """Say whether the slots that are left are closed to the tenant; `ending` of those taken are given back.

        `has_more` tells that not only the run waits which is to have one.
        """
        capacity = self._capacity(queue)
        if capacity == 0 or self._taken(queue) - ending < capacity - ceil(capacity / 4):
            return False
        others = [at for (where, who), at in self._active.items() if where == queue and who != tenant_id]
        return self._is_noisy(queue, tenant_id, has_more=has_more) and any(at > now - ACTIVE for at in others)

    def tokens(self, tenant_id: str, now: datetime) -> float:
        """Return the tokens in the tenant's bucket at this moment; one that nobody used is full."""
        limits, bucket = self._limits[tenant_id], self._buckets.get(tenant_id)
        if bucket is None:
            return limits.starts_burst
        earned = max(0.0, (now - bucket.counted_at).total_seconds() * limits.starts_per_second)
        return min(limits.starts_burst, bucket.tokens + earned)

    def held(self, tenant_id: str, pool: str) -> set[str]:
        """Return who holds the pool: links as `run:fence`, and runs."""
        links = {
            f"{run_id}:{fence}"
            for (run_id, fence), held in self._slots.items()
            if held.tenant_id == tenant_id and pool in held.pools
        }
        return links | {run for run, hold in self._holds.items() if hold.tenant_id == tenant_id and pool in hold.pools}

    def slots_of(self, run: Queued, pool: Pool) -> int:
        """Return the newest number of the pool's slots for the run's function."""
        return self._pools.get((run.tenant_id, run.function, pool.name), pool.slots)

    def holds(self, run_id: str) -> bool:
        """Say whether a pool is held for the run."""
        return run_id in self._holds

    def lacking_pool(self, run: Queued) -> Pool | None:
        """Return the first pool that the run lacks."""
        for pool in run.pools:
            held = self.held(run.tenant_id, pool.name)
            member = run.run_id if pool.is_for_run else f"{run.run_id}:{run.fence}"
            is_full = len(held) >= self.slots_of(run, pool) and member not in held
            if is_full and not (pool.is_for_run and run.is_resume):
                return pool
        return None

    def lacking(self, run: Queued, now: datetime) -> Pool | Pace | None:
        """Return the first pool, or the pace, that the run lacks."""
        if (pool := self.lacking_pool(run)) is not None:
            return pool
        if run.pace and not run.is_resume and not self.has_slot(run) and self.open_at(run, run.pace) > now:
            return run.pace
        return None

    def open_at(self, run: Queued, pace: Pace, *, ahead: int = 0) -> datetime:
        """Return when the pace lets the run start, behind so many others."""
        emission, burst = self._rhythm(run, pace)
        return self._tats.get((run.tenant_id, pace.name), _LONG_AGO) + emission * (ahead + 1 - burst)

    def unconfirmed(self, most: int, now: datetime) -> list[str]:
        """Return runs that hold a pool and were not confirmed for a while, the longest silent first."""
        silent = sorted((hold.confirmed_at, run) for run, hold in self._holds.items())
        return [run for at, run in silent if at <= now - CONFIRMED][:most]

    def _is_noisy(self, queue: str, tenant_id: str, *, has_more: bool) -> bool:
        """Say whether the tenant has many of the slots.

        Many is more for one who counts for more than one, and of few slots it is less for one of whom more waits.
        """
        capacity, weight = self._capacity(queue), max(1.0, self._limits[tenant_id].weight)
        tenth = (capacity // 10 + 1) * weight
        if capacity >= 40:
            many = max(30 * weight, tenth)
        else:
            many = min(tenth, capacity * 0.75) if has_more else capacity * 0.75
        return self.running(tenant_id) >= many

    def _capacity(self, queue: str) -> int:
        return sum(worker.capacity for worker in self._workers.values() if queue in worker.queues)

    def _taken(self, queue: str) -> int:
        return sum(held.queue == queue for held in self._slots.values())

    def _rhythm(self, run: Queued, pace: Pace) -> tuple[timedelta, int]:
        newest = self._paces.get((run.tenant_id, run.function, pace.name), pace)
        return newest.per / newest.starts, newest.burst
