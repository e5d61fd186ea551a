"""The Gate in memory, for one process: the twin of `redis_gate.py` in tests and scripts.

It decides like the Lua files, moved by whatever clock it is given, and may walk over all tenants of a queue where they
may not. Its buckets begin full, because nothing can have started before it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from threading import Lock

from celeriac.clock import Clock
from celeriac.platform.flow.gate import Queued, TenantLimits

#: Resumes before starts, then by arrival.
_Rank = tuple[bool, int]


@dataclass(kw_only=True)
class _Known:
    run: Queued
    rank: _Rank
    #: set when the run is picked: until then it counts as on its way
    deadline: datetime | None = None


@dataclass(kw_only=True)
class _Slot:
    tenant_id: str
    queue: str
    expires_at: datetime


@dataclass(kw_only=True)
class _Bucket:
    tokens: float
    counted_at: datetime


@dataclass(kw_only=True)
class _Worker:
    queues: frozenset[str]
    capacity: int
    expires_at: datetime


class LocalGate:
    """The Gate of a single process; `dead_after` as for the fleet's."""

    def __init__(self, clock: Clock, *, dead_after: timedelta) -> None:
        """Start empty."""
        self._clock = clock
        self._dead_after = dead_after
        self._lock = Lock()
        self._arrivals = 0
        self._known: dict[str, _Known] = {}
        #: (rank, run id) in order, by (queue, tenant), for runs that take a start token (True) and those that do not
        self._lanes: dict[tuple[str, str], dict[bool, list[tuple[_Rank, str]]]] = {}
        self._limits: dict[str, TenantLimits] = {}
        self._buckets: dict[str, _Bucket] = {}
        self._slots: dict[tuple[str, int], _Slot] = {}
        self._workers: dict[str, _Worker] = {}
        #: the turn of the last pick by queue, and the next turn of each tenant that is ahead of it
        self._turn: dict[str, int] = {}
        self._ahead: dict[tuple[str, str], int] = {}

    def enqueue(self, runs: Sequence[Queued]) -> None:
        with self._deciding() as now:
            for run in runs:
                self._limits[run.tenant_id] = run.limits
                self._put(run, now)

    def pick(
        self, queue: str, most: int, *, ended: Sequence[Queued] = (), arriving: Sequence[Queued] = ()
    ) -> list[Queued]:
        for link in ended:
            self.release(link.run_id, link.fence)
        self.enqueue(arriving)
        with self._deciding() as now:
            turn = self._turn.get(queue, 0)
            tenants = [tenant for lane_queue, tenant in self._lanes if lane_queue == queue]
            ring = [(max(turn, self._ahead.get((queue, tenant), 0)), tenant) for tenant in tenants]
            heapify(ring)
            picked: list[Queued] = []
            most = min(most, self._room(queue))
            while ring and len(picked) < most:
                turn, tenant = heappop(ring)
                run = self._pick_from(queue, tenant, now)
                if run is None:
                    continue
                picked.append(run)
                self._turn[queue] = turn
                self._ahead[queue, tenant] = turn + 1
                if (queue, tenant) in self._lanes:
                    heappush(ring, (turn + 1, tenant))
            return picked

    def proceed(self, run: Queued) -> bool:
        with self._deciding() as now:
            known = self._current(run.run_id, now)
            if known and known.run.fence >= run.fence:
                return known.deadline is not None
            if (run.run_id, run.fence) in self._slots:
                return True
            self._limits[run.tenant_id] = run.limits
            others_wait = self._others_wait(run, now)
            self._slots.pop((run.run_id, run.fence - 1), None)
            if not others_wait and self._running(run.tenant_id) < run.limits.running:
                self._hold(run, now)
                self._known[run.run_id] = _Known(run=run, rank=(False, 0), deadline=now + self._dead_after / 2)
                return True
            self._put(run, now)
            return False

    def started(self, run: Queued) -> None:
        with self._deciding() as now:
            self._forget(run.run_id, run.fence)
            self._hold(run, now)

    def renew(self, runs: Sequence[Queued]) -> None:
        with self._deciding() as now:
            for run in runs:
                self._hold(run, now)

    def forget(self, run_id: str) -> None:
        with self._deciding() as now:
            known = self._current(run_id, now)
            if known is not None:
                self._forget(run_id, known.run.fence)
                self._slots.pop((run_id, known.run.fence), None)

    def release(self, run_id: str, fence: int) -> None:
        with self._deciding():
            self._forget(run_id, fence)
            self._slots.pop((run_id, fence), None)

    def known(self, run_ids: Sequence[str]) -> set[str]:
        with self._deciding() as now:
            return {run_id for run_id in run_ids if self._current(run_id, now)}

    def attend(self, worker_id: str, queues: Sequence[str], capacity: int) -> None:
        with self._deciding() as now:
            expires_at = now + self._dead_after
            self._workers[worker_id] = _Worker(queues=frozenset(queues), capacity=capacity, expires_at=expires_at)

    def leave(self, worker_id: str) -> None:
        with self._deciding():
            self._workers.pop(worker_id, None)

    def waiting(self, queue: str) -> int:
        with self._deciding():
            lanes = [lanes for (lane_queue, _), lanes in self._lanes.items() if lane_queue == queue]
            return sum(len(lane) for pair in lanes for lane in pair.values())

    @contextmanager
    def _deciding(self) -> Iterator[datetime]:
        """Hold the lock, drop the slots and workers that have expired, and tell the time of the decision."""
        with self._lock:
            now = self._clock.now()
            self._slots = {slot: held for slot, held in self._slots.items() if held.expires_at > now}
            self._workers = {name: worker for name, worker in self._workers.items() if worker.expires_at > now}
            yield now

    def _current(self, run_id: str, now: datetime) -> _Known | None:
        known = self._known.get(run_id)
        if known and known.deadline is not None and known.deadline <= now:
            del self._known[run_id]
            return None
        return known

    def _room(self, queue: str) -> int:
        capacity = sum(worker.capacity for worker in self._workers.values() if queue in worker.queues)
        return (capacity * 12 + 9) // 10 - sum(held.queue == queue for held in self._slots.values())

    def _running(self, tenant_id: str) -> int:
        return sum(held.tenant_id == tenant_id for held in self._slots.values())

    def _others_wait(self, run: Queued, now: datetime) -> bool:
        own = self._lanes.get((run.queue, run.tenant_id), {False: []})
        tenants = [tenant for queue, tenant in self._lanes if queue == run.queue]
        return bool(own[False]) or any(self._next(run.queue, tenant, now) for tenant in tenants)

    def _put(self, run: Queued, now: datetime) -> None:
        known = self._current(run.run_id, now)
        if known and known.run.fence >= run.fence:
            return
        self._withdraw(run.run_id)
        self._arrivals += 1
        rank = (not run.is_resume, self._arrivals)
        self._known[run.run_id] = _Known(run=run, rank=rank)
        lanes = self._lanes.setdefault((run.queue, run.tenant_id), {False: [], True: []})
        insort(lanes[_needs_token(run)], (rank, run.run_id))

    def _withdraw(self, run_id: str) -> None:
        known = self._known.pop(run_id, None)
        if known is None or known.deadline is not None:
            return
        place = (known.run.queue, known.run.tenant_id)
        lanes = self._lanes[place]
        lanes[_needs_token(known.run)].remove((known.rank, run_id))
        if not lanes[False] and not lanes[True]:
            del self._lanes[place]

    def _forget(self, run_id: str, fence: int) -> None:
        if run_id in self._known and self._known[run_id].run.fence <= fence:
            self._withdraw(run_id)

    def _next(self, queue: str, tenant_id: str, now: datetime) -> Queued | None:
        """Return the tenant's first run that has all it needs."""
        lanes = self._lanes[queue, tenant_id]
        heads = lanes[False][:1]
        if self._bucket(tenant_id, now).tokens >= 1:
            heads += lanes[True][:1]
        if not heads:
            return None
        run = self._known[min(heads)[1]].run
        # A slot that the run holds from a pick that came to nothing is as good as a free one.
        has_slot = (run.run_id, run.fence) in self._slots
        return run if has_slot or self._running(tenant_id) < self._limits[tenant_id].running else None

    def _pick_from(self, queue: str, tenant_id: str, now: datetime) -> Queued | None:
        run = self._next(queue, tenant_id, now)
        if run is None:
            return None
        if _needs_token(run):
            self._bucket(tenant_id, now).tokens -= 1
        self._hold(run, now)
        rank = self._known[run.run_id].rank
        self._withdraw(run.run_id)
        self._known[run.run_id] = _Known(run=run, rank=rank, deadline=now + self._dead_after / 2)
        return run

    def _hold(self, run: Queued, now: datetime) -> None:
        expires_at = now + self._dead_after * 1.5
        self._slots[run.run_id, run.fence] = _Slot(tenant_id=run.tenant_id, queue=run.queue, expires_at=expires_at)

    def _bucket(self, tenant_id: str, now: datetime) -> _Bucket:
        """Return the tenant's bucket, refilled to this moment."""
        limits = self._limits[tenant_id]
        bucket = self._buckets.setdefault(tenant_id, _Bucket(tokens=limits.starts_burst, counted_at=now))
        earned = (now - bucket.counted_at).total_seconds() * limits.starts_per_second
        bucket.tokens = min(limits.starts_burst, bucket.tokens + max(0.0, earned))
        bucket.counted_at = max(bucket.counted_at, now)
        return bucket


def _needs_token(run: Queued) -> bool:
    return not run.is_resume and not run.is_internal
