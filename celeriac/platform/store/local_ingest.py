"""Events in memory: what comes in, and the runs that it starts, wakes and cancels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from celeriac.errors import NotFoundError
from celeriac.ids import new_id
from celeriac.platform.codec import encode, utf8_size
from celeriac.platform.durable.admission import freeze
from celeriac.platform.durable.cron import last_due, next_due, tick_id
from celeriac.platform.durable.declared import Arrival
from celeriac.platform.durable.ending import unstarted_event
from celeriac.platform.durable.quota import too_many_queued
from celeriac.platform.durable.run_keys import RunKey, keys_of
from celeriac.platform.durable.starting import Join, Plan, Standing, Start, cancelling_waits, in_order, start_wait
from celeriac.platform.durable.store import Accepted, Ingested
from celeriac.platform.event import CRON, Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.run import FINAL, Run
from celeriac.platform.store.local_part import LocalPart
from celeriac.platform.store.local_records import (
    StoredEvent,
    StoredRun,
    as_queued,
    as_seen,
    event_text,
    is_answered,
)

#: how long a sender's id is remembered
_DEDUPE = timedelta(hours=24)


class LocalIngest(LocalPart):
    """The part of the store that events come in by."""

    def ingest(
        self, tenant_id: str, events: Sequence[Event], *, target: str | None = None, most_queued: int | None = None
    ) -> Ingested:
        """Take in events with their runs and wakes."""
        with self._lock:
            starting = [one for one in events if target is not None or self._declared.has_triggers(one.name)]
            if most_queued is not None and starting and self._queued_of(tenant_id) + len(starting) > most_queued:
                raise too_many_queued(most_queued)
            if target is not None and target not in self._declared.functions:
                raise NotFoundError(f"There is no function {target!r}; is a worker with it running?")
            accepted, new = [], []
            for event in events:
                first = self._first_with(tenant_id, event.id)
                if first is not None:
                    accepted.append(Accepted(id=first.id, name=event.name, is_duplicate=True))
                    continue
                plain = Event(event.name, {} if event.data is None else event.data, id=event.id, ts=event.ts)
                stored = StoredEvent(new_id("evt"), tenant_id, plain, self.now(), target=target)
                self.events[stored.id] = stored
                self._count(tenant_id, "", bytes=utf8_size(encode(plain.data)))
                if event.id is not None:
                    self._sent[tenant_id, event.id] = stored
                accepted.append(Accepted(id=stored.id, name=event.name))
                new.append(stored)
            return replace(self._match(new), accepted=accepted)

    def _queued_of(self, tenant_id: str) -> int:
        return sum(one.run.tenant_id == tenant_id and one.run.status == "queued" for one in self.all.values())

    def match_pending(self, event_ids: Sequence[str] | None = None, *, most: int = 100) -> Ingested:
        """Match events that steps and endings inserted."""
        with self._lock:
            ids = list(self.events) if event_ids is None else event_ids
            pending = [self.events[id] for id in ids if id in self.events and not self.events[id].is_matched][:most]
            accepted = [Accepted(id=one.id, name=one.event.name) for one in pending]
            return replace(self._match(pending), accepted=accepted)

    def fire_crons(self, *, most: int = 100) -> Ingested:
        """Start the runs of crons that are due."""
        with self._lock:
            fired, now = [], self.now()
            for place, (cron, due_at) in list(self._crons.items()):
                if due_at > now:
                    continue
                name, tick = place[0], last_due(cron, place[0], now)
                for tenant_id in self._tenants() if cron.tenant_id is None else (cron.tenant_id,):
                    id, event = tick_id(name, cron, tick, tenant_id), Event(CRON, {}, ts=tick)
                    if id not in self.events:
                        self.events[id] = StoredEvent(id, tenant_id, event, now, target=name)
                        self._count(tenant_id, "", bytes=utf8_size(encode(event.data)))
                        fired.append(self.events[id])
                self._crons[place] = (cron, next_due(cron, name, tick))
            accepted = [Accepted(id=one.id, name=one.event.name) for one in fired]
            return replace(self._match(fired), accepted=accepted)

    def runs_of(self, event_ids: Collection[str]) -> list[Run]:
        """Return the runs that the events started or joined, in the order in which they began."""
        with self._lock:
            joined = {self._gathered.get(id) for id in event_ids}
            return [one.run for one in self.all.values() if one.run.event_id in event_ids or one.run.id in joined]

    def next_time(self) -> datetime | None:
        """Return the earliest time at which something is due that stands: a wait, a deadline or a cron."""
        with self._lock:
            standing = [run for run in self.all.values() if not run.run.is_final]
            waits = [wait for run in standing for wait in run.waits.values() if wait.resolved_at is None]
            times = [due_at for _, due_at in self._crons.values()] + [wait.wake_at for wait in waits]
            times += [one.since for one in self.placed.values() if one.status == "waiting"]
            return min(times + [run.deadline for run in standing if run.deadline is not None], default=None)

    def _first_with(self, tenant_id: str, sender_id: str | None) -> StoredEvent | None:
        stored = None if sender_id is None else self._sent.get((tenant_id, sender_id))
        return stored if stored is not None and stored.received_at > self.now() - _DEDUPE else None

    def _match(self, events: Sequence[StoredEvent]) -> Ingested:
        """Start what the events start, then wake and cancel what stood before they came."""
        standing = [run for run in self.all.values() if not run.run.is_final]
        plan, arrivals = Plan(self._declared, self.now()), [_arrival(stored) for stored in events]
        for key in {key for arrival in arrivals for key in keys_of(arrival, self._declared)}:
            if (known := self._standing_for(key)) is not None:
                plan.know(key, known)
        for stored, arrival in zip(events, arrivals, strict=True):
            stored.is_matched = True
            plan.take(arrival)
        queued = self._make_true(plan)
        ended = [run_id for run_id in plan.superseded if self._cancel(self.all[run_id], "singleton")]
        for run in standing:
            for stored in events:
                answer = self._answer(run, stored)
                queued += answer.queued
                ended += answer.ended
        return Ingested(queued=queued, ended=ended)

    def _standing_for(self, key: RunKey) -> Standing | None:
        known = self._keys.get(key)
        if known is None:
            return None
        run = self.all[known.run_id]
        wait = run.waits.get(("", 0))
        gathers = run.run.status == "parked" and wait is not None and wait.resolved_at is None
        return replace(known, is_gathering=known.is_gathering and gathers, is_standing=not run.run.is_final)

    def _make_true(self, plan: Plan) -> list[Queued]:
        self._keys |= plan.keys
        begun = [
            self._start(start, plan.now, queued_at)
            for start, queued_at in in_order(plan.starts.values(), plan.now)
            if start.run_id not in self.all
        ]
        queued = [as_queued(run) for run in begun if run.run.status == "queued"]
        for join in plan.joins.values():
            queued += self._join(join)
        for one in plan.unstarted:
            self._insert(one.arrival.tenant_id, unstarted_event(one), function=one.arrival.target or "")
        return queued

    def _start(self, start: Start, now: datetime, queued_at: datetime) -> StoredRun:
        function = start.function
        run = Run(
            id=start.run_id,
            tenant_id=start.arrival.tenant_id,
            app=function.app,
            function_id=function.function_id,
            event_id=start.arrival.id,
            status=start.status,
            reason=start.reason,
            version=function.version,
            parent_id=start.parent_id,
            created_at=now,
            ended_at=now if start.status in FINAL else None,
            retry_at=start.retry_at,
        )
        stored = self.all[run.id] = StoredRun(
            run,
            self.events[start.arrival.id],
            queue=function.queue,
            version=function.version,
            is_internal=start.is_internal,
            queued_at=queued_at,
            batch=None if start.batch is None else [self.events[id] for id in start.batch],
            deadline=start.deadline(now),
            time_limit=function.rules.timeout,
            parent_id=start.parent_id,
            gate=start.gate,
            waits={(wait.path, wait.number): wait for wait in start.waits(now)},
        )
        self._gathered |= dict.fromkeys(start.gathered, run.id)
        self._count(run.tenant_id, function.name, runs=1)
        return stored

    def _join(self, join: Join) -> list[Queued]:
        run, now = self.all[join.run_id], self.now()
        self._gathered |= dict.fromkeys(join.gathered, join.run_id)
        if run.batch is not None:
            run.batch += [self.events[id] for id in join.gathered]
        run.deadline = join.deadline
        if join.arrival is not None:
            run.event = self.events[join.arrival.id]
            run.run = replace(run.run, event_id=join.arrival.id)
            run.gate = freeze(join.function, join.arrival.visible)
            kept = {key: wait for key, wait in run.waits.items() if wait.kind != "cancel"}
            cancels = cancelling_waits(
                join.function, join.arrival, since=min(now, join.arrival.received_at), begins_at=join.start_at
            )
            run.waits = kept | {(wait.path, wait.number): wait for wait in cancels}
        run.waits["", 0] = replace(start_wait(join.start_at), resolved_at=now if join.is_full else None)
        return self._wake(run) if join.is_full else []

    def _answer(self, run: StoredRun, stored: StoredEvent) -> Ingested:
        """Wake or cancel a run by an event that one of its waits is for."""
        answered = Ingested()
        for key, wait in list(run.waits.items()):
            if run.run.tenant_id != stored.tenant_id or run.run.is_final or not is_answered(wait, stored, run):
                continue
            run.waits[key] = replace(wait, resolved_at=self.now(), event=event_text(stored))
            if wait.kind != "cancel":
                answered.queued.extend(self._wake(run))
            elif self._cancel(run, "cancelled"):
                answered.ended.append(run.run.id)
        return answered


def _arrival(stored: StoredEvent) -> Arrival:
    return Arrival(
        id=stored.id,
        tenant_id=stored.tenant_id,
        visible=as_seen(stored),
        ts=stored.event.ts or stored.received_at,
        received_at=stored.received_at,
        size=len(encode(stored.event.data)),
        is_internal=stored.is_internal,
        target=stored.target,
        sender=stored.sender,
    )
