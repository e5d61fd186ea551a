"""Runs in memory: their moves, each a compare-and-set on status and fence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from celeriac.errors import NotFoundError
from celeriac.platform.durable.memo import Memo, OutgoingEvent
from celeriac.platform.durable.store import Claim, ClaimWish, End, Ending, Link
from celeriac.platform.flow.gate import Queued
from celeriac.platform.run import Run
from celeriac.platform.store.local_part import LocalPart
from celeriac.platform.store.local_records import (
    as_claim,
    as_queued,
)


class LocalRuns(LocalPart):
    """The part of the store that moves runs."""

    def claim(self, run_id: str, worker_id: str, link: Link) -> Claim | None:
        """Claim a queued run."""
        with self._lock:
            run = self.all.get(run_id)
            if run is None or run.run.status != "queued" or link.fence not in (None, run.fence + 1):
                return None
            run.fence += 1
            run.claimed_at = self.now()
            run.worker_id, run.link_id, run.root_id = worker_id, link.id, run.root_id or link.root_id
            if run.run.started_at is None:
                run.deadline = None if run.time_limit is None else self.now() + run.time_limit
            started = run.run.started_at or self.now()
            run.run = replace(run.run, status="running", reason=None, links=run.run.links + 1, started_at=started)
            self._count(run.run.tenant_id, f"{run.run.app}/{run.run.function_id}", links=1)
            return as_claim(run)

    def claim_all(self, wishes: Sequence[ClaimWish], worker_id: str) -> list[Claim | None]:
        """Claim each."""
        with self._lock:
            return [self.claim(wish.run_id, worker_id, wish.link) for wish in wishes]

    def finish_all(self, ends: Sequence[End]) -> list[bool]:
        """End each."""
        with self._lock:
            return [self.finish(end.claim, end.ending, end.event, deferred=end.deferred) for end in ends]

    def memos(self, claim: Claim) -> list[Memo]:
        """Return the run's memos."""
        with self._lock:
            return sorted((memo for memo, _ in self.all[claim.run.id].steps.values()), key=lambda memo: memo.seq)

    def refresh(self, claim: Claim) -> Claim | None:
        """Read the counts anew."""
        with self._lock:
            run = self._held(claim)
            return None if run is None else as_claim(run)

    def park(self, claim: Claim, *, reason: str | None = None) -> bool:
        """Park unless something woke the run."""
        with self._lock:
            run = self._held(claim)
            if run is None or run.wakes != claim.wakes or run.cancel_requested:
                return False
            run.run = replace(run.run, status="parked", reason=reason)
            run.suspicion = 0
            run.worker_id = None
            return True

    def requeue(self, claim: Claim) -> Queued | None:
        """Queue the run for its next link."""
        with self._lock:
            run = self._held(claim)
            if run is None:
                return None
            run.suspicion = 0
            self._queue(run)
            return as_queued(run)

    def is_executing(self, run_id: str, fence: int) -> bool:
        """Whether a link has the run under this fence."""
        with self._lock:
            run = self.all.get(run_id)
            return run is not None and (run.fence, run.run.status) == (fence, "running")

    def turn_back(self, claim: Claim, *, start_timeout: timedelta | None = None) -> Queued | None:
        """Queue the run as it stood before its claim."""
        with self._lock:
            run = self._held(claim)
            if run is None:
                return None
            links = run.run.links - 1
            run.run = replace(run.run, status="queued", links=links, started_at=run.run.started_at if links else None)
            if not links:
                run.deadline = None if start_timeout is None else run.queued_at + start_timeout
            run.worker_id = None
            return as_queued(run)

    def finish(
        self, claim: Claim, ending: Ending, event: OutgoingEvent, *, deferred: Sequence[OutgoingEvent] = ()
    ) -> bool:
        """End the run."""
        with self._lock:
            run = self._held(claim)
            if run is None:
                return False
            self._end(run, ending, event)
            for one in deferred:
                self._insert(run.run.tenant_id, one, run.run.id)
            return True

    def cancel(self, tenant_id: str, run_id: str, *, reason: str = "cancelled") -> Run:
        """End a run that stands, flag one that executes."""
        with self._lock:
            run = self.all.get(run_id)
            if run is None or run.run.tenant_id != tenant_id:
                raise NotFoundError(f"There is no run {run_id!r}")
            self._cancel(run, reason)
            return run.run

    def expire(self, *, most: int = 100) -> list[Run]:
        """Cancel the runs that are past their deadline."""
        with self._lock:
            late = [run for run in self.all.values() if run.deadline is not None and run.deadline <= self.now()]
            for run in late[:most]:
                self._cancel(run, "start_timeout" if run.run.started_at is None else "timeout")
                run.deadline = None
            return [run.run for run in late[:most]]

    def holding(self, *, after: str = "", most: int = 500) -> list[Queued]:
        """Return runs that hold a pool until they end."""
        with self._lock:
            standing = [run for run in self.all.values() if not run.run.is_final and run.run.started_at is not None]
            found = [one for one in map(as_queued, standing) if any(pool.is_for_run for pool in one.pools)]
            return sorted((one for one in found if one.run_id > after), key=lambda one: one.run_id)[:most]

    def holding_of(self, run_ids: Sequence[str]) -> list[Queued]:
        """Return those of the runs that may hold one."""
        with self._lock:
            named = [self.all[run_id] for run_id in run_ids if run_id in self.all]
            standing = [as_queued(run) for run in named if not run.run.is_final]
            return [run for run in standing if any(pool.is_for_run for pool in run.pools)]

    def stranded(self, *, older_than: timedelta, after: str = "", most: int = 500) -> list[Queued]:
        """Return runs queued for long."""
        with self._lock:
            before = self.now() - older_than
            old = [run for run in self.all.values() if run.run.status == "queued" and run.queued_at <= before]
            behind = sorted((run for run in old if run.run.id > after), key=lambda run: run.run.id)
            return [as_queued(run) for run in behind[:most]]

    def stranded_of(self, run_ids: Sequence[str], *, older_than: timedelta) -> list[Queued]:
        """Return those of the runs that have been queued for long."""
        with self._lock:
            return [one for one in self.stranded(older_than=older_than, most=len(self.all)) if one.run_id in run_ids]
