"""Endings in SQL: links that end their runs, one or many in one statement, with the events that tell of it.

Postgres takes a group at once; SQLite ends one run after the other in one transaction. The rows of a group are locked
in the order of their ids.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from celeriac.database import NOW, db_now, single, straight, to_micros, transaction
from celeriac.platform.codec import utf8_size
from celeriac.platform.durable.ending import deferred_event, ending_event
from celeriac.platform.durable.memo import OutgoingEvent
from celeriac.platform.durable.store import Claim, End, Ending
from celeriac.platform.run import Run
from celeriac.platform.store.sql_counting import COUNTED_ENDINGS, Counted, count, insert_events
from celeriac.platform.store.sql_part import SqlPart, text_array
from celeriac.platform.store.sql_rows import event_of, run_of
from celeriac.platform.store.sql_waking import close
from celeriac.platform.store.tables import events, runs, steps

_NOW = NOW["sqlite"]

_FINISH_ON_SQLITE = f"""
UPDATE runs SET status = ?, reason = ?, output = ?, error_code = ?, error_message = ?, worker_id = NULL,
    deadline = NULL, suspicion = 0, ended_at = {_NOW}
WHERE id = ? AND tenant_id = ? AND fence = ? AND status = 'running'
RETURNING ended_at"""

_TELL_ON_SQLITE = """
INSERT INTO events (id, tenant_id, name, data, ts, is_internal, target, run_id, received_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""

_NOW_PG = NOW["postgresql"]

#: The endings, the waits that they close and the events that tell of them are one statement.
_FINISH_ON_POSTGRES = f"""
WITH ending AS (
    SELECT * FROM unnest(
        %s::text[], %s::text[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]
    ) AS t (id, tenant_id, fence, status, reason, output, error_code, error_message)
),
held AS MATERIALIZED (
    SELECT r.id FROM runs r JOIN ending t ON r.id = t.id AND r.fence = t.fence AND r.tenant_id = t.tenant_id
    WHERE r.status = 'running' ORDER BY r.id FOR NO KEY UPDATE OF r
),
ended AS (
    UPDATE runs r SET status = t.status, reason = t.reason, output = t.output, error_code = t.error_code,
        error_message = t.error_message, worker_id = NULL, deadline = NULL, suspicion = 0, ended_at = {_NOW_PG}
    FROM ending t JOIN held ON held.id = t.id
    WHERE r.id = t.id AND r.fence = t.fence AND r.tenant_id = t.tenant_id AND r.status = 'running'
    RETURNING r.id, r.tenant_id, r.ended_at, r.app, r.function_id
),
closed AS (
    UPDATE waits w SET resolved_at = {_NOW_PG} FROM ended WHERE w.run_id = ended.id AND w.resolved_at IS NULL
),
told AS (
    INSERT INTO events (id, tenant_id, name, data, ts, received_at, is_internal, target, run_id)
    SELECT e.id, ended.tenant_id, e.name, e.data, coalesce(e.ts, ended.ended_at), ended.ended_at, e.is_internal,
           e.target, ended.id
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bool[], %s::text[])
         AS e (run_id, id, name, data, ts, is_internal, target)
    JOIN ended ON ended.id = e.run_id
    ON CONFLICT DO NOTHING
    RETURNING run_id, octet_length(data) AS size
),{COUNTED_ENDINGS}
SELECT id FROM ended"""


class SqlEndings(SqlPart):
    """The part of the store that ends runs for their links."""

    def finish(
        self, claim: Claim, ending: Ending, event: OutgoingEvent, *, deferred: Sequence[OutgoingEvent] = ()
    ) -> bool:
        return self.finish_all([End(claim=claim, ending=ending, event=event, deferred=tuple(deferred))])[0]

    def finish_all(self, ends: Sequence[End]) -> list[bool]:
        once = {end.claim.run.id: end for end in reversed(ends)}
        if self._is_postgres:
            with single(self._engine) as connection:
                ended = _finish_on_postgres(connection, list(once.values()))
        else:
            with transaction(self._engine) as connection:
                ended = {run_id for run_id, end in once.items() if _finish_on_sqlite(connection, end)}
        return [end.claim.run.id in ended and once[end.claim.run.id] is end for end in ends]


def end_at_once(connection: Connection, run_id: str, ending: Ending) -> Run:
    """End a run that no link executes any more, whose row the caller has locked; return it as it stands then.

    Its fence is raised, its waits are closed, and the event that tells of its end is inserted with those that its
    steps deferred.
    """
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(
            status=ending.status,
            reason=ending.reason,
            output=ending.output,
            error_code=ending.error_code,
            error_message=ending.error_message,
            fence=runs.c.fence + 1,
            worker_id=None,
            deadline=None,
            ended_at=db_now(),
        )
    )
    close(connection, run_id)
    row = connection.execute(select(runs).where(runs.c.id == run_id)).one()
    run = run_of(row)
    event = None
    if run.status == "failed":
        event = event_of(connection.execute(select(events).where(events.c.id == row.event_id)).one())
    told = [ending_event(run, event), *_deferred(connection, run_id)]
    insert_events(connection, [_event_row(run, event) for event in told], f"{run.app}/{run.function_id}")
    return run


def _deferred(connection: Connection, run_id: str) -> list[OutgoingEvent]:
    kept = select(steps.c.path, steps.c.value).where(
        steps.c.run_id == run_id, steps.c.kind == "defer", steps.c.error.is_(None)
    )
    return [deferred_event(run_id, row.path, json.loads(row.value)) for row in connection.execute(kept)]


def _event_row(run: Run, event: OutgoingEvent) -> dict[str, Any]:
    assert run.ended_at is not None, "the run has just been ended"
    return {
        "id": event.id,
        "tenant_id": run.tenant_id,
        "name": event.name,
        "data": event.data,
        "ts": event.ts or run.ended_at,
        "received_at": run.ended_at,
        "is_internal": event.is_internal,
        "target": event.target,
        "run_id": run.id,
    }


def _finish_on_postgres(connection: Connection, ends: Sequence[End]) -> set[str]:
    of_runs = zip(*(_of_run(end) for end in ends), strict=True)
    of_events = zip(*(row for end in ends for row in _of_events(end)), strict=True)
    columns = tuple(text_array(column) for part in (of_runs, of_events) for column in part)
    return {row[0] for row in connection.exec_driver_sql(_FINISH_ON_POSTGRES, columns)}


def _finish_on_sqlite(connection: Connection, end: End) -> bool:
    run_id, tenant_id, fence, *facts = _of_run(end)
    ended_at = connection.exec_driver_sql(_FINISH_ON_SQLITE, (*facts, run_id, tenant_id, fence)).scalar_one_or_none()
    if ended_at is None:
        return False
    close(connection, end.claim.run.id)
    rows = [
        (id, tenant_id, name, data, ended_at if ts is None else ts, is_internal, target, run_id, ended_at)
        for _, id, name, data, ts, is_internal, target in _of_events(end)
    ]
    function = f"{end.claim.run.app}/{end.claim.run.function_id}"
    with straight(connection) as cursor:
        told = [utf8_size(row[3]) for row in rows if cursor.execute(_TELL_ON_SQLITE, row).rowcount]
    count(connection, [Counted(tenant_id=tenant_id, function=function, bytes=sum(told))])
    return True


def _of_run(end: End) -> tuple[Any, ...]:
    run, ending = end.claim.run, end.ending
    facts = (ending.status, ending.reason, ending.output, ending.error_code, ending.error_message)
    return run.id, run.tenant_id, end.claim.fence, *facts


def _of_events(end: End) -> list[tuple[Any, ...]]:
    return [
        (
            end.claim.run.id,
            event.id,
            event.name,
            event.data,
            None if event.ts is None else to_micros(event.ts),
            event.is_internal,
            event.target,
        )
        for event in (end.event, *end.deferred)
    ]
