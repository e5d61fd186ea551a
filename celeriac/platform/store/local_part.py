"""What the parts of the store in memory have in common: the facts, and the moves that more than one part makes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from celeriac.clock import Clock, SystemClock
from celeriac.platform.codec import utf8_size
from celeriac.platform.durable.cron import Schedule
from celeriac.platform.durable.declaration import Declaration, EventSchema
from celeriac.platform.durable.declared import Declared, Pause
from celeriac.platform.durable.ending import deferred_event, ending_event
from celeriac.platform.durable.memo import OutgoingEvent, StepDone
from celeriac.platform.durable.run_keys import RunKey
from celeriac.platform.durable.starting import Standing
from celeriac.platform.durable.store import Claim, Ending, Worker
from celeriac.platform.durable.usage import UsageRow
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.local_records import StoredEvent, StoredPlacement, StoredRun, as_event, as_queued


class LocalPart:
    """Everything in dicts; one lock is the transaction, and the time is the clock's."""

    def __init__(self, clock: Clock | None = None, *, tenants: Callable[[], Sequence[str]] = tuple) -> None:
        """Start empty; `tenants` tells the active tenants, for crons of each."""
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self.events: dict[str, StoredEvent] = {}
        #: the events by the ids that their senders gave them
        self._sent: dict[tuple[str, str], StoredEvent] = {}
        self.all: dict[str, StoredRun] = {}
        self._tenants = tenants
        #: by `app/function_id`, and by (app, name)
        self._functions: dict[str, Declaration] = {}
        self._schemas: dict[tuple[str, str], EventSchema] = {}
        self._pauses: set[Pause] = set()
        self._declared = Declared(())
        #: with the time at which each is due next, by (function, cron, time zone)
        self._crons: dict[tuple[str, str, str], tuple[Schedule, datetime]] = {}
        self._keys: dict[RunKey, Standing] = {}
        #: the runs that events have joined
        self._gathered: dict[str, str] = {}
        self.placed: dict[tuple[str, str], StoredPlacement] = {}
        self._workers: dict[str, tuple[Worker, datetime]] = {}
        #: what was used, by tenant, day, function and model
        self._used: dict[tuple[str, date, str, str], UsageRow] = {}

    def now(self) -> datetime:
        """Return the clock's time."""
        return self._clock.now()

    def _count(self, tenant_id: str, function: str, model: str = "", **counts: int | float) -> None:
        """Add to what was used today."""
        day = self.now().astimezone(UTC).date()
        key = (tenant_id, day, function, model)
        known = self._used.get(key, UsageRow(tenant_id=tenant_id, day=day, function=function, model=model))
        self._used[key] = replace(known, **{name: getattr(known, name) + more for name, more in counts.items()})

    def _count_step(self, run: StoredRun, done: StepDone) -> None:
        function, used = f"{run.run.app}/{run.run.function_id}", done.usage.export()
        self._count(run.run.tenant_id, function, done.model, steps=1, bytes=utf8_size(done.value), **used)

    def _insert(
        self, tenant_id: str, event: OutgoingEvent, sender: str | None = None, *, function: str | None = None
    ) -> None:
        if event.id in self.events:
            return
        if function is None:
            function = f"{self.all[sender].run.app}/{self.all[sender].run.function_id}" if sender else ""
        self._count(tenant_id, function, bytes=utf8_size(event.data))
        self.events[event.id] = StoredEvent(
            event.id,
            tenant_id,
            Event(event.name, json.loads(event.data), ts=event.ts),
            self.now(),
            is_internal=event.is_internal,
            target=event.target,
            sender=sender,
        )

    def _wake(self, run: StoredRun) -> list[Queued]:
        run.wakes += 1
        if run.run.status != "parked":
            return []
        self._queue(run)
        return [as_queued(run)]

    def _queue(self, run: StoredRun) -> None:
        run.run = replace(run.run, status="queued")
        run.queued_at = self.now()
        run.worker_id = None

    def _cancel(self, run: StoredRun, reason: str) -> bool:
        """End a run that stands, flag one that executes; return whether it has ended by this."""
        if run.run.status in ("queued", "parked"):
            self._end_at_once(run, Ending(status="cancelled", reason=run.cancel_reason or reason))
            return True
        if not run.run.is_final:
            run.cancel_requested = True
            run.cancel_reason = run.cancel_reason or reason
            run.wakes += 1
        return False

    def _held(self, claim: Claim) -> StoredRun | None:
        run = self.all.get(claim.run.id)
        return run if run is not None and run.fence == claim.fence and run.run.status == "running" else None

    def _end_at_once(self, run: StoredRun, ending: Ending) -> None:
        """End a run that no link executes any more."""
        run.fence += 1
        error = (
            None if ending.error_code is None else {"code": ending.error_code, "message": ending.error_message or ""}
        )
        ended = replace(run.run, status=ending.status, reason=ending.reason, error=error)
        event = ending_event(ended, as_event(run.event))
        self._end(run, ending, event)
        for path, (memo, _) in run.steps.items():
            if memo.kind == "defer" and memo.value is not None:
                self._insert(run.run.tenant_id, deferred_event(run.run.id, path, json.loads(memo.value)), run.run.id)

    def _end(self, run: StoredRun, ending: Ending, event: OutgoingEvent) -> None:
        error = None
        if ending.error_code is not None:
            error = {"code": ending.error_code, "message": ending.error_message or ""}
        output = None if ending.output is None else json.loads(ending.output)
        run.run = replace(
            run.run, status=ending.status, reason=ending.reason, output=output, error=error, ended_at=self.now()
        )
        run.worker_id = run.deadline = None
        self._insert(run.run.tenant_id, event, run.run.id)
