"""Retention in SQL: deletes what has ended long ago, a few rows in each transaction.

A sweep goes by an index from its last place on, so that what stays is not looked at again. Runs are passed over that
somebody has locked, such as one that is being done again; another sweep finds them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, func, or_, select, tuple_

from celeriac.database import db_ago, from_micros, reading, to_micros, transaction
from celeriac.platform.durable.operations import Sweep
from celeriac.platform.run import FINAL
from celeriac.platform.store.sql_part import SqlPart
from celeriac.platform.store.sql_rows import AnyRow
from celeriac.platform.store.sql_run_filter import behind, decode_place, encode_place, place_of
from celeriac.platform.store.tables import (
    attempts,
    bulk_actions,
    events,
    placed_steps,
    run_events,
    run_keys,
    runs,
    steps,
    waits,
)

#: what hangs on runs by their ids
_PARTS = (steps, attempts, waits, placed_steps, run_events)

#: how long a sender's id is remembered, and so its event
_DEDUPE = timedelta(hours=24)

#: how many rows of other tables go at a time
_MOST_OF_REST = 500


class SqlRetention(SqlPart):
    """The part of the operations that deletes."""

    def delete_runs(self, tenant_id: str, before: datetime, *, after: str | None = None, most: int = 50) -> Sweep:
        with reading(self._engine) as connection:
            rows = connection.execute(old_runs(tenant_id, before, after).limit(most)).all()
        if not rows:
            return Sweep()
        ids = sorted(row.id for row in rows)
        locked = select(runs.c.id).where(runs.c.id.in_(ids), runs.c.ended_at < before).order_by(runs.c.id)
        with transaction(self._engine) as connection:
            free = connection.execute(locked.with_for_update(skip_locked=True)).scalars().all()
            for table in _PARTS:
                connection.execute(delete(table).where(table.c.run_id.in_(free)))
            connection.execute(delete(runs).where(runs.c.id.in_(free)))
        return Sweep(deleted=len(free), after=encode_place(place_of(rows[-1])) if len(rows) == most else None)

    def delete_events(self, tenant_id: str, before: datetime, *, after: str | None = None, most: int = 100) -> Sweep:
        name, place = _decode(after)
        with reading(self._engine) as connection:
            rows: Sequence[AnyRow] = ()
            if name is not None:
                rows = connection.execute(old_events(tenant_id, name, before, place).limit(most)).all()
            following = connection.execute(next_name(tenant_id, name)).scalar_one_or_none()
        deleted = 0
        if rows:
            with transaction(self._engine) as connection:
                deleted = len(connection.execute(unneeded([row.id for row in rows])).all())
        if name is not None and len(rows) == most:  # there may be more of this name
            return Sweep(deleted=deleted, after=_encode(name, rows[-1].received_at, rows[-1].id))
        return Sweep(deleted=deleted, after=None if following is None else _encode(following))

    def delete_rest(self, tenant_id: str, before: datetime) -> int:
        over = (bulk_actions.c.tenant_id == tenant_id, bulk_actions.c.created_at < before)
        with transaction(self._engine) as connection:
            actions = delete(bulk_actions).where(*over, bulk_actions.c.ended_at < before)
            deleted = connection.execute(actions).rowcount
            return deleted + _delete_free_keys(connection)

    def count_ended(self, tenant_id: str, before: datetime) -> int:
        counted = old_runs(tenant_id, before, None).order_by(None).with_only_columns(func.count())
        with reading(self._engine) as connection:
            return int(connection.execute(counted).scalar_one())


def old_runs(tenant_id: str, before: datetime, after: str | None) -> Any:
    """Select the runs that ended before that time, oldest first, behind the place."""
    found = select(runs.c.id, runs.c.created_at).where(
        runs.c.tenant_id == tenant_id,
        runs.c.created_at < before,
        runs.c.ended_at < before,
        runs.c.status.in_(sorted(FINAL)),
    )
    if after is not None:
        found = found.where(behind(decode_place(after)))
    return found.order_by(runs.c.created_at, runs.c.id)


def old_events(tenant_id: str, name: str, before: datetime, place: tuple[datetime, str] | None) -> Any:
    """Select the events of one name that came before that time, behind the place."""
    found = select(events.c.id, events.c.received_at).where(
        events.c.tenant_id == tenant_id, events.c.name == name, events.c.received_at < before
    )
    if place is not None:
        at, id = place
        later = or_(events.c.received_at > at, events.c.id > id)
        found = found.where(and_(events.c.received_at >= at, later))
    return found.order_by(events.c.received_at, events.c.id)


def next_name(tenant_id: str, name: str | None) -> Any:
    """Select the next name of events; the index is asked for one name after the other."""
    found = select(events.c.name).where(events.c.tenant_id == tenant_id)
    if name is not None:
        found = found.where(events.c.name > name)
    return found.order_by(events.c.name).limit(1)


def unneeded(ids: Sequence[str]) -> Any:
    """Delete those of the events that no run is of, has gathered or was woken by, and that no sender may repeat."""
    needed = [
        select(runs.c.id).where(runs.c.tenant_id == events.c.tenant_id, runs.c.event_id == events.c.id),
        select(run_events.c.run_id).where(run_events.c.event_id == events.c.id),
        select(waits.c.run_id).where(waits.c.event_id == events.c.id),
    ]
    return (
        delete(events)
        .where(
            events.c.id.in_(ids),
            events.c.matched_at.is_not(None),
            or_(events.c.sender_id.is_(None), events.c.received_at < db_ago(_DEDUPE)),
            *(~one.correlate(events).exists() for one in needed),
        )
        .returning(events.c.id)
    )


def _delete_free_keys(connection: Connection) -> int:
    """Delete keys that have been free for a day, of whichever tenant."""
    key = [run_keys.c[column.name] for column in run_keys.primary_key]
    free = select(*key).where(run_keys.c.expires_at < db_ago(_DEDUPE)).order_by(run_keys.c.expires_at)
    found = connection.execute(free.limit(_MOST_OF_REST).with_for_update(skip_locked=True)).all()
    if not found:
        return 0
    return connection.execute(delete(run_keys).where(tuple_(*key).in_([tuple(row) for row in found]))).rowcount


def _encode(name: str, at: datetime | None = None, id: str = "") -> str:
    return json.dumps([name, None if at is None else to_micros(at), id])


def _decode(after: str | None) -> tuple[str | None, tuple[datetime, str] | None]:
    if after is None:
        return None, None
    name, at, id = json.loads(after)
    return name, None if at is None else (from_micros(at), id)
