"""Retention in SQL: deletes what has ended long ago, a few rows in each transaction.

A sweep goes by an index from its last place on, so that what stays is not looked at again. Written as text, and on
Postgres as one statement a batch: the worker that does it executes runs beside, and is to wait for the database rather
than to compute. Runs are passed over that somebody has locked, such as one that is being done again; another sweep
finds them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, or_, select, tuple_

from celeriac.database import NOW, db_ago, from_micros, reading, single, to_micros, transaction
from celeriac.platform.durable.operations import Sweep
from celeriac.platform.run import FINAL
from celeriac.platform.store.sql_part import SqlPart
from celeriac.platform.store.sql_run_filter import decode_place, encode_place
from celeriac.platform.store.tables import bulk_actions, run_keys, runs

#: what hangs on runs by their ids
PARTS = ("steps", "attempts", "waits", "placed_steps", "run_events")

#: how long a sender's id is remembered, and so its event
_DEDUPE = timedelta(hours=24)

_OF_FINAL = ", ".join(f"'{status}'" for status in sorted(FINAL))

#: runs that ended before a time, oldest first, behind a place; `%s` stands for a parameter on both databases
OLD_RUNS = f"""
SELECT id, created_at FROM runs
WHERE tenant_id = %s AND created_at < %s AND ended_at < %s AND status IN ({_OF_FINAL})
    AND created_at >= %s AND (created_at > %s OR id > %s)
ORDER BY created_at, id LIMIT %s"""

_PARTS_GO = "".join(f", of_{part} AS (DELETE FROM {part} p USING gone WHERE p.run_id = gone.id)" for part in PARTS)

RUNS_ON_POSTGRES = f"""
WITH gone AS MATERIALIZED ({OLD_RUNS} FOR UPDATE SKIP LOCKED){_PARTS_GO},
of_runs AS (DELETE FROM runs r USING gone WHERE r.id = gone.id)
SELECT id, created_at FROM gone ORDER BY created_at, id"""

#: events of one name that came before a time, behind a place
OLD_EVENTS = """
SELECT id, received_at FROM events
WHERE tenant_id = %s AND name = %s AND received_at < %s AND received_at >= %s AND (received_at > %s OR id > %s)
ORDER BY received_at, id LIMIT %s"""

#: that no run is of the event, has gathered it or was woken by it, and no sender may repeat it
_UNNEEDED = """
    e.matched_at IS NOT NULL AND (e.sender_id IS NULL OR e.received_at < {now} - 86400000000)
    AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.tenant_id = e.tenant_id AND r.event_id = e.id)
    AND NOT EXISTS (SELECT 1 FROM run_events g WHERE g.event_id = e.id)
    AND NOT EXISTS (SELECT 1 FROM waits w WHERE w.event_id = e.id)"""

EVENTS_ON_POSTGRES = f"""
WITH page AS MATERIALIZED ({OLD_EVENTS}),
gone AS (
    DELETE FROM events e USING page WHERE e.id = page.id AND {_UNNEEDED.format(now=NOW["postgresql"])} RETURNING e.id
)
SELECT page.id, page.received_at, gone.id IS NOT NULL FROM page LEFT JOIN gone ON gone.id = page.id
ORDER BY page.received_at, page.id"""

EVENTS_ON_SQLITE = f"""
DELETE FROM events AS e
WHERE e.id IN (SELECT value FROM json_each(?)) AND {_UNNEEDED.format(now=NOW["sqlite"])} RETURNING id"""

#: the next name of events; the index is asked for one name after the other
NEXT_NAME = "SELECT name FROM events WHERE tenant_id = %s AND name > %s ORDER BY name LIMIT 1"


class SqlRetention(SqlPart):
    """The part of the operations that deletes."""

    def delete_runs(self, tenant_id: str, before: datetime, *, after: str | None = None, most: int = 200) -> Sweep:
        at, run_id = (0, "") if after is None else _place(after)
        until = to_micros(before)
        names = (tenant_id, until, until, at, at, run_id, most)
        if self._is_postgres:
            with single(self._engine) as connection:
                rows = connection.exec_driver_sql(RUNS_ON_POSTGRES, names).all()
        else:
            with transaction(self._engine) as connection:
                rows = connection.exec_driver_sql(on_sqlite(OLD_RUNS), names).all()
                for table, key in (*((part, "run_id") for part in PARTS), ("runs", "id")):
                    connection.exec_driver_sql(rows_on_sqlite(table, key), (_ids(rows),))
        last = encode_place((from_micros(rows[-1][1]), rows[-1][0])) if len(rows) == most else None
        return Sweep(deleted=len(rows), after=last)

    def delete_events(self, tenant_id: str, before: datetime, *, after: str | None = None, most: int = 200) -> Sweep:
        name, at, event_id = ("", 0, "") if after is None else json.loads(after)
        names = (tenant_id, name, to_micros(before), at, at, event_id, most)
        rows: Sequence[Any] = ()
        if name and self._is_postgres:
            with single(self._engine) as connection:
                rows = connection.exec_driver_sql(EVENTS_ON_POSTGRES, names).all()
        elif name:
            rows = self._delete_on_sqlite(names)
        deleted = sum(row[2] for row in rows)
        if len(rows) == most:  # there may be more of this name
            return Sweep(deleted=deleted, after=json.dumps([name, rows[-1][1], rows[-1][0]]))
        with reading(self._engine) as connection:
            text = NEXT_NAME if self._is_postgres else on_sqlite(NEXT_NAME)
            following = connection.exec_driver_sql(text, (tenant_id, name)).scalar_one_or_none()
        return Sweep(deleted=deleted, after=None if following is None else json.dumps([following, 0, ""]))

    def _delete_on_sqlite(self, names: tuple[Any, ...]) -> list[tuple[str, int, bool]]:
        with transaction(self._engine) as connection:
            rows = connection.exec_driver_sql(on_sqlite(OLD_EVENTS), names).all()
            gone = set(connection.exec_driver_sql(EVENTS_ON_SQLITE, (_ids(rows),)).scalars())
            return [(row[0], row[1], row[0] in gone) for row in rows]

    def delete_actions(self, tenant_id: str, before: datetime) -> int:
        over = (bulk_actions.c.tenant_id == tenant_id, bulk_actions.c.created_at < before)
        with transaction(self._engine) as connection:
            return connection.execute(delete(bulk_actions).where(*over, bulk_actions.c.ended_at < before)).rowcount

    def delete_free_keys(self, *, most: int = 500) -> int:
        key = [run_keys.c[column.name] for column in run_keys.primary_key]
        stands = exists().where(runs.c.id == run_keys.c.run_id, runs.c.status.in_(("queued", "running", "parked")))
        is_over = or_(run_keys.c.kind != "singleton", ~stands)
        free = select(*key).where(run_keys.c.expires_at < db_ago(_DEDUPE), is_over).order_by(run_keys.c.expires_at)
        with transaction(self._engine) as connection:
            found = connection.execute(free.limit(most).with_for_update(skip_locked=True)).all()
            if not found:
                return 0
            return connection.execute(delete(run_keys).where(tuple_(*key).in_([tuple(row) for row in found]))).rowcount

    def count_ended(self, tenant_id: str, before: datetime) -> int:
        old = (runs.c.tenant_id == tenant_id, runs.c.created_at < before, runs.c.ended_at < before)
        with reading(self._engine) as connection:
            return int(connection.execute(select(func.count()).select_from(runs).where(*old)).scalar_one())


def on_sqlite(text: str) -> str:
    """Return the statement as SQLite reads it."""
    return text.replace("%s", "?")


def rows_on_sqlite(table: str, key: str) -> str:
    """Return the statement that deletes the rows with one of the ids in a JSON list."""
    return f"DELETE FROM {table} WHERE {key} IN (SELECT value FROM json_each(?))"


def _ids(rows: Sequence[Any]) -> str:
    return json.dumps([row[0] for row in rows])


def _place(after: str) -> tuple[int, str]:
    at, run_id = decode_place(after)
    return to_micros(at), run_id
