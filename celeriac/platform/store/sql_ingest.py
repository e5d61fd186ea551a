"""Events in SQL: taking them in, and starting and waking what they are for.

An event is stored together with its runs and wakes, or not at all. Events that steps and endings insert are matched
after their commit by `match_pending`. Both hold the lock of (tenant, event name) shared while they match.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, update

from celeriac.database import db_now, reading, transaction
from celeriac.ids import derived_id, new_id
from celeriac.platform.codec import encode
from celeriac.platform.durable.matching import answers, triggers, visible
from celeriac.platform.durable.store import Accepted, Ingested
from celeriac.platform.event import Event
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store import tables
from celeriac.platform.store.sql_part import SqlPart, insert_new, insert_returning, lock_names
from celeriac.platform.store.sql_rows import WAIT, AnyRow, wait_of
from celeriac.platform.store.sql_waking import WaitKey, resolve
from celeriac.platform.store.tables import events, functions, runs, waits

#: how long a sender's id is remembered
DEDUPE = timedelta(hours=24)


_DECLARED = (
    select(functions, tables.triggers.c.event_name)
    .join(
        tables.triggers,
        (tables.triggers.c.app == functions.c.app) & (tables.triggers.c.function_id == functions.c.function_id),
    )
    .where(
        functions.c.is_active,
        or_(tables.triggers.c.event_name.in_(bindparam("names", expanding=True)), tables.triggers.c.is_pattern),
    )
    .order_by(functions.c.app, functions.c.function_id)
)

_STANDING = select(*WAIT, waits.c.run_id, waits.c.tenant_id).where(
    waits.c.tenant_id.in_(bindparam("tenants", expanding=True)),
    waits.c.event_name.in_(bindparam("names", expanding=True)),
    waits.c.resolved_at.is_(None),
)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A stored event that is to be matched now."""

    id: str
    tenant_id: str
    is_internal: bool
    received_at: datetime
    #: what waits look at
    visible: Mapping[str, Any]


class SqlIngest(SqlPart):
    """The part of the store that events come in by."""

    def ingest(self, tenant_id: str, given: Sequence[Event]) -> Ingested:
        with transaction(self._engine) as connection:
            now = lock_names(connection, {(tenant_id, event.name) for event in given}, "shared")
            rows = [_row(tenant_id, event, now) for event in given]
            first_ids = _store(connection, tenant_id, rows, now)
            accepted = [
                Accepted(id=first, name=row["name"], is_duplicate=first != row["id"])
                for row, first in zip(rows, first_ids, strict=True)
            ]
            arrivals = [_arrival(row) for row, one in zip(rows, accepted, strict=True) if not one.is_duplicate]
            return Ingested(accepted=accepted, queued=_match(connection, arrivals, now))

    def match_pending(self, event_ids: Sequence[str] | None = None, *, most: int = 100) -> Ingested:
        pending = select(events).where(events.c.matched_at.is_(None)).order_by(events.c.received_at).limit(most)
        if event_ids is not None:
            pending = pending.where(events.c.id.in_(event_ids))
        with reading(self._engine) as connection:  # mostly there are none, and a look takes no lock
            if not connection.execute(pending.with_only_columns(events.c.id).limit(1)).first():
                return Ingested()
        with transaction(self._engine) as connection:
            found = connection.execute(pending.with_for_update(skip_locked=True)).all()
            if not found:
                return Ingested()
            now = lock_names(connection, {(row.tenant_id, row.name) for row in found}, "shared")
            queued = _match(connection, [_arrival(row._asdict()) for row in found], now)
            ids = [row.id for row in found]
            connection.execute(update(events).where(events.c.id.in_(ids)).values(matched_at=db_now()))
            return Ingested(accepted=[Accepted(id=row.id, name=row.name) for row in found], queued=queued)


def _row(tenant_id: str, event: Event, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id("evt"),
        "tenant_id": tenant_id,
        "name": event.name,
        "data": encode({} if event.data is None else event.data),
        "sender_id": event.id,
        "ts": event.ts or now,
        "received_at": now,
        "is_internal": False,
        "matched_at": now,
    }


def _arrival(row: Mapping[str, Any]) -> Arrival:
    return Arrival(
        id=row["id"],
        tenant_id=row["tenant_id"],
        is_internal=bool(row["is_internal"]),
        received_at=row["received_at"],
        visible=visible(row["name"], json.loads(row["data"]), row["sender_id"] or row["id"], row["ts"]),
    )


def _store(connection: Connection, tenant_id: str, rows: Sequence[dict[str, Any]], now: datetime) -> list[str]:
    """Insert the events that are new; return for each the id of the first event with its sender's id."""
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row["sender_id"] or row["id"], row["id"])
    new = [row for row in rows if first[row["sender_id"] or row["id"]] == row["id"]]
    # In the order of the senders' ids, so that two senders of the same events wait for each other in one direction.
    new.sort(key=lambda row: row["sender_id"] or "")
    inserted = set(insert_returning(connection, events, new, "id"))
    missing = [row for row in new if row["id"] not in inserted]
    if missing:
        known = _known(connection, tenant_id, [row["sender_id"] for row in missing], now)
        insert_new(connection, events, [row for row in missing if row["sender_id"] not in known])
        first |= known
    return [first[row["sender_id"] or row["id"]] for row in rows]


def _known(connection: Connection, tenant_id: str, sender_ids: Sequence[str], now: datetime) -> dict[str, str]:
    """Return the first events of these senders' ids; an id that is older than a day is given free instead."""
    place = (events.c.tenant_id == tenant_id, events.c.sender_id.in_(sender_ids))
    connection.execute(update(events).where(*place, events.c.received_at <= now - DEDUPE).values(sender_id=None))
    return {row.sender_id: row.id for row in connection.execute(select(events.c.sender_id, events.c.id).where(*place))}


def _match(connection: Connection, arrivals: Sequence[Arrival], now: datetime) -> list[Queued]:
    if not arrivals:
        return []
    return _start(connection, arrivals, now) + resolve(connection, _answered(connection, arrivals))


def _start(connection: Connection, arrivals: Sequence[Arrival], now: datetime) -> list[Queued]:
    declared = _declared(connection, {arrival.visible["name"] for arrival in arrivals})
    rows = [
        _run_row(arrival, function, now)
        for arrival in arrivals
        for function in _started_by(arrival.visible["name"], declared)
    ]
    insert_new(connection, runs, rows)
    return [
        Queued(
            run_id=row["id"],
            tenant_id=row["tenant_id"],
            queue=row["queue"],
            fence=1,
            is_internal=row["is_internal"],
        )
        for row in rows
    ]


def _declared(connection: Connection, names: Iterable[str]) -> Sequence[AnyRow]:
    """Return the active functions that events of these names may start, with the trigger of each."""
    return connection.execute(_DECLARED, {"names": sorted(names)}).all()


def _started_by(name: str, declared: Iterable[AnyRow]) -> list[AnyRow]:
    """Return each function once, however many of its triggers fit."""
    fitting = {(row.app, row.function_id): row for row in declared if triggers(row.event_name, name)}
    return list(fitting.values())


def _run_row(arrival: Arrival, function: AnyRow, now: datetime) -> dict[str, Any]:
    return {
        "id": derived_id("run", arrival.id, function.app, function.function_id),
        "tenant_id": arrival.tenant_id,
        "app": function.app,
        "function_id": function.function_id,
        "version": function.version,
        "queue": function.queue,
        "event_id": arrival.id,
        "is_internal": arrival.is_internal or bool(function.is_internal),
        "status": "queued",
        "created_at": now,
        "queued_at": now,
    }


def _answered(connection: Connection, arrivals: Sequence[Arrival]) -> dict[WaitKey, str | None]:
    """Return the open waits that one of the events is for, with the first such event."""
    places = {
        "tenants": sorted({arrival.tenant_id for arrival in arrivals}),
        "names": sorted({arrival.visible["name"] for arrival in arrivals}),
    }
    answered: dict[WaitKey, str | None] = {}
    for row in connection.execute(_STANDING, places):
        wait = wait_of(row)
        for arrival in arrivals:
            if arrival.tenant_id == row.tenant_id and answers(wait, arrival.visible, arrival.received_at):
                answered[row.run_id, row.path, row.number] = arrival.id
                break
    return answered
