"""Waits in SQL: registering one for an event, reading a run's, and ending those whose time has come.

A wait for an event is registered under the exclusive lock of (tenant, event name): an event is either stored before,
and found by looking back (`sql_look_back.py`), or it comes after and finds the wait. Waits for a time are committed by
the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, bindparam, exists, or_, select, update

from celeriac.database import db_now, reading, transaction
from celeriac.errors import ConflictError
from celeriac.ids import new_id
from celeriac.platform.durable.matching import match_key, taken_signal
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.store import Claim
from celeriac.platform.flow.gate import Queued
from celeriac.platform.store.sql_look_back import look_at_old, look_at_rest
from celeriac.platform.store.sql_part import SqlPart, insert_one, lock_names
from celeriac.platform.store.sql_rows import WAIT, AnyRow, event_text, wait_of
from celeriac.platform.store.sql_runs import HELD, right_of
from celeriac.platform.store.sql_waking import WaitKey, end_quietly, resolve
from celeriac.platform.store.tables import events, runs, steps, waits

#: what stands in a wait with the event that resolved it
_WITH_EVENT = (*WAIT, events.c.id, events.c.name, events.c.data, events.c.sender_id, events.c.ts)

_LOCK = select(runs.c.id).where(*HELD).with_for_update()

_HAS_MEMO = exists().where(steps.c.run_id == waits.c.run_id, steps.c.path == waits.c.path)

#: whether the run of a wait has not ended
_STANDS = exists().where(runs.c.id == waits.c.run_id, runs.c.status.in_(("queued", "running", "parked")))

#: waits that no branch of the run's code stands still for
_NOT_OF_STEPS = ("start", "cancel")

_DUE = (
    select(
        waits.c.run_id,
        waits.c.path,
        waits.c.number,
        or_(waits.c.kind == "cancel", _HAS_MEMO, ~_STANDS).label("is_quiet"),
    )
    .where(waits.c.resolved_at.is_(None), waits.c.wake_at <= db_now())
    .order_by(waits.c.wake_at)
)

_TAKEN = select(waits.c.run_id).where(
    waits.c.tenant_id == bindparam("of_tenant"),
    waits.c.event_name == bindparam("with_name"),
    waits.c.kind == "signal",
    waits.c.resolved_at.is_(None),
    _STANDS,
)


class SqlWaits(SqlPart):
    """The part of the store that lets runs stand still and wakes them by time."""

    def waits(self, claim: Claim) -> list[Wait]:
        statement = waits_of(claim.run.tenant_id, claim.run.id).where(~_HAS_MEMO, waits.c.kind.not_in(_NOT_OF_STEPS))
        with reading(self._engine) as connection:
            found = connection.execute(statement).all()
        return in_order_of_resolution(last_of_each(wait_with_event(row) for row in found))

    def await_event(self, claim: Claim, wait: Wait, *, look_back: timedelta | None = None) -> Wait | None:
        run = claim.run
        assert wait.event_name is not None, "only waits for events are registered here"
        looked = None if look_back is None else look_at_old(self._engine, claim, wait, look_back)
        with transaction(self._engine) as connection:
            now = lock_names(connection, {(run.tenant_id, wait.event_name)}, "exclusive")
            if connection.execute(_LOCK, right_of(claim)).one_or_none() is None:
                return None
            place = (waits.c.path == wait.path, waits.c.number == wait.number)
            known = connection.execute(waits_of(run.tenant_id, run.id).where(*place)).one_or_none()
            if known is not None:
                return wait_with_event(known)
            if wait.kind == "signal":
                names = {"of_tenant": run.tenant_id, "with_name": wait.event_name}
                if connection.execute(_TAKEN, names).first() is not None:
                    raise ConflictError(taken_signal(wait.event_name))
            begun = replace(wait, since=now if look_back is None else now - look_back, resolved_at=None, event=None)
            came = None if looked is None else looked.came or look_at_rest(connection, claim, begun, looked.until)
            if came is not None:
                begun = replace(begun, resolved_at=now, event=event_text(came))
            row = wait_row(run.id, run.tenant_id, begun)
            insert_one(connection, waits, {**row, "event_id": None if came is None else came.id})
            connection.execute(update(runs).where(runs.c.id == run.id).values(waits=runs.c.waits + 1))
            return begun

    def wake_due(self, *, most: int = 500) -> list[Queued]:
        with reading(self._engine) as connection:  # mostly none is due, and a look takes no lock
            found = connection.execute(_DUE.limit(most)).all()
        if not found:
            return []
        keys: list[WaitKey] = [(row.run_id, row.path, row.number) for row in found]
        quiet = [key for key, row in zip(keys, found, strict=True) if row.is_quiet]
        with transaction(self._engine) as connection:
            end_quietly(connection, dict.fromkeys(quiet), skip_locked=True)
            return resolve(connection, dict.fromkeys(set(keys) - set(quiet)), skip_locked=True)


def wait_row(run_id: str, tenant_id: str, wait: Wait) -> dict[str, Any]:
    """Return the row of a wait that begins now."""
    return {
        "run_id": run_id,
        "path": wait.path,
        "number": wait.number,
        "tenant_id": tenant_id,
        "kind": wait.kind,
        "wake_at": wait.wake_at,
        "event_name": wait.event_name,
        "match_path": wait.match_path,
        "match_value": wait.match_value,
        "match_key": match_key(wait),
        "condition": wait.condition,
        "since": wait.since,
        "created_at": db_now(),
        "resolved_at": wait.resolved_at,
        "commit_id": new_id("wai"),
    }


def wait_with_event(row: AnyRow) -> Wait:
    """Make the Wait of a row of waits joined with the event that resolved it."""
    return wait_of(row, None if row.id is None else event_text(row))


def last_of_each(found: Iterable[Wait]) -> list[Wait]:
    """Keep of the waits for a step's retries only the last one."""
    kept: dict[str, Wait] = {}
    for wait in sorted(found, key=lambda one: one.number):
        kept[wait.path] = wait
    return list(kept.values())


def in_order_of_resolution(found: Sequence[Wait]) -> list[Wait]:
    """Sort the waits by the time at which they were over, open ones last."""
    return sorted(found, key=lambda one: (one.resolved_at is None, one.resolved_at or one.wake_at))


def waits_of(tenant_id: str, run_id: str) -> Select[*tuple[Any, ...]]:
    """Select a run's waits with the events that resolved them, in the order in which they began."""
    return (
        select(*_WITH_EVENT)
        .select_from(waits.outerjoin(events, events.c.id == waits.c.event_id))
        .where(waits.c.run_id == run_id, waits.c.tenant_id == tenant_id)
        .order_by(waits.c.created_at)
    )
