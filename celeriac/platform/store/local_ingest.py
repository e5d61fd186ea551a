"""Declarations and events in memory: what comes in, and the runs that it starts and wakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from celeriac.ids import derived_id, new_id
from celeriac.platform.durable.declaration import Declaration, EventSchema
from celeriac.platform.durable.matching import triggers
from celeriac.platform.durable.store import Accepted, Ingested
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.run import Run
from celeriac.platform.store.local_part import LocalPart
from celeriac.platform.store.local_records import (
    StoredEvent,
    StoredRun,
    as_queued,
    event_text,
    is_answered,
)

#: how long a sender's id is remembered
_DEDUPE = timedelta(hours=24)


class LocalIngest(LocalPart):
    """The part of the store that events come in by."""

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
        starting = [one for one in self._declared.values() if any(triggers(trigger.event, name) for trigger in one.on)]
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
