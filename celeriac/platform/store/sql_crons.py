"""Crons in SQL: when each is due next, and the events of their ticks.

A cron's row is locked by whoever fires it, and the event of a tick has an id of its own: each tick fires once, however
many workers look.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, select, update

from celeriac.database import db_now
from celeriac.platform.durable.cron import Schedule, due_again, last_due, next_due, tick_id
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.event import CRON
from celeriac.platform.store.sql_counting import insert_events
from celeriac.platform.store.sql_part import insert_new, present
from celeriac.platform.store.sql_rows import AnyRow
from celeriac.platform.store.tables import crons

_KEY = ("app", "function_id", "schedule", "tz")
_MICROSECOND = timedelta(microseconds=1)

#: what of a cron is due, looked at without a lock
DUE = select(crons.c.app).where(crons.c.next_at <= db_now()).limit(1)


def write_crons(connection: Connection, owners: Sequence[str], declared: Sequence[Declaration]) -> None:
    """Replace the crons of these apps; one that was there goes on from where it stands."""
    found = connection.execute(select(crons).where(crons.c.app.in_(owners)).with_for_update())
    known = {tuple(getattr(row, column) for column in _KEY): row for row in found}
    connection.execute(delete(crons).where(crons.c.app.in_(owners)))
    now = present(connection)
    rows = []
    for one in declared:
        for cron in one.crons:
            before = known.get((one.app, one.function_id, cron.cron, cron.tz))
            rows.append(
                {
                    "app": one.app,
                    "function_id": one.function_id,
                    "schedule": cron.cron,
                    "tz": cron.tz,
                    "jitter": cron.jitter // _MICROSECOND,
                    "tenant_id": cron.tenant_id,
                    "next_at": next_due(cron, one.name, now)
                    if before is None
                    else due_again(_schedule(before), cron, one.name, before.next_at),
                }
            )
    insert_new(connection, crons, rows)


def tick(connection: Connection, tenants: Sequence[str], most: int) -> list[str]:
    """Insert the events of the crons that are due, to be matched after the commit; return their ids.

    After an outage only the last tick that was missed has one. `tenants` are those of crons that are for each.
    """
    found = select(crons).where(crons.c.next_at <= db_now()).order_by(crons.c.next_at).limit(most)
    rows = connection.execute(found.with_for_update(skip_locked=True)).all()
    now = present(connection)
    told: list[dict[str, Any]] = []
    for row in rows:
        cron, name = _schedule(row), f"{row.app}/{row.function_id}"
        last = last_due(cron, name, now)
        for tenant_id in tenants if row.tenant_id is None else (row.tenant_id,):
            told.append(
                {
                    "id": tick_id(name, cron, last, tenant_id),
                    "tenant_id": tenant_id,
                    "name": CRON,
                    "data": "{}",
                    "ts": last,
                    "received_at": now,
                    "is_internal": False,
                    "target": name,
                }
            )
        place = (crons.c[column] == getattr(row, column) for column in _KEY)
        connection.execute(update(crons).where(*place).values(next_at=next_due(cron, name, last)))
    insert_events(connection, told)
    return [event["id"] for event in told]


def _schedule(row: AnyRow) -> Schedule:
    return Schedule(cron=row.schedule, tz=row.tz, jitter=row.jitter * _MICROSECOND, tenant_id=row.tenant_id)
