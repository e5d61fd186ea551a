"""The store in memory: the twin of `SqlStore` for tests, the harness and the engine's own suite.

One lock is its transaction. It keeps the same facts under the same names, and the conformance suite holds for both.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from celeriac.clock import Clock, SystemClock
from celeriac.errors import NotFoundError
from celeriac.ids import derived_id, new_id
from celeriac.platform.durable.declaration import Declaration, EventSchema
from celeriac.platform.durable.ending import ending_event
from celeriac.platform.durable.matching import triggers
from celeriac.platform.durable.memo import AttemptFailed, Entry, Memo, OutgoingEvent, StepDone, Wait, WaitBegun
from celeriac.platform.durable.store import Accepted, Claim, Ending, Ingested, Link, Renewal, Worker
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.run import FINAL, Run
from celeriac.platform.store.local_records import (
    StoredEvent,
    StoredRun,
    as_claim,
    as_queued,
    event_text,
    is_answered,
    place,
)

_DEDUPE = timedelta(hours=24)


class LocalStore:
    """Everything in dicts; the time is the clock's."""

    def __init__(self, clock: Clock | None = None) -> None:
        """Start empty."""
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self.events: dict[str, StoredEvent] = {}
        self.all: dict[str, StoredRun] = {}
        self._declared: dict[tuple[str, str], Declaration] = {}
        self._schemas: dict[tuple[str, str], EventSchema] = {}
        self._workers: dict[str, tuple[Worker, datetime]] = {}

    def now(self) -> datetime:
        """Return the clock's time."""
        return self._clock.now()

    def declare(self, app: str, functions: Sequence[Declaration], schemas: Sequence[EventSchema]) -> None:
        """Replace what the app declared before."""
        with self._lock:
            self._declared = {key: value for key, value in self._declared.items() if key[0] != app}
            self._declared |= {(app, one.function_id): one for one in functions}
            self._schemas = {key: value for key, value in self._schemas.items() if key[0] != app}
            self._schemas |= {(app, schema.name): schema for schema in schemas}

    def schemas(self, names: Sequence[str]) -> list[EventSchema]:
        """Return the schemas of these names."""
        with self._lock:
            return [schema for (_, name), schema in self._schemas.items() if name in names]

    # -- events -------------------------------------------------------------------------------------------------

    def ingest(self, tenant_id: str, events: Sequence[Event]) -> Ingested:
        """Take in events with their runs and wakes."""
        with self._lock:
            accepted, queued = [], []
            for event in events:
                first = self._first_with(tenant_id, event.id)
                if first is not None:
                    accepted.append(Accepted(id=first.id, name=event.name, is_duplicate=True))
                    continue
                stored = StoredEvent(new_id("evt"), tenant_id, event, self.now())
                self.events[stored.id] = stored
                queued += self._match(stored)
                accepted.append(Accepted(id=stored.id, name=event.name))
            return Ingested(accepted=accepted, queued=queued)

    def match_pending(self, event_ids: Sequence[str] | None = None, *, most: int = 100) -> Ingested:
        """Match events that steps and endings inserted."""
        with self._lock:
            ids = list(self.events) if event_ids is None else event_ids
            pending = [self.events[id] for id in ids if id in self.events and not self.events[id].is_matched]
            queued = [run for event in pending[:most] for run in self._match(event)]
            return Ingested(
                accepted=[Accepted(id=one.id, name=one.event.name) for one in pending[:most]], queued=queued
            )

    def _first_with(self, tenant_id: str, sender_id: str | None) -> StoredEvent | None:
        if sender_id is None:
            return None
        since = self.now() - _DEDUPE
        for stored in self.events.values():
            if stored.tenant_id == tenant_id and stored.event.id == sender_id and stored.received_at > since:
                return stored
        return None

    def _match(self, stored: StoredEvent) -> list[Queued]:
        stored.is_matched = True
        name = stored.event.name
        starting = [one for one in self._declared.values() if any(triggers(pattern, name) for pattern in one.triggers)]
        queued = [started for one in starting if (started := self._start(stored, one)) is not None]
        for run in self.all.values():
            for key, wait in run.waits.items():
                if run.run.tenant_id == stored.tenant_id and not run.run.is_final and is_answered(wait, stored):
                    run.waits[key] = replace(wait, resolved_at=self.now(), event=event_text(stored))
                    queued += self._wake(run)
        return queued

    def _start(self, stored: StoredEvent, declaration: Declaration) -> Queued | None:
        run_id = derived_id("run", stored.id, declaration.app, declaration.function_id)
        if run_id in self.all:
            return None
        run = Run(
            id=run_id,
            tenant_id=stored.tenant_id,
            app=declaration.app,
            function_id=declaration.function_id,
            event_id=stored.id,
            created_at=self.now(),
        )
        self.all[run_id] = StoredRun(
            run,
            stored,
            queue=declaration.queue,
            version=declaration.version,
            is_internal=stored.is_internal or declaration.is_internal,
            queued_at=self.now(),
        )
        return as_queued(self.all[run_id])

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

    # -- runs ---------------------------------------------------------------------------------------------------

    def claim(self, run_id: str, worker_id: str, link: Link) -> Claim | None:
        """Claim a queued run."""
        with self._lock:
            run = self.all.get(run_id)
            if run is None or run.run.status != "queued":
                return None
            run.fence += 1
            run.worker_id, run.link_id, run.root_id = worker_id, link.id, run.root_id or link.root_id
            started = run.run.started_at or self.now()
            run.run = replace(run.run, status="running", links=run.run.links + 1, started_at=started)
            return as_claim(run)

    def _held(self, claim: Claim) -> StoredRun | None:
        run = self.all.get(claim.run.id)
        return run if run is not None and run.fence == claim.fence and run.run.status == "running" else None

    def memos(self, claim: Claim) -> list[Memo]:
        """Return the run's memos."""
        with self._lock:
            return sorted((memo for memo, _ in self.all[claim.run.id].steps.values()), key=lambda memo: memo.seq)

    def waits(self, claim: Claim) -> list[Wait]:
        """Return the run's waits without a memo."""
        with self._lock:
            run = self.all[claim.run.id]
            last = {wait.path: wait for _, wait in sorted(run.waits.items()) if wait.path not in run.steps}
            return sorted(last.values(), key=lambda wait: (wait.resolved_at is None, wait.resolved_at or wait.wake_at))

    def commit(self, entries: Sequence[Entry]) -> list[int | None]:
        """Commit entries under their fences."""
        with self._lock:
            return [self._commit(entry) for entry in entries]

    def _commit(self, entry: Entry) -> int | None:
        run = self.all.get(entry.run_id)
        if run is None or run.run.tenant_id != entry.tenant_id:
            return None
        if entry.commit_id in run.commits:
            return run.commits[entry.commit_id]
        if run.fence != entry.fence or run.run.status != "running":
            return None
        seq = 0
        match entry:
            case StepDone():
                if entry.path in run.steps:
                    return None
                seq = len(run.steps) + 1
                memo = Memo(path=entry.path, kind=entry.kind, seq=seq, value=entry.value, error=entry.error)
                run.steps[entry.path] = (memo, entry)
                run.run = replace(run.run, usage=run.run.usage + entry.usage)
                for event in entry.events:
                    self._insert(run.run.tenant_id, event)
            case AttemptFailed():
                run.attempts.append(entry)
                run.waits[(entry.path, entry.wait.number)] = entry.wait
            case WaitBegun():
                run.waits[(entry.path, 0)] = entry.wait
            case _:
                raise TypeError(f"{type(entry).__name__} is no entry of the journal")
        run.commits[entry.commit_id] = seq
        return seq

    def _insert(self, tenant_id: str, event: OutgoingEvent) -> None:
        self.events[event.id] = StoredEvent(
            event.id,
            tenant_id,
            Event(event.name, json.loads(event.data), ts=event.ts),
            self.now(),
            is_internal=event.is_internal,
        )

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

    def park(self, claim: Claim) -> bool:
        """Park unless something woke the run."""
        with self._lock:
            run = self._held(claim)
            if run is None or run.wakes != claim.wakes or run.cancel_requested:
                return False
            run.run = replace(run.run, status="parked")
            run.worker_id = None
            return True

    def refresh(self, claim: Claim) -> Claim | None:
        """Read the counts anew."""
        with self._lock:
            run = self._held(claim)
            return None if run is None else as_claim(run)

    def requeue(self, claim: Claim) -> Queued | None:
        """Queue the run for its next link."""
        with self._lock:
            run = self._held(claim)
            if run is None:
                return None
            self._queue(run)
            return as_queued(run)

    def finish(self, claim: Claim, ending: Ending, event: OutgoingEvent) -> bool:
        """End the run."""
        with self._lock:
            run = self._held(claim)
            if run is None:
                return False
            self._end(run, ending, event)
            return True

    def _end(self, run: StoredRun, ending: Ending, event: OutgoingEvent) -> None:
        error = None
        if ending.error_code is not None:
            error = {"code": ending.error_code, "message": ending.error_message or ""}
        output = None if ending.output is None else json.loads(ending.output)
        run.run = replace(
            run.run, status=ending.status, reason=ending.reason, output=output, error=error, ended_at=self.now()
        )
        run.worker_id = None
        self._insert(run.run.tenant_id, event)

    def cancel(self, tenant_id: str, run_id: str) -> Run:
        """End a run that stands, flag one that executes."""
        with self._lock:
            run = self.all.get(run_id)
            if run is None or run.run.tenant_id != tenant_id:
                raise NotFoundError(f"There is no run {run_id!r}")
            if run.run.status in ("queued", "parked"):
                run.fence += 1
                event = ending_event(replace(run.run, status="cancelled", reason="cancelled"))
                self._end(run, Ending(status="cancelled", reason="cancelled"), event)
            elif run.run.status not in FINAL:
                run.cancel_requested = True
                run.wakes += 1
            return run.run

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

    # -- the fleet ----------------------------------------------------------------------------------------------

    def register(self, worker: Worker) -> None:
        """Know a worker."""
        with self._lock:
            self._workers[worker.id] = (worker, self.now())

    def renew(self, worker_id: str) -> Renewal:
        """Renew a worker."""
        with self._lock:
            known = self._workers.get(worker_id)
            if known is None:
                return Renewal(is_alive=False, now=self.now())
            self._workers[worker_id] = (known[0], self.now())
            mine = [run for run in self.all.values() if run.worker_id == worker_id and run.cancel_requested]
            return Renewal(is_alive=True, now=self.now(), cancelled=tuple(run.run.id for run in mine))

    def retire(self, worker_id: str) -> None:
        """Forget a worker."""
        with self._lock:
            self._workers.pop(worker_id, None)

    def neighbours(self, worker_id: str) -> list[Worker]:
        """Return workers of the same host."""
        with self._lock:
            me = self._workers.get(worker_id)
            if me is None:
                return []
            here = place(me[0])
            return [one for one, _ in self._workers.values() if one.id != worker_id and place(one) == here]

    def bury(self, worker_ids: Sequence[str], *, silent_for: timedelta | None = None) -> list[Queued]:
        """Judge workers dead and queue their runs."""
        with self._lock:
            dead = set(worker_ids)
            if silent_for is not None:
                dead |= {id for id, (_, seen) in self._workers.items() if seen < self.now() - silent_for}
            for worker_id in dead:
                self._workers.pop(worker_id, None)
            lost = [run for run in self.all.values() if run.run.status == "running" and run.worker_id in dead]
            for run in lost:
                self._queue(run)
            return [as_queued(run) for run in lost]

    def held(self, worker_id: str) -> list[tuple[str, int]]:
        """Return what the worker holds."""
        with self._lock:
            mine = [run for run in self.all.values() if run.run.status == "running" and run.worker_id == worker_id]
            return [(run.run.id, run.fence) for run in mine]

    def give_back(self, run_id: str, fence: int) -> Queued | None:
        """Queue a run that nobody executes."""
        with self._lock:
            run = self.all.get(run_id)
            if run is None or run.fence != fence or run.run.status != "running":
                return None
            self._queue(run)
            return as_queued(run)

    def stranded(self, *, older_than: timedelta, after: str = "", most: int = 500) -> list[Queued]:
        """Return runs queued for long."""
        with self._lock:
            before = self.now() - older_than
            old = [run for run in self.all.values() if run.run.status == "queued" and run.queued_at <= before]
            behind = sorted((run for run in old if run.run.id > after), key=lambda run: run.run.id)
            return [as_queued(run) for run in behind[:most]]
