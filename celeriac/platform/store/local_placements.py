"""Placed steps in memory: the twin of `SqlPlacements`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from celeriac.platform.durable.memo import AttemptFailed, Memo, StepDone, Wait
from celeriac.platform.durable.placed import DEADLY, PlacedClaim, Process, of_member, poisoned_step
from celeriac.platform.durable.store import Claim
from celeriac.platform.flow.gate import Queued
from celeriac.platform.step import LONGEST_WAIT
from celeriac.platform.store.local_part import LocalPart
from celeriac.platform.store.local_records import StoredPlacement


class LocalPlacements(LocalPart):
    """The part of the store that keeps steps of other queues."""

    def place(self, claim: Claim, path: str, queue: str, call: str) -> Queued | None:
        """Place a step and register its wait."""
        with self._lock:
            run = self._held(claim)
            if run is None:
                return None
            key = (claim.run.id, path)
            if key not in self.placed:
                placed = PlacedClaim(
                    run_id=claim.run.id,
                    path=path,
                    tenant_id=claim.run.tenant_id,
                    queue=queue,
                    call=call,
                    token=0,
                    failed=0,
                    deaths=0,
                    function=f"{claim.run.app}/{claim.run.function_id}",
                    gate=claim.gate,
                    queued_at=self.now(),
                )
                self.placed[key] = StoredPlacement(placed, "queued", self.now())
                run.waits[(path, 0)] = Wait(path=path, kind="placed", wake_at=self.now() + LONGEST_WAIT)
            return _next_of(self.placed[key])

    def claim_placed(self, run_id: str, path: str, process: Process, *, token: int | None = None) -> PlacedClaim | None:
        """Claim a queued step of a run that has not ended."""
        with self._lock:
            stored = self.placed.get((run_id, path))
            if stored is None or stored.status != "queued" or not self._is_awaited(run_id, path):
                return None
            if token is not None and stored.claim.token != token - 1:
                return None
            stored.claim = replace(stored.claim, token=stored.claim.token + 1)
            stored.status, stored.process, stored.since = "running", process, self.now()
            return stored.claim

    def turn_back_placed(self, claim: PlacedClaim) -> Queued | None:
        """Queue a step again that was not begun."""
        with self._lock:
            stored = self._performed(claim)
            if stored is None:
                return None
            stored.status, stored.process = "queued", None
            return _next_of(stored)

    def commit_placed(self, claim: PlacedClaim, done: StepDone) -> list[Queued] | None:
        """Commit the step and wake its run."""
        with self._lock:
            run, stored = self.all[claim.run_id], self._performed(claim)
            is_awaited = self._is_awaited(claim.run_id, claim.path)
            if stored is not None:
                stored.status, stored.process = "done", None
            if stored is None or not is_awaited:
                return None
            run.suspicion = 0
            memo = Memo(path=claim.path, kind=done.kind, seq=len(run.steps) + 1, value=done.value, error=done.error)
            run.steps[claim.path] = (memo, done)
            self._count_step(run, done)
            wait = run.waits[(claim.path, 0)]
            run.waits[(claim.path, 0)] = replace(wait, resolved_at=self.now())
            return self._wake(run)

    def retry_placed(self, claim: PlacedClaim, failed: AttemptFailed) -> bool:
        """Record a failed attempt."""
        with self._lock:
            stored = self._performed(claim)
            if stored is None:
                return False
            self.all[claim.run_id].attempts.append(failed)
            stored.claim = replace(stored.claim, failed=failed.number)
            stored.status, stored.process, stored.since = "waiting", None, failed.wait.wake_at
            return True

    def wake_placed(self, *, most: int = 500) -> list[Queued]:
        """Queue what is due."""
        with self._lock:
            due = [one for one in self.placed.values() if one.status == "waiting" and one.since <= self.now()]
            for stored in due[:most]:
                stored.status, stored.since = "queued", self.now()
            return [_next_of(stored) for stored in due[:most]]

    def performing(self, worker_id: str) -> list[tuple[PlacedClaim, Process]]:
        """Return what the worker's processes perform."""
        with self._lock:
            return [
                (one.claim, one.process)
                for one in self.placed.values()
                if one.status == "running" and one.process is not None and one.process.worker_id == worker_id
            ]

    def give_back_placed(self, claims: Sequence[PlacedClaim]) -> list[Queued]:
        """Queue again, or fail what was deadly too often."""
        with self._lock:
            given: list[Queued] = []
            for claim in claims:
                stored = self._performed(claim)
                if stored is None:
                    continue
                if claim.deaths + 1 >= DEADLY:
                    given += self.commit_placed(claim, poisoned_step(claim, self.now())) or []
                    continue
                stored.claim = replace(claim, deaths=claim.deaths + 1)
                stored.status, stored.process, stored.since = "queued", None, self.now()
                given.append(_next_of(stored))
            return given

    def stranded_placed(self, before: datetime, *, after: str = "", most: int = 500) -> list[Queued]:
        """Return what has been queued for long."""
        with self._lock:
            behind = [self.placed[place] for place in sorted(self.placed) if place > of_member(after)]
            old = [one for one in behind if one.status == "queued" and one.since <= before]
            awaited = [one for one in old if self._is_awaited(one.claim.run_id, one.claim.path)]
            return [_next_of(one) for one in awaited[:most]]

    def _is_awaited(self, run_id: str, path: str) -> bool:
        """Whether the step's wait is open: the end of the run closes it, and so does a race that it loses."""
        run = self.all[run_id]
        wait = run.waits.get((path, 0))
        return not run.run.is_final and wait is not None and wait.resolved_at is None

    def _orphaned_placed(self, silent_for: timedelta) -> list[PlacedClaim]:
        """Return what was claimed for a worker without a row, that long ago."""
        before = self.now() - silent_for
        running = [one for one in self.placed.values() if one.status == "running" and one.since <= before]
        return [one.claim for one in running if one.process and one.process.worker_id not in self._workers]

    def _performed(self, claim: PlacedClaim) -> StoredPlacement | None:
        stored = self.placed.get((claim.run_id, claim.path))
        is_held = stored is not None and stored.status == "running" and stored.claim.token == claim.token
        return stored if is_held else None


def _next_of(stored: StoredPlacement) -> Queued:
    return replace(stored.claim.queued, fence=stored.claim.token + 1)
