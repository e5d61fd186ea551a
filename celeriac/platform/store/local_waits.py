"""Waits in memory: registering one for an event, reading a run's, and ending those whose time or signal has come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from celeriac.errors import ConflictError
from celeriac.ids import new_id
from celeriac.platform.durable.matching import SIGNALLED, signal_event, taken_signal
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.store import Claim, Due, Signalled
from celeriac.platform.event import signal_name
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.local_part import LocalPart
from celeriac.platform.store.local_records import StoredRun, event_text, is_answered


class LocalWaits(LocalPart):
    """The part of the store that lets runs stand still and wakes them by time."""

    def waits(self, claim: Claim) -> list[Wait]:
        """Return the run's waits without a memo."""
        with self._lock:
            run = self.all[claim.run.id]
            own = [wait for _, wait in sorted(run.waits.items()) if wait.kind not in ("start", "cancel")]
            last = {wait.path: wait for wait in own if wait.path not in run.steps}
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
            if wait.kind == "signal" and self._signal_wait(run.run.tenant_id, wait.event_name or "") is not None:
                raise ConflictError(taken_signal(wait.event_name or ""))
            wait = replace(wait, since=self.now() - (look_back or timedelta(0)))
            came = [event for event in self.events.values() if event.tenant_id == run.run.tenant_id]
            found = next((event for event in came if look_back is not None and is_answered(wait, event, run)), None)
            if found is not None:
                wait = replace(wait, resolved_at=self.now(), event=event_text(found))
            run.waits[(wait.path, 0)] = wait
            return wait

    def due(self) -> Due:
        """Say that everything may be: a look costs nothing here."""
        return Due(events=True, waits=True, placed=True, crons=True, deadlines=True)

    def wake_due(self, *, most: int = 500) -> list[Queued]:
        """Wake runs whose time has come."""
        with self._lock:
            now, queued = self.now(), []
            for run in self.all.values():
                for key, wait in run.waits.items():
                    if wait.resolved_at is None and wait.wake_at <= now and not run.run.is_final:
                        run.waits[key] = replace(wait, resolved_at=now)
                        is_quiet = wait.kind == "cancel" or wait.path in run.steps
                        queued += [] if is_quiet else self._wake(run)
            return queued

    def signal(self, tenant_id: str, name: str, data: Any, *, id: str | None = None) -> Signalled:
        """Give a signal to the wait that has it."""
        with self._lock:
            if id is not None and (taken_by := self._taken_by(tenant_id, id)) is not None:
                return Signalled(run_id=taken_by)
            found = self._signal_wait(tenant_id, signal_name(name))
            if found is None:
                return Signalled()
            run, key = found
            event = signal_event(id or new_id("evt"), name, data)
            self._insert(tenant_id, event)
            stored = self.events[event.id]
            stored.is_matched = True
            run.waits[key] = replace(run.waits[key], resolved_at=self.now(), event=event_text(stored))
            return Signalled(run_id=run.run.id, queued=self._wake(run))

    def _taken_by(self, tenant_id: str, event_id: str) -> str | None:
        if event_id not in self.events:
            return None
        text = event_text(self.events[event_id])
        of_tenant = (run for run in self.all.values() if run.run.tenant_id == tenant_id)
        return next((run.run.id for run in of_tenant if any(one.event == text for one in run.waits.values())), None)

    def _signal_wait(self, tenant_id: str, name: str) -> tuple[StoredRun, tuple[str, int]] | None:
        for run in self.all.values():
            for key, wait in run.waits.items():
                is_open = wait.resolved_at is None and wait.event_name == name and not run.run.is_final
                if is_open and wait.kind in SIGNALLED and run.run.tenant_id == tenant_id:
                    return run, key
        return None
