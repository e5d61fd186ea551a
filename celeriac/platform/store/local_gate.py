"""The Gate in memory, for one process: the twin of `redis_gate.py` in tests and scripts.

It decides like the Lua files, moved by whatever clock it is given, and may walk over all tenants and lanes of a queue
where they may not. Its buckets begin full, because nothing can have started before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock

from celeriac.clock import Clock
from celeriac.platform.flow.gate import Holdup, Pace, Pool, Queued
from celeriac.platform.store.local_lanes import INTERNAL, RESUME, START, LocalLanes
from celeriac.platform.store.local_slots import LocalSlots

#: what a weight counts for at least
LEAST_WEIGHT = 0.001


class LocalGate:
    """The Gate of a single process; `dead_after` as for the fleet's."""

    def __init__(self, clock: Clock, *, dead_after: timedelta) -> None:
        """Start empty."""
        self._clock = clock
        self._dead_after = dead_after
        self._lock = Lock()
        self._lanes = LocalLanes()
        self._slots = LocalSlots(dead_after)

    def enqueue(self, runs: Sequence[Queued]) -> None:
        with self._deciding() as now:
            for run in runs:
                self._slots.learn(run)
                self._put(run, now)

    def pick(
        self, queue: str, most: int, *, ended: Sequence[Queued] = (), arriving: Sequence[Queued] = ()
    ) -> list[Queued]:
        for link in ended:
            self._end(link)
        self.enqueue(arriving)
        with self._deciding() as now:
            picked: list[Queued] = []

            def pick_from(tenant_id: str) -> float | None:
                is_closed = self._is_closed(queue, tenant_id, now)
                run = self._next(queue, tenant_id, now, is_closed=is_closed)
                if run is None:
                    if is_closed:
                        self._lanes.pass_over(queue, tenant_id)
                    return None
                self._take(run, now)
                picked.append(run)
                return 1 / max(self._slots.limits(tenant_id).weight, LEAST_WEIGHT)

            most = min(most, self._slots.room(queue))
            for _ in self._lanes.in_turn(queue, pick_from) if most > 0 else ():
                if len(picked) >= most:
                    break
            return picked

    def proceed(self, run: Queued) -> bool:
        with self._deciding() as now:
            known = self._lanes.current(run.run_id, now)
            if known and known.fence >= run.fence:
                return not self._lanes.is_waiting(run.run_id)
            if self._slots.has_slot(run):
                return True
            self._slots.learn(run)
            may_go_on = self._may_go_on(run, now)
            self._slots.free(run.run_id, run.fence - 1)
            if may_go_on:
                self._slots.hold(run, now)
                self._lanes.on_its_way(run, now + self._dead_after / 2)
            else:
                self._put(run, now)
            return may_go_on

    def started(self, run: Queued) -> bool:
        with self._deciding() as now:
            self._lanes.forget(run.run_id, run.fence)
            self._slots.learn(run)
            is_free = self._slots.running(run.tenant_id) < self._slots.limits(run.tenant_id).running
            may_execute = self._slots.has_slot(run) or (is_free and self._slots.lacking_pool(run) is None)
            if may_execute:
                self._slots.hold(run, now)
            elif not run.is_resume:
                self._slots.settle(run.run_id)
            return may_execute

    def renew(self, runs: Sequence[Queued]) -> None:
        with self._deciding() as now:
            for run in runs:
                self._slots.hold(run, now)

    def forget(self, run_id: str) -> None:
        with self._deciding() as now:
            known = self._lanes.current(run_id, now)
            if known is not None:
                self._lanes.forget(run_id, known.fence)
                self._slots.free(run_id, known.fence)
            self._slots.settle(run_id)

    def settle(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            self.forget(run_id)

    def release(self, run_id: str, fence: int) -> None:
        with self._deciding():
            self._lanes.forget(run_id, fence)
            self._slots.free(run_id, fence)

    def learn(self, runs: Sequence[Queued]) -> None:
        with self._deciding():
            for run in runs:
                self._slots.learn(run)
                self._lanes.move(run)

    def hold_runs(self, runs: Sequence[Queued]) -> None:
        with self._deciding() as now:
            for run in runs:
                self._slots.hold_run(run, now)

    def unconfirmed(self, most: int) -> list[str]:
        with self._deciding() as now:
            return self._slots.unconfirmed(most, now)

    def explain(self, run_id: str) -> Holdup | None:
        with self._deciding() as now:
            run = self._lanes.current(run_id, now)
            return self._explain(run, now) if run and self._lanes.is_waiting(run_id) else None

    def known(self, run_ids: Sequence[str]) -> set[str]:
        with self._deciding() as now:
            return {run_id for run_id in run_ids if self._lanes.current(run_id, now)}

    def attend(self, worker_id: str, queues: Sequence[str], capacity: int) -> None:
        with self._deciding() as now:
            self._slots.attend(worker_id, frozenset(queues), capacity, now)

    def leave(self, worker_id: str) -> None:
        with self._deciding():
            self._slots.leave(worker_id)

    def waiting(self, queue: str) -> int:
        with self._deciding():
            return self._lanes.waiting(queue)

    @contextmanager
    def _deciding(self) -> Iterator[datetime]:
        """Hold the lock, drop what has expired, and tell the time of the decision."""
        with self._lock:
            now = self._clock.now()
            self._slots.purge(now)
            yield now

    def _put(self, run: Queued, now: datetime) -> None:
        self._lanes.put(run, now, holds=self._slots.has_slot(run) or self._slots.holds(run.run_id))
        if run.is_resume:
            self._slots.hold_run(run, now)

    def _end(self, link: Queued) -> None:
        self.release(link.run_id, link.fence)
        if link.is_over:
            with self._deciding():
                self._slots.settle(link.run_id)

    def _take(self, run: Queued, now: datetime) -> None:
        if not run.is_resume and not self._slots.has_slot(run):
            since = min(self._lanes.since(run), now)
            self._slots.pay(run, now, since=since, is_token_due=not run.is_internal)
        self._slots.hold(run, now)
        self._lanes.on_its_way(run, now + self._dead_after / 2)
        if not self._lanes.standing(run.queue, run.tenant_id):
            self._slots.note_quiet(run.queue, run.tenant_id, now)

    def _next(self, queue: str, tenant_id: str, now: datetime, *, is_closed: bool) -> Queued | None:
        """Return the tenant's first run that has all it needs, where slots may be closed to it."""
        has_room = self._slots.running(tenant_id) < self._slots.limits(tenant_id).running and not is_closed
        for run in self._lanes.heads(queue, tenant_id):
            # Slots that the run holds from a pick that came to nothing are as good as free ones.
            has_slot = self._slots.has_slot(run)
            has_token = self._lanes.band(run) != START or has_slot or self._slots.tokens(tenant_id, now) >= 1
            if (has_room or has_slot) and has_token and self._slots.lacking(run, now) is None:
                return run
        return None

    def _is_closed(self, queue: str, tenant_id: str, now: datetime) -> bool:
        """Say whether the slots that are left are closed to a tenant that has a run in a lane."""
        return self._slots.is_closed(queue, tenant_id, now, has_more=self._lanes.standing(queue, tenant_id) > 1)

    def _may_go_on(self, run: Queued, now: datetime) -> bool:
        """Say whether the run's next link may have the slots of the one that ends: nobody else could use them."""
        others = self._lanes.tenants(run.queue)
        if any(self._next(run.queue, tenant, now, is_closed=False) for tenant in others):
            return False
        own = self._slots.has_slot(_ending(run))
        running = self._slots.running(run.tenant_id) - own
        if running >= self._slots.limits(run.tenant_id).running or self._is_asked_for(run, now):
            return False
        if running > 0 and self._slots.is_closed(run.queue, run.tenant_id, now, has_more=False, ending=int(own)):
            return False
        ending = {f"{run.run_id}:{run.fence - 1}"}
        pools = [pool for pool in run.pools if not pool.is_for_run]
        return all(
            len(self._slots.held(run.tenant_id, pool.name) - ending) < self._slots.slots_of(run, pool) for pool in pools
        )

    def _is_asked_for(self, run: Queued, now: datetime) -> bool:
        """Say whether a resume of the same tenant waits for what the run's link gives back."""
        pools = {pool.name for pool in run.pools if not pool.is_for_run}
        heads = [
            head for queue in self._lanes.queues(run.tenant_id) for head in self._lanes.heads(queue, run.tenant_id)
        ]
        for head in heads:
            lacks = self._slots.lacking(head, now)
            could_go = lacks is None and head.queue == run.queue
            if self._lanes.band(head) == RESUME and (could_go or (lacks is not None and lacks.name in pools)):
                return True
        return False

    def _explain(self, run: Queued, now: datetime) -> Holdup:
        limits, lacks = self._slots.limits(run.tenant_id), self._slots.lacking(run, now)
        if self._slots.has_slot(run):
            return Holdup(reason="turn")
        if self._slots.running(run.tenant_id) >= limits.running:
            return Holdup(reason="running")
        tokens = self._slots.tokens(run.tenant_id, now)
        if self._lanes.band(run) == START and tokens < 1:
            missing, rate = 1 - tokens + self._lanes.ahead_of(run, START), limits.starts_per_second
            until = now + timedelta(seconds=missing / rate) if rate else None
            return Holdup(reason="starts", until=until)
        match lacks:
            case Pool():
                return Holdup(reason="pool", name=lacks.name)
            case Pace():
                until = self._slots.open_at(run, lacks, ahead=self._lanes.ahead_of(run, INTERNAL))
                return Holdup(reason="pace", name=lacks.name, until=until)
            case None:
                pass
        if self._slots.room(run.queue) <= 0:
            return Holdup(reason="room")
        return Holdup(reason="noisy" if self._is_closed(run.queue, run.tenant_id, now) else "turn")


def _ending(run: Queued) -> Queued:
    return replace(run, fence=run.fence - 1)
