"""Waits in memory: registering one for an event, reading a run's, and ending those whose time has come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.store import Claim
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.local_part import LocalPart
from celeriac.platform.store.local_records import (
    event_text,
    is_answered,
)


class LocalWaits(LocalPart):
    """The part of the store that lets runs stand still and wakes them by time."""

    def waits(self, claim: Claim) -> list[Wait]:
        """Return the run's waits without a memo."""
        with self._lock:
            run = self.all[claim.run.id]
            last = {wait.path: wait for _, wait in sorted(run.waits.items()) if wait.path not in run.steps}
            return sorted(last.values(), key=lambda wait: (wait.resolved_at is None, wait.resolved_at or wait.wake_at))

    def await_event(self, claim: Claim, wait: Wait, *, look_back: timedelta | None = None) -> Wait | None:
        """Register a wait for an event and look back."""
        with self._lock:
            run = self._held(claim)
            if run is None:
                return None
            known = run.waits.get((wait.path, 0))
            if known is not None:
                return known
            wait = replace(wait, since=self.now() - (look_back or timedelta(0)))
            came = [event for event in self.events.values() if event.tenant_id == run.run.tenant_id]
            found = next((event for event in came if look_back is not None and is_answered(wait, event)), None)
            if found is not None:
                wait = replace(wait, resolved_at=self.now(), event=event_text(found))
            run.waits[(wait.path, 0)] = wait
            return wait

    def wake_due(self, *, most: int = 500) -> list[Queued]:
        """Wake runs whose time has come."""
        with self._lock:
            now, queued = self.now(), []
            for run in self.all.values():
                for key, wait in run.waits.items():
                    if wait.resolved_at is None and wait.wake_at <= now and not run.run.is_final:
                        run.waits[key] = replace(wait, resolved_at=now)
                        queued += self._wake(run)
            return queued
